"""A pruner that learns how much an epoch tells, and gives away no more of the hypervolume than it was asked to.

A training's final values are forecast from its costs, its recipe and, where the completed trainings show that it tells
something, its curve so far (`final_values.py`). Costs are known, so the hypervolume that the training can still be
expected to add to the completed ones is exact: a sum over the boxes of the undominated space.

All that stopped trainings could have added, jointly and against the completed ones as they are now, is what has been
given away. It may come to `1 - keep` of the hypervolume. What is left of that is spent evenly: a training is stopped
when its own expected gain is below SPEND times the rest, divided by the trials that have begun, and in proportion to
the epochs that its end saves. As the front grows, less counts as given away, and more may be spent; where early epochs
and recipe tell nothing, every gain stays large and nothing is stopped.

Source: Emmerich, Yang, Deutz, Wang and Fonseca 2016 for the expected improvement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import SpecError
from search.decide.stopping.evidence import Evidence
from search.decide.stopping.final_values import Forecasts
from search.decide.stopping.keep import KEEP
from search.decide.stopping.undominated import Undominated

__all__ = ["Learned"]

Array = NDArray[np.float64]
START = 10  # completed trainings before the first forecast
SPEND = 10.0  # of what may still be given away, times one over the trials begun: what one training may cost
LEAST = 0.1  # of what may be given away at all, likewise, when nothing of it is left
SLOTS = 200  # places on a learning curve
AGAIN = 1.25  # forecasts of stopped trainings are made anew at so many times as many completed ones


class Learned:
    """Stops a training whose expected gain is less than what may be given away for it.

    Args:
        epochs: of a full training; or its steps, of which at most `SLOTS` places are told apart.
        costs: how many known costs every trial has.
        others: how many uncertain objectives there are beside the measured one; larger is worse.
        maximise: whether a greater value of the measured objective is better.
        bounds: (least, greatest) value of the measured objective, the scale of gains; None for the range of the
            completed trainings.
        keep: fraction of the hypervolume to keep, by the pruner's own estimate, in (0, 1].

    Raises:
        SpecError: keep is out of its range.
    """

    def __init__(
        self,
        epochs: int,
        *,
        costs: int = 1,
        others: int = 0,
        maximise: bool = True,
        bounds: tuple[float, float] | None = None,
        keep: float = KEEP,
    ) -> None:
        if not 0 < keep <= 1:
            raise SpecError(f"keep must be above 0 and at most 1, got {keep}")
        self.epochs, self.keep = epochs, keep
        self.slots = min(epochs, SLOTS)
        self.evidence = Evidence(self.slots, costs=costs, others=others, maximise=maximise)
        self.bounds = None if bounds is None else np.sort(self.evidence.sign * np.array(bounds))
        self.forecasts = Forecasts(self.evidence)
        self.space: Undominated | None = None
        self.lost: dict[int, tuple[Array, Array]] = {}  # forecasts of stopped trials by row
        self.learned = 0  # completed trainings when they were made
        self.given: float | None = None

    def begin(self, number: int, costs: Sequence[float], recipe: Mapping[str, Any] | None = None) -> None:
        """A trial starts; one with a cost of NaN is never stopped, nor evidence.

        Raises:
            SpecError: it has another number of costs than the pruner was told.
        """
        limits, completed = self.evidence.limits, self.evidence.revision
        self.evidence.begin(number, costs, recipe or {})
        self.lost.pop(self.evidence.rows[number], None)
        if completed != self.evidence.revision or (limits != self.evidence.limits).any():
            self.space = self.given = None

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Keeps the reading; True where the trial is to stop."""
        if epoch > self.epochs:
            return False
        evidence = self.evidence
        row, slot = evidence.rows[number], max(1, epoch * self.slots // self.epochs)
        evidence.report(row, slot, value)
        if epoch == self.epochs or self.keep == 1 or len(evidence.completed) < START:
            return False
        if np.isnan(evidence.costs[row]).any():
            return False
        space = self._space()
        gain = float(space.gains([row], *self._forecast([row], [slot]))[0])
        may = (1 - self.keep) * space.volume
        price = max(SPEND * (may - self._given()), LEAST * may) / evidence.begun
        return gain < price * (self.epochs - epoch) / self.epochs

    def end(self, number: int, state: str, values: Sequence[float] | None = None) -> None:
        """A completed trial becomes evidence, a stopped one counts as given away, a failed one is forgotten.

        Raises:
            SpecError: a completed trial has another number of final values than there are uncertain objectives.
        """
        self.evidence.end(number, state, values)
        row = self.evidence.rows[number]
        if state == "stopped" and row in self.evidence.stopped and len(self.evidence.completed) >= START:
            self.lost[row] = _one(self._forecast([row], [self.evidence.stopped[row]]))
        if state != "stopped":
            self.space = None
        self.given = None

    def given_away(self) -> float | None:
        """Fraction of the hypervolume that the stopped trials are expected to have been worth; None if not known yet.

        Their forecasts are made anew from all that is known by now.
        """
        if len(self.evidence.completed) < START:
            return 0.0 if not self.evidence.stopped else None
        self.learned = 0
        self.given = None
        lost, volume = self._given(), self._space().volume
        return lost / (volume + lost) if volume + lost > 0 else None

    def _forecast(self, rows: Sequence[int], epochs: Sequence[int]) -> tuple[Array, Array]:
        """Means and standard deviations of final values, (rows, 1 + others) each."""
        means = np.empty((len(rows), 1 + self.evidence.others))
        deviations = np.empty_like(means)
        for epoch in sorted(set(epochs)):
            there = [place for place, reached in enumerate(epochs) if reached == epoch]
            for objective in range(means.shape[1]):
                means[there, objective], deviations[there, objective] = self.forecasts.at(
                    objective, epoch, [rows[place] for place in there]
                )
        return means, deviations

    def _space(self) -> Undominated:
        """The undominated space of the completed trials."""
        if self.space is None:
            self.space = Undominated.of(self.evidence, self.bounds)
        return self.space

    def _given(self) -> float:
        """Hypervolume that the stopped trials can be expected to have added, all together."""
        if self.given is None:
            self._learn_again()
            rows = [row for row in self.lost if np.isfinite(self.evidence.costs[row]).all()]
            if not rows:
                self.given = 0.0
                return self.given
            means = np.array([self.lost[row][0] for row in rows])
            deviations = np.array([self.lost[row][1] for row in rows])
            self.given = self._space().joint_gain(rows, means, deviations)
        return self.given

    def _learn_again(self) -> None:
        """Make the forecasts of stopped trials anew, now and then, as more is known."""
        if len(self.evidence.completed) < AGAIN * self.learned or not self.evidence.stopped:
            return
        self.learned = len(self.evidence.completed)
        rows, epochs = zip(*self.evidence.stopped.items(), strict=True)
        found = zip(*self._forecast(rows, epochs), strict=True)
        self.lost = dict(zip(rows, found, strict=True))


def _one(forecast: tuple[Array, Array]) -> tuple[Array, Array]:
    """A forecast of one row."""
    return forecast[0][0], forecast[1][0]
