"""Which training is stopped before its last epoch: pruners by name, behind one protocol.

A pruner is a pure decision: no Ray, no files, no training, no clock, no randomness. It is told of every trial's begin,
of every epoch's reading and of the trial's end, and answers each reading with stop or continue. A pruner is rebuilt by
telling it the same things in the same order again, whatever it answers meanwhile.

    learned      what a trial can still be expected to add to the front, by forecasts from completed trials (learned.py)
    halving      a trial's non-dominated rank among those that reached the same epoch (halving.py)
    asha         its accuracy alone: large networks survive, the rest of the front is lost (halving.py)
    none         nothing: every training runs to its end
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from leni.errors import SpecError
from search.decide.stopping.halving import Halving
from search.decide.stopping.keep import KEEP
from search.decide.stopping.learned import Learned

__all__ = ["ALIASES", "ASHA_WARNING", "DEFAULT", "FROM_EPOCHS", "PRUNERS", "Pruner", "default_pruner", "pruner"]

DEFAULT = "learned"
FROM_EPOCHS = 9  # shorter trainings are not stopped by default: there is little to save, and less to judge by
ALIASES: Mapping[str, str] = {"improvement": "halving"}
"""Names of older versions. The pruner improvement decided as halving does, so old specs and runs use that."""
ASHA_WARNING = (
    "the pruner asha compares accuracy alone, so small networks are stopped however good they are for their size, and "
    "the cheap end of the front is lost; learned and halving keep it"
)


class Pruner(Protocol):
    """Decides, after each epoch of each trial, whether the trial is worth its remaining epochs."""

    def begin(self, number: int, costs: Sequence[float], recipe: Mapping[str, Any] | None = None) -> None:
        """A trial starts.

        Args:
            number: the study's, unique.
            costs: what is known of it before training, larger is worse (params, macs, ...); may be empty, and has the
                same length for every trial.
            recipe: its values of the space's dimensions by name; a dimension that it does not have is missing.
        """

    def report(self, number: int, epoch: int, value: float) -> bool:
        """One epoch's reading of the objective that has a curve.

        Args:
            number: of a trial that began.
            epoch: counted from 1; a trial's epochs come in order.
            value: the reading; NaN is worse than any other.

        Returns:
            True where the trial is to stop now; never at the last epoch.
        """

    def end(self, number: int, state: str, values: Sequence[float] | None = None) -> None:
        """A trial is over.

        Args:
            number: of a trial that began.
            state: "completed" (its curve becomes evidence), "stopped", or "failed" (its readings are forgotten).
            values: of a completed trial the final values of the uncertain objectives: first the one that has a curve,
                in its own unit, then the others, larger is worse. None where the last reading is all there is.
        """

    def given_away(self) -> float | None:
        """Fraction of the hypervolume that stopped trials were worth, by the pruner's estimate; None without one."""


@dataclass(frozen=True)
class _Setting:
    """What a pruner is made for; see `pruner`."""

    epochs: int
    costs: int
    others: int
    maximise: bool
    bounds: tuple[float, float] | None
    keep: float


def _learned(made: _Setting) -> Pruner:
    return Learned(
        made.epochs,
        costs=made.costs,
        others=made.others,
        maximise=made.maximise,
        bounds=made.bounds,
        keep=made.keep,
    )


def _halving(made: _Setting) -> Pruner:
    return Halving(made.epochs, costs=made.costs, maximise=made.maximise)


def _asha(made: _Setting) -> Pruner:
    return Halving(made.epochs, costs=made.costs, maximise=made.maximise, use_costs=False)


PRUNERS: Mapping[str, Callable[[_Setting], Pruner] | None] = {
    "learned": _learned,
    "halving": _halving,
    "asha": _asha,
    "none": None,
}
"""Name -> factory; None where nothing is stopped. Ranks, of halving and asha, need neither bounds nor keep."""


def default_pruner(epochs: int) -> str:
    """The name of the pruner that a training of so many epochs gets unless another is asked for."""
    return DEFAULT if epochs >= FROM_EPOCHS else "none"


def pruner(
    name: str,
    *,
    epochs: int,
    costs: int = 1,
    others: int = 0,
    maximise: bool = True,
    bounds: tuple[float, float] | None = None,
    keep: float = KEEP,
) -> Pruner | None:
    """A pruner by name, without any history; None for "none".

    Args:
        name: one of PRUNERS, or of ALIASES.
        epochs: of a full training, at least 1.
        costs: how many known costs every trial has, 0 for plain single-objective stopping.
        others: how many uncertain objectives there are beside the one with a curve.
        maximise: whether a greater reading is better.
        bounds: (least, greatest) value between which the objective's improvements count, as in the hypervolume by
            which the search is judged; None for the range of the completed trials. Halving compares ranks, which are
            the same on every scale.
        keep: fraction of the hypervolume that the pruner learned is to keep, in (0, 1].

    Raises:
        SpecError: there is no pruner of this name, or a value is out of its range.
    """
    name = ALIASES.get(name, name)
    if name not in PRUNERS:
        near = difflib.get_close_matches(name, PRUNERS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise SpecError(
            f"there is no pruner {name!r}; {hint}pruners are {', '.join(PRUNERS)}", code="LS-PRUNER-UNKNOWN"
        )
    if epochs < 1 or costs < 0 or others < 0:
        raise SpecError(
            f"a pruner needs at least 1 epoch and no negative number of objectives, got {epochs} epochs, {costs} known "
            f"costs and {others} other objectives"
        )
    if bounds is not None and not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
        raise SpecError(f"bounds of a pruner must be finite with least < greatest, got {bounds}")
    if not 0 < keep <= 1:
        raise SpecError(f"keep must be above 0 and at most 1, got {keep:g}")
    factory = PRUNERS[name]
    return None if factory is None else factory(_Setting(epochs, costs, others, maximise, bounds, keep))
