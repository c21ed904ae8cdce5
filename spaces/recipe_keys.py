"""Keys of a training recipe that exist only beside a certain value of another key, with their defaults there.

`momentum` exists for the optimizers that have one, `milestones` for the step schedule, and so on. A search space over
recipes is conditional in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CHOICES", "OWNED", "OWNERS", "SEARCHED", "TRAINING", "Owned"]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("sgd", "adamw", "rmsprop", "nadam", "muon"),
    "schedule": ("cosine", "linear", "step", "one-cycle", "constant"),
    "loss": ("cross-entropy", "bce"),
    "augmentation": ("data", "none", "crop", "flip", "crop-flip", "resized-crop", "resized-crop-flip"),
    "policy": ("none", "randaugment", "trivialaugment"),
    "freeze": ("none", "backbone"),
}
"""Keys whose value is a name, with the names that are known."""


@dataclass(frozen=True)
class Owned:
    """A key that exists only beside certain values of another one.

    Attributes:
        owner: the other key.
        defaults: the key's default beside each of these values.
    """

    owner: str
    defaults: Mapping[str, Any]


OWNED: Mapping[str, Owned] = {
    "lr": Owned("optimizer", {"sgd": 0.1, "adamw": 1e-3, "rmsprop": 1e-3, "nadam": 2e-3, "muon": 1e-3}),
    "weight_decay": Owned("optimizer", {"sgd": 5e-4, "adamw": 0.01, "rmsprop": 0.0, "nadam": 0.0, "muon": 0.1}),
    "momentum": Owned("optimizer", {"sgd": 0.9, "rmsprop": 0.0, "muon": 0.95}),
    "nesterov": Owned("optimizer", {"sgd": True, "muon": True}),
    "beta1": Owned("optimizer", {"adamw": 0.9, "nadam": 0.9, "muon": 0.9}),
    "beta2": Owned("optimizer", {"adamw": 0.999, "nadam": 0.999, "muon": 0.999}),
    "eps": Owned("optimizer", {"adamw": 1e-8, "rmsprop": 1e-8, "nadam": 1e-8, "muon": 1e-8}),
    "alpha": Owned("optimizer", {"rmsprop": 0.99}),
    "centered": Owned("optimizer", {"rmsprop": False}),
    "momentum_decay": Owned("optimizer", {"nadam": 4e-3}),
    "ns_steps": Owned("optimizer", {"muon": 5}),
    "milestones": Owned("schedule", {"step": (0.5, 0.75)}),
    "gamma": Owned("schedule", {"step": 0.1}),
    "policy_operations": Owned("policy", {"randaugment": 2}),
    "policy_magnitude": Owned("policy", {"randaugment": 9}),
}
"""Keys that depend on another key's value. `lr` and `weight_decay` exist for all optimizers, with defaults of each."""

TRAINING = "training_"
"""Prefix of the columns that records have for a candidate's keys of the recipe."""

OWNERS = ("optimizer", "schedule", "policy")
"""The keys on whose value others depend."""

SEARCHED = (
    "optimizer", "schedule", "policy", "lr", "weight_decay", "momentum", "nesterov", "beta1", "beta2", "eps", "alpha",
    "centered", "momentum_decay", "ns_steps", "gamma", "policy_operations", "policy_magnitude", "batch_size",
    "accumulate", "warmup", "loss", "label_smoothing", "clip", "augmentation", "erasing", "mixup", "cutmix", "ema",
    "dropout", "drop_path",
)  # fmt: skip
"""The keys that can be dimensions of a search space."""
