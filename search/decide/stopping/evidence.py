"""What a pruner has been told: costs, recipes, learning curves and final values, in arrays that grow by doubling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import SpecError
from results import minimised

__all__ = ["Evidence"]

Array = NDArray[np.float64]
FIRST_ROWS = 64


class Evidence:
    """Trials by row, everything minimised.

    Args:
        epochs: of a full training.
        costs: how many known costs every trial has.
        others: how many uncertain objectives there are beside the measured one.
        maximise: whether a greater value of the measured objective is better.

    Attributes:
        costs: (rows, costs).
        curves: (rows, epochs), readings; NaN where none was told, infinite where it was not finite.
        finals: (rows, 1 + others), final values of completed trials.
        recipes: values of the space's dimensions by row.
        completed: rows with a finite final value in every objective, in the order in which they ended.
        stopped: last epoch with a reading of stopped trials, by row.
        limits: (2, costs), least and greatest costs of trials that did not fail.
        revision: grows with every change of what a forecast is learned from.
    """

    def __init__(self, epochs: int, *, costs: int, others: int, maximise: bool) -> None:
        self.epochs, self.count, self.others = epochs, costs, others
        self.sign = float(minimised([[1.0]], {"value": "maximize" if maximise else "minimize"})[0, 0])
        self.rows: dict[int, int] = {}
        self.costs = np.full((FIRST_ROWS, costs), np.nan)
        self.curves = np.full((FIRST_ROWS, epochs), np.nan)
        self.finals = np.full((FIRST_ROWS, 1 + others), np.nan)
        self.recipes: list[Mapping[str, Any]] = []
        self.completed: list[int] = []
        self.stopped: dict[int, int] = {}
        self.failed: set[int] = set()
        self.limits = np.array([[np.inf] * costs, [-np.inf] * costs])
        self.revision = 0

    @property
    def begun(self) -> int:
        """Trials that began and did not fail."""
        return len(self.rows) - len(self.failed)

    def begin(self, number: int, costs: Sequence[float], recipe: Mapping[str, Any]) -> None:
        """A trial starts; one that begins again starts anew.

        Raises:
            SpecError: it has another number of costs than the pruner was told.
        """
        if len(costs) != self.count:
            raise SpecError(f"trial {number} must have {self.count} known costs, as the pruner was told, got {costs}")
        row = self.rows.setdefault(number, len(self.rows))
        if row == len(self.recipes):
            self.recipes.append({})
            self._grow(row + 1)
        self._forget(row)
        self.failed.discard(row)
        self.costs[row], self.recipes[row] = costs, dict(recipe)
        self.limits = np.array([np.fmin(self.limits[0], costs), np.fmax(self.limits[1], costs)])

    def report(self, row: int, epoch: int, value: float) -> None:
        """One reading, epochs from 1."""
        self.curves[row, epoch - 1] = self.sign * value if math.isfinite(value) else math.inf

    def end(self, number: int, state: str, values: Sequence[float] | None) -> None:
        """A trial is over; see `rules.Pruner.end`.

        Raises:
            SpecError: a completed trial has another number of final values than there are uncertain objectives.
        """
        row = self.rows[number]
        told = np.flatnonzero(~np.isnan(self.curves[row]))
        if state == "failed":
            self._forget(row)
            self.failed.add(row)
            kept = np.delete(self.costs[: len(self.rows)], list(self.failed), axis=0)
            known = np.where(np.isnan(kept), [[[np.inf]], [[-np.inf]]], kept)
            self.limits = np.array([known[0].min(axis=0, initial=np.inf), known[1].max(axis=0, initial=-np.inf)])
        elif state == "completed":
            if values is None and len(told) and not self.others:
                values = [self.sign * self.curves[row, told[-1]]]
            self._complete(number, row, values)
        elif len(told):
            self.stopped[row] = int(told[-1]) + 1

    def _complete(self, number: int, row: int, values: Sequence[float] | None) -> None:
        if values is None:
            return
        if len(values) != 1 + self.others:
            raise SpecError(f"trial {number} must have {1 + self.others} final values, got {list(values)}")
        self.finals[row] = [self.sign * values[0], *values[1:]]
        if np.isfinite(self.finals[row]).all() and np.isfinite(self.costs[row]).all():
            self.completed.append(row)
            self.revision += 1

    def positions(self, rows: Sequence[int] | NDArray[np.int64]) -> Array:
        """(rows, costs): each cost between the least (0) and the greatest (1) that a trial has had.

        The scale is logarithmic where all values are positive.
        """
        logarithmic = self.limits[0] > 0
        least, greatest = np.log10(self.limits, where=logarithmic, out=self.limits.copy())
        costs = self.costs[rows]
        places = np.log10(costs, where=logarithmic & (costs > 0), out=costs.copy())
        return np.asarray((places - least) / np.where(greatest > least, greatest - least, 1.0))

    def _grow(self, rows: int) -> None:
        """Memory for so many rows."""
        for name in ("costs", "curves", "finals"):
            old = getattr(self, name)
            if rows > len(old):
                setattr(self, name, np.concatenate([old, np.full_like(old, np.nan)]))

    def _forget(self, row: int) -> None:
        """A trial without readings and end."""
        self.curves[row] = np.nan
        self.finals[row] = np.nan
        self.stopped.pop(row, None)
        if row in self.completed:
            self.completed.remove(row)
            self.revision += 1
