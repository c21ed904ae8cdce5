"""The training recipe: optimizer, learning rate schedule, loss, augmentation and regularisation, as checked values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from leni.errors import SpecError
from spaces.recipe_keys import CHOICES, OWNED, OWNERS

__all__ = ["Recipe"]

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "bool": (bool,), "str": (str,), "tuple[float, ...]": (tuple, list),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Keys that depend on the optimizer, the schedule or the policy are None where they do not exist; where they exist and
    are not given, they take the defaults of `spaces.recipe_keys`.

    Attributes:
        epochs: passes over the training part.
        batch_size: images per optimizer step; a last, smaller batch is left out.
        accumulate: parts in which a batch is computed, one after another, to save memory; their gradients are averaged.
        optimizer: "sgd", "adamw", "rmsprop", "nadam" or "muon" (`search.training.optimisers`).
        lr: peak learning rate at factor 1.
        weight_decay: on weights, not on biases, norms or what an activation excludes.
        momentum: of sgd, rmsprop and muon.
        nesterov: whether the momentum of sgd and muon is Nesterov's.
        beta1: of adamw and nadam, and of the AdamW part of muon.
        beta2: likewise.
        eps: of adamw, rmsprop and nadam, and of the AdamW part of muon.
        alpha: smoothing constant of rmsprop.
        centered: whether rmsprop normalises by an estimate of the variance.
        momentum_decay: of nadam.
        ns_steps: Newton-Schulz iterations of muon.
        schedule: "cosine", "linear", "step", "one-cycle" or "constant" (`search.training.schedules`).
        warmup: epochs of linear warm-up before the schedule, at most half of all epochs.
        milestones: of the step schedule: fractions of the epochs at which the rate is multiplied by gamma.
        gamma: of the step schedule.
        loss: "cross-entropy", or "bce", binary cross-entropy of each class.
        label_smoothing: in [0, 1).
        clip: largest norm of the gradient, 0 for none.
        augmentation: "data" for what the data set says, or "none", "crop" (shifts by up to 4 pixels), "flip",
            "crop-flip", "resized-crop" or "resized-crop-flip" (torchvision's RandomResizedCrop).
        policy: "none", "randaugment" or "trivialaugment", after the crop and the flip.
        policy_operations: of randaugment, per image.
        policy_magnitude: of randaugment, 0..30.
        erasing: probability that a rectangle of an image is replaced by the mean colour.
        mixup: parameter of mixup's beta distribution, 0 for none; with cutmix above 0, each batch takes one of both.
        cutmix: likewise of cutmix.
        ema: decay of an exponential moving average of the weights, which is then evaluated in place of the weights;
            0 for none.
        dropout: probability of the network's dropout layers; None as the network has it.
        drop_path: greatest probability of the network's stochastic depth, linear from 0 at the first block; None as
            the network has it.
        given: keys that were given for the run, rather than taken from defaults.
        amp: bf16 autocast and channels_last on CUDA.
        cuda_graph: on CUDA, capture the step once and replay it, which small networks, bound by launches, gain from.
            Possible with sgd, accumulate 1 and augmentations up to "crop-flip"; other recipes are not captured.
        weights: file of trained weights that every training starts from (`search.training.weights_file`); empty for a
            fresh start.
        freeze: "none", or "backbone" to train the activations' own parameters alone.

    Raises:
        SpecError: a value out of its range, or a key that does not exist beside the optimizer, schedule or policy.
    """

    epochs: int = 12
    batch_size: int = 128
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    warmup: float = 1.0
    label_smoothing: float = 0.0
    clip: float = 0.0
    amp: bool = True
    cuda_graph: bool = True
    accumulate: int = 1
    optimizer: str = "sgd"
    nesterov: bool | None = None
    beta1: float | None = None
    beta2: float | None = None
    eps: float | None = None
    alpha: float | None = None
    centered: bool | None = None
    momentum_decay: float | None = None
    ns_steps: int | None = None
    schedule: str = "cosine"
    milestones: tuple[float, ...] | None = None
    gamma: float | None = None
    loss: str = "cross-entropy"
    augmentation: str = "data"
    policy: str = "none"
    policy_operations: int | None = None
    policy_magnitude: int | None = None
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    dropout: float | None = None
    drop_path: float | None = None
    weights: str = ""
    freeze: str = "none"
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for item in KEYS:
            _check_kind(item.name, str(item.type), getattr(self, item.name))
        for name, known in CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for name, owned in OWNED.items():
            beside = getattr(self, owned.owner)
            if getattr(self, name) is None:
                object.__setattr__(self, name, owned.defaults.get(beside))
            elif beside not in owned.defaults:
                has = ", ".join(owned.defaults)
                raise SpecError(f"{name} must not be given with {owned.owner} {beside!r}; it belongs to {has}")
        if self.milestones is not None:
            object.__setattr__(self, "milestones", tuple(self.milestones))
        self._check_bounds()

    def values(self) -> dict[str, Any]:
        """All keys with their values; None where a key does not exist, or leaves the network as it is."""
        return {item.name: getattr(self, item.name) for item in KEYS}

    def changed(self, training: Mapping[str, Any]) -> Recipe:
        """The recipe with other values of some keys, such as those that a candidate has.

        A key that belongs to an optimizer, schedule or policy that is replaced takes the default of the new one, unless
        it was given for the run and the new one has it too.

        Args:
            training: values by key.

        Raises:
            SpecError: as the class.
        """
        if not training:
            return self
        replaced = {owner: training[owner] for owner in OWNERS if training.get(owner, getattr(self, owner))
                    != getattr(self, owner)}  # fmt: skip
        kept = {}
        for key, value in self.values().items():
            owned = OWNED.get(key)
            stays = (
                owned is None
                or owned.owner not in replaced
                or (key in self.given and replaced[owned.owner] in owned.defaults)
            )
            if stays and value is not None:
                kept[key] = value
        return Recipe(**{**kept, **training}, given=self.given)

    def _check_bounds(self) -> None:
        """Every number is within its range."""
        wrong = [
            name
            for name, (low, high, open_low, open_high) in _BOUNDS.items()
            if (value := getattr(self, name)) is not None
            and not (low <= value <= high and (value > low or not open_low) and (value < high or not open_high))
        ]
        for name in wrong:
            raise SpecError(f"{name} must be {_told(*_BOUNDS[name])}, got {getattr(self, name)}")
        marks = self.milestones or ()
        numbers = [mark for mark in marks if isinstance(mark, (int, float)) and not isinstance(mark, bool)]
        if len(numbers) < len(marks) or not all(0 < mark < 1 for mark in numbers) or sorted(set(marks)) != list(marks):
            raise SpecError(f"milestones must be increasing fractions of the epochs in (0, 1), got {list(marks)}")
        if self.accumulate > self.batch_size:
            raise SpecError(f"accumulate must be at most batch_size {self.batch_size}, got {self.accumulate}")
        if self.schedule == "one-cycle" and self.warmup == 0:
            raise SpecError("warmup must be above 0 with schedule 'one-cycle', which rises over it, got 0")


KEYS = tuple(item for item in fields(Recipe) if item.name != "given")
"""The dataclass fields that are keys of [training], and epochs."""
_UP = math.inf
_BOUNDS: dict[str, tuple[float, float, bool, bool]] = {  # least, greatest, and whether each is itself excluded
    "epochs": (1, _UP, False, False), "batch_size": (1, _UP, False, False), "lr": (0, _UP, True, False),
    "momentum": (0, 1, False, True), "weight_decay": (0, _UP, False, False), "warmup": (0, _UP, False, False),
    "label_smoothing": (0, 1, False, True), "clip": (0, _UP, False, False), "accumulate": (1, _UP, False, False),
    "beta1": (0, 1, False, True), "beta2": (0, 1, False, True), "eps": (0, _UP, True, False),
    "alpha": (0, 1, False, True), "momentum_decay": (0, _UP, False, False), "ns_steps": (1, 99, False, False),
    "gamma": (0, 1, True, False), "policy_operations": (1, _UP, False, False),
    "policy_magnitude": (0, 30, False, False),
    "erasing": (0, 1, False, False), "mixup": (0, _UP, False, False), "cutmix": (0, _UP, False, False),
    "ema": (0, 1, False, True), "dropout": (0, 1, False, True), "drop_path": (0, 1, False, True),
}  # fmt: skip


def _told(low: float, high: float, open_low: bool, open_high: bool) -> str:
    """A range in words."""
    if high == _UP:
        return f"above {low:g}" if open_low else f"at least {low:g}"
    return f"in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"


def _check_kind(name: str, declared: str, value: Any) -> None:
    """A value is of the declared type, and finite."""
    kind, _, optional = declared.partition(" | ")
    if value is None and optional:
        return
    if isinstance(value, bool) != (kind == "bool") or not isinstance(value, _KINDS[kind]):
        word = {"tuple[float, ...]": "list of numbers"}.get(kind, kind)
        raise SpecError(f"{name} must be of type {word}, got {value!r}")
    if isinstance(value, (int, float)) and not math.isfinite(value):
        raise SpecError(f"{name} must be finite, got {value!r}")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = get_close_matches(value, known, n=1, cutoff=0.0)
        raise SpecError(f"{name} must be one of {', '.join(known)}, got {value!r}; {near[0]!r} is nearest")
