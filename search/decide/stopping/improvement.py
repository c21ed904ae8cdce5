"""Expected improvement: a training is stopped when it is expected to add less than its remaining epochs are worth.

What a trial can add is hypervolume: its final value is forecast (`forecast.py`), its costs are known, and it is
measured against the completed trials that cost no more than it does, in every cost. Dearer ones are never held against
it, and where none is as cheap the trial is never stopped. So the added volume is a box: the costs between its own and
the reference, times the gain that a normal forecast leaves to expect over the best of them, in closed form. (It may
reach over what a dearer trial has added already.)

What it would cost is the share of its epochs that is left, and the price of a whole training is twice what a trial has
added on average so far, at most: the unit box over the number of trials. So early in a search little is risked for
little; late in it, when a gain of any size has become rare, a small one is worth waiting for; and no length of the
search has to be known in advance.

A forecast is a guess while a curve is short. So a trial that successive halving would let go on from a rung is not
stopped before the next: those among the best of their rung by rank, or on its front. Of the others expected improvement
spares the ones whose outcome is open.

A stopped trial's forecast stays as evidence, with its uncertainty; so trials like it are stopped sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from results import is_non_dominated, minimised
from search.decide.stopping.forecast import forecast
from search.decide.stopping.halving import Halving

__all__ = ["Improvement", "expected_gain"]

THRESHOLD = 2.0
EVIDENCE = 3  # completed trainings before the first forecast
COMPLETED_KEPT, STOPPED_KEPT = 200, 300  # the latest of each that a forecast uses, so that its time is bounded
REFERENCE = 1.01  # of the value, scaled to 0 (best) .. 1 (worst)
DEAREST = 1.25  # reference of the costs, where 1 is the dearest so far: dearer ones may come
FINE = 1e-4  # of the value's scale: less is not a difference


def expected_gain(best: float, mean: float, sd: float) -> float:
    """Expected E[max(best - Y, 0)] of a normal Y, minimised.

    Source: Jones, Schonlau, Welch 1998, equation 15.

    Example:
        >>> round(expected_gain(0.0, 0.0, 1.0), 4)
        0.3989
    """
    z = (best - mean) / sd
    return float(sd * (z * ndtr(z) + math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)))


class Improvement:
    """Stops a trial whose expected gain of hypervolume is below the price of its remaining epochs.

    Args:
        epochs: of a full training.
        costs: how many each trial has; all positive values of a cost are scaled by their logarithm.
        maximise: whether a greater reading is better.
        bounds: (least, greatest) value, the scale of gains; None for the way from the middle first reading to the best
            final value, as far as they have been seen.
        threshold: the price of a full training, in what a trial has added on average so far.
    """

    def __init__(
        self,
        epochs: int,
        *,
        costs: int = 1,
        maximise: bool = True,
        bounds: tuple[float, float] | None = None,
        threshold: float = THRESHOLD,
    ) -> None:
        self.epochs, self.threshold = epochs, threshold
        self.sign = float(minimised([[1.0]], {"value": "maximize" if maximise else "minimize"})[0, 0])
        self.bounds = None if bounds is None else tuple(sorted(self.sign * bound for bound in bounds))
        self.halving = Halving(epochs, costs=costs, maximise=maximise)
        self.kept: set[int] = set()  # rows that halving let go on from their last rung
        self.rows: dict[int, int] = {}
        self.costs = np.empty((0, costs))
        self.curves = np.empty((0, epochs))
        self.finals = np.empty((0, 2))  # mean and variance of each trial's final value
        self.front = np.empty((0, 1 + costs))  # of the completed trials: final value, costs
        self.limits = np.array([[np.inf] * costs, [-np.inf] * costs])  # least and greatest costs
        self.forecasts: dict[int, tuple[float, float]] = {}
        self.completed: list[int] = []
        self.stopped: list[int] = []
        self.failed: set[int] = set()

    def begin(self, number: int, costs: Sequence[float]) -> None:
        """A trial starts; one that begins again starts anew. One with a cost of NaN is never stopped, nor evidence.

        Raises:
            SpecError: it has another number of costs than the stopper was told.
        """
        self.halving.begin(number, costs)
        row = self.rows.setdefault(number, len(self.rows))
        if row == len(self.costs):
            self._grow()
        self._forget(row)
        self.failed.discard(row)
        self.costs[row] = costs
        self.limits = np.array([np.fmin(self.limits[0], costs), np.fmax(self.limits[1], costs)])

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Keeps the reading; True where the trial is to stop."""
        if epoch > self.epochs:
            return False
        row = self.rows[number]
        if epoch in self.halving.rungs:
            self.kept.discard(row)
            if not self.halving.report(number, epoch, value):
                self.kept.add(row)
        self.curves[row, epoch - 1] = math.inf if math.isnan(value) else self.sign * value
        return epoch < self.epochs and self._hopeless(row, epoch)

    def end(self, number: int, state: str) -> None:
        """A completed curve becomes evidence, a stopped one with its last forecast; a failed one is forgotten."""
        self.halving.end(number, state)
        row = self.rows[number]
        if state == "failed":
            self._forget(row)
            self.failed.add(row)
            kept = np.delete(self.costs[: len(self.rows)], list(self.failed), axis=0)
            known = np.where(np.isnan(kept), [[[np.inf]], [[-np.inf]]], kept)
            self.limits = np.array([known[0].min(axis=0, initial=np.inf), known[1].max(axis=0, initial=-np.inf)])
        elif state == "completed":
            read = np.flatnonzero(~np.isnan(self.curves[row]))
            if len(read) and np.isfinite(self.curves[row, read[-1]]):
                self.finals[row] = self.curves[row, read[-1]], 0.0
                self.completed.append(row)
                self._keep_front([*self.front, [self.finals[row, 0], *self.costs[row]]])
        elif row in self.forecasts:
            self.finals[row] = self.forecasts[row]
            self.stopped.append(row)
        self.forecasts.pop(row, None)

    def _grow(self) -> None:
        """Twice the memory."""
        more = max(64, len(self.costs))
        for name in ("costs", "curves", "finals"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((more, old.shape[1]), np.nan)]))

    def _forget(self, row: int) -> None:
        """A trial without readings."""
        self.curves[row] = np.nan
        self.forecasts.pop(row, None)
        self.kept.discard(row)
        if row in self.stopped:
            self.stopped.remove(row)
        if row in self.completed:
            self.completed.remove(row)
            self._keep_front([[self.finals[other, 0], *self.costs[other]] for other in self.completed])

    def _keep_front(self, rows: Sequence[Sequence[float]]) -> None:
        """The completed trials that a later one can be measured against: no other is better and as cheap."""
        values = np.array(rows, dtype=np.float64).reshape(len(rows), self.front.shape[1])
        self.front = np.unique(values[is_non_dominated(values)], axis=0)

    def _hopeless(self, row: int, epoch: int) -> bool:
        """Whether the trial's expected gain is below its price."""
        best = self._incumbent(row)
        if best is None:
            return False
        reading = self.curves[row, epoch - 1]
        if not np.isfinite(reading):
            return bool(reading > 0)
        if row in self.kept:
            return False
        ended = np.array(self.completed[-COMPLETED_KEPT:] + self.stopped[-STOPPED_KEPT:])
        there = np.isfinite(self.curves[ended, epoch - 1]) & np.isfinite(self.costs[ended]).all(axis=1)
        if there[: min(len(self.completed), COMPLETED_KEPT)].sum() < EVIDENCE:
            return False
        evidence, position = ended[there], self._positions(np.array([row]))[0]
        least, greatest = self.bounds or self._range()
        scale = greatest - least
        mean, sd = forecast(
            reading,
            self.curves[evidence, epoch - 1],
            self.finals[evidence, 0],
            variances=self.finals[evidence, 1],
            distances=self._positions(evidence) - position,
            floor=FINE * scale,
        )
        self.forecasts[row] = mean, sd**2
        gain = expected_gain(min((best - least) / scale, REFERENCE), (mean - least) / scale, sd / scale)
        price = self.threshold / self._count() * (self.epochs - epoch) / self.epochs
        return bool(np.prod(DEAREST - position) * gain < price)

    def _incumbent(self, row: int) -> float | None:
        """The best final value among completed trials that cost no more, minimised; None where there is none."""
        cheaper = (self.front[:, 1:] <= self.costs[row]).all(axis=1)
        return float(self.front[cheaper, 0].min()) if cheaper.any() else None

    def _count(self) -> int:
        """Trials that began and did not fail."""
        return len(self.rows) - len(self.failed)

    def _positions(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(rows, costs): each cost between the least (0) and the greatest (1) that a trial has had."""
        logarithmic = self.limits[0] > 0
        least, greatest = np.log10(self.limits, where=logarithmic, out=self.limits.copy())
        costs = self.costs[rows]
        places = np.log10(costs, where=logarithmic, out=costs.copy())
        return np.asarray((places - least) / np.where(greatest > least, greatest - least, 1.0))

    def _range(self) -> tuple[float, float]:
        """The best final value, and what the middle trial read after its first epoch; a unit apart if that is none."""
        least = float(self.front[:, 0].min())
        first = self.curves[: len(self.rows), 0]
        greatest = float(np.median(first[np.isfinite(first)])) if np.isfinite(first).any() else least
        return (least, greatest) if greatest > least else (least, least + 1.0)
