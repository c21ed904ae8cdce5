"""R seeds of one candidate: trained at once as one fused network where that pays, one after another where it does not.

On the CPU the way is chosen by a measurement of four steps each at the start (3 % of 12 epochs of digits). Both ways
end with the same numbers but for rounding, and the choice is part of the state, so a training that is taken up again
continues as it began.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import nn

from leni.errors import EvaluationError, LeniSearchError, SpecError
from search.training.data import Data, Part
from search.training.optimisers import unfusable
from search.training.recipe import Recipe
from search.training.train import Epoch, Lockstep, Resident
from spaces import Candidate

__all__ = ["FUSED", "ReplicaEpoch", "Replicas", "deviation"]

FUSED = "fused"
ROUNDS = 3  # steps of each way; the first, in which kernels are chosen, does not count
AGREEMENT = {torch.bfloat16: 0.1, torch.float32: 1e-3, torch.float64: 1e-9}  # of the first loss, both ways


@dataclass(frozen=True)
class ReplicaEpoch(Epoch):
    """What one epoch came to in all replicas; `accuracy` and `loss` are the means.

    Attributes:
        seeds: R of them.
        accuracies: of each seed, 0..1.
        losses: mean training loss of each seed.
    """

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]

    @classmethod
    def of(cls, epoch: int, seeds: Sequence[int], accuracies: Sequence[float], losses: Sequence[float]) -> ReplicaEpoch:
        """The means from the values of each seed."""
        return cls(epoch, fmean(accuracies), fmean(losses), tuple(seeds), tuple(accuracies), tuple(losses))

    @property
    def std(self) -> float:
        """Standard deviation of the accuracies, of a sample (R - 1 in the denominator); 0 with one seed."""
        return deviation(self.accuracies)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a seed: seed, epoch, accuracy, loss."""
        return [
            {"seed": seed, "epoch": self.epoch, "accuracy": accuracy, "loss": loss}
            for seed, accuracy, loss in zip(self.seeds, self.accuracies, self.losses, strict=True)
        ]


class Replicas:
    """Trainings of one candidate with R seeds, epoch by epoch side by side.

    Replica r ends where `Training(candidate, data, recipe, seed=seeds[r])` ends: to the bit with one seed or where they
    are trained one after another, but for rounding where they are fused.

    Args:
        candidate: what to train.
        data: its training part is learned, its validation part measured; its test part is not touched.
        recipe: how.
        seeds: R different ones.
        device: as for `Training`.
        dtype: as for `Training`.
        lr_factors: one a replica, on the learning rate that the candidate would have; None for 1.
        weight_decays: one a replica, in place of the recipe's; None for the recipe's.
        how: the way that was chosen before; None to choose.

    Attributes:
        how: "fused", or "separate: " and the reason in words.

    Raises:
        SpecError: no seed, one twice, or another number of factors or decays.
        InfeasibleWidth: as `spaces.build` does.

    Example:
        replicas = Replicas(candidate, load("digits"), Recipe(epochs=8), seeds=(0, 1, 2, 3))
        for epoch in replicas: print(epoch.accuracy, epoch.std)
    """

    def __init__(
        self,
        candidate: Candidate,
        data: Data,
        recipe: Recipe,
        *,
        seeds: Sequence[int],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        lr_factors: Sequence[float] | None = None,
        weight_decays: Sequence[float] | None = None,
        how: str | None = None,
    ) -> None:
        recipe = recipe.changed(dict(candidate.training))
        self.candidate, self.recipe, self.seeds = candidate, recipe, tuple(seeds)
        self.lr_factors = _one_each(lr_factors, 1.0, self.seeds, "lr_factors")
        self.weight_decays = _one_each(weight_decays, recipe.weight_decay or 0.0, self.seeds, "weight_decays")
        self.device, self.dtype = torch.device(device), dtype
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.resident = Resident.on(self.device, data)
        self.parts: list[Lockstep] = []
        self.how = how or self._choose()
        if not self.parts:
            self._build()

    def _lockstep(self, first: int, last: int) -> Lockstep:
        """The replicas first..last-1 as one."""
        return Lockstep(
            self.candidate,
            self.resident,
            self.recipe,
            seeds=self.seeds[first:last],
            device=self.device,
            dtype=self.dtype,
            lr_factors=self.lr_factors[first:last],
            weight_decays=self.weight_decays[first:last],
        )

    def _build(self) -> None:
        count = len(self.seeds)
        fused = self.how == FUSED
        self.parts = [self._lockstep(0, count)] if fused else [self._lockstep(r, r + 1) for r in range(count)]

    def _choose(self) -> str:
        """The way to train; leaves the fused network in `parts` where that is the way."""
        count = len(self.seeds)
        if count == 1:
            return "separate: there is one seed"
        if reason := unfusable(self.recipe):
            return f"separate: {reason}"
        single = self._lockstep(0, 1)
        try:
            fused = self._lockstep(0, count)
            with warnings.catch_warnings():  # torch then does an operation replica by replica, and says so
                warnings.filterwarnings("error", message="There is a performance drop")
                losses = fused.rehearse()[1]
        except (torch.OutOfMemoryError, LeniSearchError):
            raise
        except Exception as failure:  # noqa: BLE001 - whatever a module raises that cannot be batched
            return f"separate: {_sentence(failure)}"
        if not self._agree(losses[0], single.rehearse()[1][0]):
            return "separate: the fused network gives another loss"
        if self.device.type == "cpu":  # elsewhere launches, and not arithmetic, are what takes the time
            seconds = [(fused.rehearse()[0], single.rehearse()[0]) for _ in range(ROUNDS)]
            together, alone = (min(times) for times in zip(*seconds, strict=True))
            if together > count * alone:
                return f"separate: a fused step takes longer than {count} steps of one seed"
        self.parts = [fused]
        return FUSED

    def _agree(self, fused: float, single: float) -> bool:
        """Whether two losses are equal but for rounding; where one is not finite there is nothing to compare."""
        fast = self.device.type == "cuda" and self.recipe.amp
        bound = AGREEMENT[torch.bfloat16 if fast else self.dtype]
        return not math.isfinite(fused - single) or math.isclose(fused, single, rel_tol=bound)

    def __iter__(self) -> Iterator[ReplicaEpoch]:
        while not self.done:
            yield self.epoch()

    @property
    def epochs(self) -> int:
        """Epochs that are behind all replicas."""
        return self.parts[-1].epochs

    @property
    def done(self) -> bool:
        """Whether all of the recipe's epochs are behind them."""
        return self.parts[-1].done

    @property
    def peak_memory(self) -> int | None:
        """Bytes of the GPU's memory that were taken at most since the beginning; None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def epoch(self) -> ReplicaEpoch:
        """Train every replica one epoch, then measure.

        Raises:
            EvaluationError: a loss is not finite; the message has the seed.
        """
        losses: list[float] = []
        accuracies: list[float] = []
        for part in self.parts:
            losses += part.run_epoch()
            accuracies += part.accuracies()
        return ReplicaEpoch.of(self.epochs, self.seeds, accuracies, losses)

    def accuracies(self, part: Part) -> list[float]:
        """Share of a part of the data that each replica gets right as it is now, 0..1."""
        return [accuracy for lockstep in self.parts for accuracy in lockstep.accuracies(part)]

    def scores(self) -> list[dict[str, float]]:
        """What `search.training.scores` has of each replica on the validation part, as it is now."""
        return [scores for lockstep in self.parts for scores in lockstep.scores()]

    def networks(self) -> list[nn.Module]:
        """The network of each replica as it is now, in the order of the seeds."""
        return [network for part in self.parts for network in part.networks()]

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, the way included; a copy."""
        return {"how": self.how, "seeds": list(self.seeds), "parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, in the way that was chosen then.

        Raises:
            EvaluationError: it is the state of other seeds.
        """
        if state["seeds"] != list(self.seeds):
            raise EvaluationError(f"the state is one of seeds {state['seeds']}, not of seeds {list(self.seeds)}")
        self.how = state["how"]
        if len(state["parts"]) != len(self.parts):
            self._build()
        for part, values in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(values)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of a sample (R - 1 in the denominator); 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def _one_each(values: Sequence[float] | None, default: float, seeds: Sequence[int], name: str) -> list[float]:
    """One number a replica.

    Raises:
        SpecError: there is no seed, or one twice, or another number of values.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise SpecError(f"seeds must be at least one, each of them once, got {list(seeds)}")
    if values is not None and len(values) != len(seeds):
        raise SpecError(f"{name} must be {len(seeds)}, one a seed, got {list(values)}")
    return [default] * len(seeds) if values is None else [float(value) for value in values]


def _sentence(failure: Exception) -> str:
    """What went wrong, in its first sentence."""
    return " ".join(str(failure).split()).partition(". ")[0][:200] or type(failure).__name__
