"""Asynchronous successive halving: at a few epochs, the rungs, only the better trials continue.

Better is the true non-dominated rank over (reading at the rung, costs), so that a small network is not stopped because
a large one is more accurate. A trial is compared with those that reached the rung before it and cost no more, in every
cost: only they can dominate it, and no other counts. Two rules decide:

- on the front of its rung it always continues;
- else it continues where fewer than a fraction 1 / factor of the rung come before it: those of a lower rank and, where
  an equal of it was there already, those of its own. Of others of its own rank none comes first: among trials that cost
  no more it lies at an end of its rank, where the crowding distance is infinite; that of an equal is 0.

Source: Li et al. 2020 (1810.05934), algorithm 2, with stopping in place of pausing; Deb et al. 2002 for rank and
crowding; Schmucker et al. 2021 (2106.12639) for ranks in halving, there among all trials of the rung.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import SpecError
from results import minimised, ranks

__all__ = ["Halving", "rungs", "survives"]

FACTOR = 3


class Halving:
    """Stops a trial whose rank among the cheaper ones of its rung is not in the best fraction.

    Without costs (asha, or a search that knows none) the rank is the reading's alone: asynchronous successive halving
    as it is published. Over a search for a front that stops every network that is small for its accuracy: 61 % of the
    hypervolume was left on 200 recorded trainings on digits (shared/design.md).

    Args:
        epochs: of a full training.
        costs: how many each trial has.
        maximise: whether a greater reading is better.
        use_costs: False compares readings alone.
        factor: a rung keeps one trial of this many, at least 2.

    Raises:
        SpecError: the factor is below 2.
    """

    def __init__(
        self, epochs: int, *, costs: int = 1, maximise: bool = True, use_costs: bool = True, factor: int = FACTOR
    ) -> None:
        if factor < 2:
            raise SpecError(f"factor of halving must be at least 2, got {factor}")
        self.count, self.use_costs, self.factor = costs, use_costs, factor
        self.sign = float(minimised([[1.0]], {"value": "maximize" if maximise else "minimize"})[0, 0])
        self.costs: dict[int, tuple[float, ...]] = {}
        self.epochs, self.reached = epochs, dict[int, int]()  # the last epoch of each trial
        self.rungs = {epoch: _Rung(1 + (costs if use_costs else 0)) for epoch in rungs(epochs, factor)}

    def begin(self, number: int, costs: Sequence[float], recipe: Mapping[str, Any] | None = None) -> None:
        """A trial starts; ranks do not depend on its recipe.

        Raises:
            SpecError: it has another number of costs than the pruner was told.
        """
        if len(costs) != self.count:
            raise SpecError(f"trial {number} must have {self.count} known costs, as the pruner was told, got {costs}")
        self.costs[number] = tuple(map(float, costs)) if self.use_costs else ()
        self.reached[number] = 0

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Puts the reading into its rung; True where the trial is to stop.

        Steps that leave a rung's epoch out are compared at the first reading beyond it.
        """
        since = self.reached[number]
        self.reached[number] = max(since, epoch)
        rung = self.rungs.get(max((one for one in self.rungs if since < one <= epoch), default=epoch))
        if rung is None or epoch >= self.epochs:
            return False
        reading = math.inf if math.isnan(value) else self.sign * value
        row = np.array([reading, *self.costs[number]])
        rung.remove(number)
        goes_on = survives(rung.rows, row, factor=self.factor)
        rung.add(number, row)
        return not goes_on

    def end(self, number: int, state: str, values: Sequence[float] | None = None) -> None:
        """A failed trial's readings are forgotten; those of others stay in their rungs."""
        if state == "failed":
            for rung in self.rungs.values():
                rung.remove(number)

    def given_away(self) -> None:
        """Ranks say nothing of what stopped trials were worth."""
        return


def rungs(epochs: int, factor: int = FACTOR) -> tuple[int, ...]:
    """The epochs at which trials are compared: 1, factor, factor squared, ... below the last.

    Example:
        >>> rungs(27, 3)
        (1, 3, 9)
    """
    found, epoch = [], 1
    while epoch < epochs:
        found.append(epoch)
        epoch *= factor
    return tuple(found)


def survives(rung: NDArray[np.float64], row: NDArray[np.float64], *, factor: int = FACTOR) -> bool:
    """Whether a trial continues from a rung.

    Args:
        rung: (n, 1 + costs), reading and costs of the others that reached it, all minimised, in any order.
        row: (1 + costs,), the trial's own.
        factor: the rung keeps one of this many.
    """
    cheaper = rung[(rung[:, 1:] <= row[1:]).all(axis=1)]
    same = (cheaper == row).all(axis=1)
    dominators = int(((cheaper[:, 0] <= row[0]) & ~same).sum())
    places = (len(cheaper) + 1) // factor
    if dominators == 0 or dominators >= places:  # all of them come before it: no need of the others' ranks
        return dominators == 0
    levels = ranks(np.vstack([cheaper, row]))
    own, others = levels[-1], levels[:-1]
    ahead = (others <= own) if same.any() else (others < own)
    return int(ahead.sum()) < places


class _Rung:
    """Rows of the trials that reached one epoch, in one array that grows by doubling."""

    def __init__(self, width: int) -> None:
        self.numbers: list[int] = []
        self.places: dict[int, int] = {}
        self.memory = np.empty((64, width))

    @property
    def rows(self) -> NDArray[np.float64]:
        """(n, width), in no order."""
        return self.memory[: len(self.numbers)]

    def add(self, number: int, row: NDArray[np.float64]) -> None:
        """One more trial."""
        if len(self.numbers) == len(self.memory):
            self.memory = np.concatenate([self.memory, np.empty_like(self.memory)])
        self.places[number] = len(self.numbers)
        self.memory[len(self.numbers)] = row
        self.numbers.append(number)

    def remove(self, number: int) -> None:
        """Forget a trial, if it is there; the last row takes its place."""
        place = self.places.pop(number, None)
        if place is None:
            return
        last = self.numbers.pop()
        if last != number:
            self.memory[place] = self.memory[len(self.numbers)]
            self.numbers[place], self.places[last] = last, place
