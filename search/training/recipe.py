"""The training recipe: SGD with Nesterov momentum, warm-up and cosine, weight decay on weights alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from leni.errors import SpecError

__all__ = ["Recipe", "learning_rate", "optimiser", "parameter_groups"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training part.
        batch_size: images a step; a last, smaller batch is left out.
        lr: peak learning rate at factor 1.
        momentum: of SGD, Nesterov's where it is above 0.
        weight_decay: on weights, not on biases, norms or what an activation asks to be spared.
        warmup: epochs of linear warm-up, then a cosine to 0.
        label_smoothing: in [0, 1).
        clip: largest norm of the gradient, 0 for none.
        amp: bf16 autocast and channels_last on CUDA.

    Raises:
        SpecError: a value out of its range.
    """

    epochs: int = 12
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 1.0
    label_smoothing: float = 0.0
    clip: float = 0.0
    amp: bool = True

    def __post_init__(self) -> None:
        kinds: dict[Any, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
        for item in fields(self):
            value = getattr(self, item.name)
            wrong = isinstance(value, bool) != (item.type == "bool") or not isinstance(value, kinds[item.type])
            if wrong:
                raise SpecError(f"{item.name} must be of type {item.type}, got {value!r}")
            if not math.isfinite(value):
                raise SpecError(f"{item.name} must be finite, got {value!r}")
        bounds = [
            (self.epochs >= 1, "epochs must be at least 1"),
            (self.batch_size >= 1, "batch_size must be at least 1"),
            (self.lr > 0, "lr must be above 0"),
            (0 <= self.momentum < 1, "momentum must be in [0, 1)"),
            (self.weight_decay >= 0, "weight_decay must not be below 0"),
            (self.warmup >= 0, "warmup must not be below 0"),
            (0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)"),
            (self.clip >= 0, "clip must not be below 0"),
        ]
        for holds, sentence in bounds:
            if not holds:
                raise SpecError(f"{sentence}, got {getattr(self, sentence.split()[0])}")


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of one step, at factor 1.

    Args:
        recipe: peak rate, epochs and warm-up.
        step: counted from 0 over the whole training.
        steps_per_epoch: how many steps one epoch has.

    Returns:
        Linear to the peak over the warm-up, then half a cosine that would reach 0 one step after the last
        (Loshchilov & Hutter, 1608.03983, without restarts).
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(recipe.warmup, recipe.epochs / 2) * steps_per_epoch
    if step < warmup:
        return recipe.lr * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, total - warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with and without weight decay.

    Without it: biases, norms and whatever has one dimension, and what a module's `no_weight_decay()` names among its
    own parameters (timm's convention; LENI's K and w1 are of those).
    """
    spared = set()
    for module in network.modules():
        names: set[str] = getattr(module, "no_weight_decay", set)()
        spared |= {id(module.get_parameter(name)) for name in names}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in network.parameters():
        (decayed if parameter.ndim > 1 and id(parameter) not in spared else free).append(parameter)
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def optimiser(network: nn.Module, recipe: Recipe, *, fused: bool = False) -> torch.optim.SGD:
    """SGD over `parameter_groups`; the learning rate is set before every step."""
    return torch.optim.SGD(
        parameter_groups(network, recipe.weight_decay),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=fused,
    )
