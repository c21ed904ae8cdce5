"""What trainings can be expected to add to the hypervolume of the completed ones.

Forecast errors have Student's distribution: on recorded trainings the errors of a normal forecast with the deviation of
the leave-one-out errors exceed three deviations ten times as often as they should.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results import hypervolume, is_non_dominated
from search.decide.known_cost.expected_improvement import Factor, Known, Student, boxes, expected_over
from search.decide.stopping.evidence import Evidence

__all__ = ["Undominated"]

Array = NDArray[np.float64]
REFERENCE = 1.01  # on each objective's scale, 0 best, 1 worst
FREEDOM = (3.0, 10.0)  # least and most degrees of freedom of a forecast's error
PER_FREEDOM = 3.0  # completed trainings, between them
WIDE = 1.2  # standard deviation of the error, in those of the forecast
DRAWS = 32  # of the final values of stopped trainings
FAINT = 1e-2  # of the largest gain: stopped trainings with less are added up instead of drawn


@dataclass(frozen=True)
class Undominated:
    """The part of the objective space that no completed trial dominates: costs, then uncertain objectives, each 0..1.

    Attributes:
        evidence: what the trials' costs are read from.
        least: (1 + others,), where the uncertain objectives' scale begins.
        span: (1 + others,), its length.
        front: completed trials, (f, m).
        lower: corners of the boxes, (b, m).
        upper: likewise.
        volume: hypervolume of the completed trials.
        bounded: whether a value beyond the best end of the measured objective's scale counts as that end.
    """

    evidence: Evidence
    least: Array
    span: Array
    front: Array
    lower: Array
    upper: Array
    volume: float
    bounded: bool

    @classmethod
    def of(cls, evidence: Evidence, bounds: Array | None) -> Undominated:
        """The space of the completed trials, of which there is at least one.

        Args:
            evidence: with the completed trials.
            bounds: (best, worst) value of the measured objective, minimised; None for the range of its final values,
                beyond which further ones may lie.
        """
        finals = evidence.finals[evidence.completed]
        least, greatest = finals.min(axis=0), finals.max(axis=0)
        if bounds is not None:
            least[0], greatest[0] = bounds
        span = np.where(greatest > least, greatest - least, 1.0)
        points = np.column_stack([evidence.positions(evidence.completed), (finals - least) / span])
        front = np.unique(points[is_non_dominated(points)], axis=0)
        reference = np.full(points.shape[1], REFERENCE)
        lower, upper = boxes(front, reference)
        if bounds is not None:
            lower[:, evidence.count] = np.maximum(lower[:, evidence.count], 0.0)
        return cls(evidence, least, span, front, lower, upper, hypervolume(front, reference), bounds is not None)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's distribution of forecast errors: few where little has been learned from."""
        return float(np.clip(len(self.evidence.completed) / PER_FREEDOM, *FREEDOM))

    @property
    def scale(self) -> float:
        """Scale of the distribution, in standard deviations of a forecast."""
        return WIDE * math.sqrt(1 - 2 / self.freedom)

    def gains(self, rows: Sequence[int], means: Array, deviations: Array) -> Array:
        """(rows,): hypervolume that each is expected to add by itself."""
        factors: list[Factor] = [Known(places) for places in self.evidence.positions(rows).T]
        units = zip(((means - self.least) / self.span).T, (deviations / self.span).T, strict=True)
        factors += [Student(mean, self.scale * deviation, self.freedom) for mean, deviation in units]
        return expected_over(factors, self.lower, self.upper, len(rows))

    def joint_gain(self, rows: Sequence[int], means: Array, deviations: Array) -> float:
        """Hypervolume that all rows together are expected to add, by a fixed set of draws, forecasts independent."""
        single = self.gains(rows, means, deviations)
        likely = np.flatnonzero(single > FAINT * single.max())
        faint = float(np.delete(single, likely).sum())
        draws = self.scale * np.random.default_rng(0).standard_t(self.freedom, (len(likely), means.shape[1], DRAWS))
        places = self.evidence.positions(np.asarray(rows)[likely])
        units = ((means[likely] - self.least)[..., None] + deviations[likely][..., None] * draws) / self.span[:, None]
        if self.bounded:
            units[:, 0] = np.maximum(units[:, 0], 0.0)
        reference = np.full(self.front.shape[1], REFERENCE)
        drawn = (np.column_stack([places, units[..., draw]]) for draw in range(DRAWS))
        volumes = [hypervolume(np.vstack([self.front, points]), reference) for points in drawn]
        joint = max(float(np.mean(volumes)) - self.volume, 0.0)
        return min(joint + faint, float(single.sum()))
