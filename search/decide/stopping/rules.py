"""Which training is stopped before its last epoch: stoppers by name, behind one protocol.

A stopper is a pure decision: no Ray, no files, no training, no clock, no randomness. It is told of every trial's begin,
of every epoch's reading and of the trial's end, and answers each reading with stop or go on. A stopper is rebuilt by
telling it the same things in the same order again, whatever it answers meanwhile.

    improvement  what a trial can still be expected to add to the front, against what that would cost (improvement.py)
    halving      a trial's non-dominated rank among those that reached the same epoch (halving.py)
    asha         its accuracy alone: large networks survive, the rest of the front is lost (halving.py)
    none         nothing: every training runs to its end
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from leni.errors import SpecError
from search.decide.stopping.halving import Halving
from search.decide.stopping.improvement import Improvement

__all__ = ["ASHA_WARNING", "DEFAULT", "FROM_EPOCHS", "STOPPERS", "Stopper", "default_stopper", "stopper"]

DEFAULT = "improvement"
FROM_EPOCHS = 9  # shorter trainings are not stopped by default: there is little to save, and less to judge by
ASHA_WARNING = (
    "the stopper asha compares accuracy alone, so small networks are stopped however good they are for their size, and "
    "the cheap end of the front is lost; improvement and halving keep it"
)


class Stopper(Protocol):
    """Decides, after each epoch of each trial, whether the trial is worth its remaining epochs."""

    def begin(self, number: int, costs: Sequence[float]) -> None:
        """A trial starts.

        Args:
            number: the study's, unique.
            costs: what is known of it before training, larger is worse (params, macs, ...); may be empty, and has the
                same length for every trial.
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

    def end(self, number: int, state: str) -> None:
        """A trial is over.

        Args:
            number: of a trial that began.
            state: "completed" (its curve becomes evidence), "stopped", or "failed" (its readings are forgotten).
        """


def _improvement(epochs: int, costs: int, maximise: bool, bounds: tuple[float, float] | None) -> Stopper:
    return Improvement(epochs, costs=costs, maximise=maximise, bounds=bounds)


def _halving(epochs: int, costs: int, maximise: bool, bounds: tuple[float, float] | None) -> Stopper:
    return Halving(epochs, costs=costs, maximise=maximise)


def _asha(epochs: int, costs: int, maximise: bool, bounds: tuple[float, float] | None) -> Stopper:
    return Halving(epochs, costs=costs, maximise=maximise, use_costs=False)


STOPPERS: Mapping[str, Callable[[int, int, bool, tuple[float, float] | None], Stopper] | None] = {
    "improvement": _improvement,
    "halving": _halving,
    "asha": _asha,
    "none": None,
}
"""Name -> factory of (epochs, costs, maximise, bounds); None where nothing is stopped. Ranks need no bounds."""


def default_stopper(epochs: int) -> str:
    """The name of the stopper that a training of so many epochs gets unless another is asked for."""
    return DEFAULT if epochs >= FROM_EPOCHS else "none"


def stopper(
    name: str,
    *,
    epochs: int,
    costs: int = 1,
    maximise: bool = True,
    bounds: tuple[float, float] | None = None,
) -> Stopper | None:
    """A stopper by name, without any history; None for "none".

    Args:
        name: one of STOPPERS.
        epochs: of a full training, at least 1.
        costs: how many known costs every trial has, 0 for plain single-objective stopping.
        maximise: whether a greater reading is better.
        bounds: (least, greatest) value between which the objective's improvements count, as in the hypervolume by
            which the search is judged; None for the way that trainings go, from the middle first reading to the best
            final value seen. Halving compares ranks, which are the same on every scale.

    Raises:
        SpecError: there is no stopper of this name, or a value is out of its range.
    """
    if name not in STOPPERS:
        near = difflib.get_close_matches(name, STOPPERS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise SpecError(
            f"there is no stopper {name!r}; {hint}stoppers are {', '.join(STOPPERS)}", code="LS-STOPPER-UNKNOWN"
        )
    if epochs < 1 or costs < 0:
        raise SpecError(f"a stopper needs at least 1 epoch and no negative number of costs, got {epochs} and {costs}")
    if bounds is not None and not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
        raise SpecError(f"bounds of a stopper must be finite with least < greatest, got {bounds}")
    factory = STOPPERS[name]
    return None if factory is None else factory(epochs, costs, maximise, bounds)
