"""What is believed of one uncertain objective: a Gaussian process on a scale that stretches the best values.

What counts is told apart where it counts. Values are clipped at a reference, beyond which no improvement is of interest
(a broken network's error says only that it is bad), and count by the logarithm of their distance from a floor below the
best. With the floor near the best, differences there are stretched; with a far one, values count nearly as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.decide.known_cost.expected_improvement import LogNormal
from search.decide.known_cost.surrogate import GaussianProcess, Posterior

__all__ = ["ObjectivePosterior", "Scale", "reference_of"]

Array = NDArray[np.float64]
REACH = 4.0  # the reference is so many times as far from the best value as the median is
CHEAPEST = 0.05  # of the range of a known cost: what is attained there lies within the reference
MARGIN = 0.1  # of the range, from there to the reference
READING_NOISE = 0.25  # variance, in standardised units, of the reading of a stopped trial


def reference_of(values: Array, front: Array, *, worst: float | None) -> float:
    """Beyond which value an objective is of no interest.

    Args:
        values: (n,), minimised, finite.
        front: (f,), those of them that must lie within.
        worst: the user's own bound; None where there is none.

    Returns:
        The user's bound, else the farther one of two: REACH times the median's distance from the best, and the worst
        of the front with a margin; never beyond the worst value seen.
    """
    best = float(values.min())
    if worst is not None and worst > best:
        return worst
    reach = best + REACH * (float(np.median(values)) - best)
    within = float(front.max(initial=best))
    found = min(max(reach, within + MARGIN * (within - best)), float(values.max()))
    return found if found > best else best + max(abs(best), 1.0) * 1e-3


@dataclass(frozen=True)
class Scale:
    """From an objective's values to those that the process sees, and back."""

    floor: float
    reference: float
    centre: float
    spread: float

    @classmethod
    def of(cls, values: Array, reference: float, *, offset: float) -> Scale:
        """The scale of these values (n,), minimised; offset: from the floor to the best, as a fraction of the range."""
        clipped = np.minimum(values, reference)
        best = float(clipped.min())
        floor = best - offset * (reference - best)
        logs = np.log(clipped - floor)
        return cls(floor, reference, float(logs.mean()), float(max(logs.std(), 1e-6)))

    def forward(self, values: Array) -> Array:
        """Standardised logarithms."""
        lowest = self.floor + 1e-9 * (self.reference - self.floor)
        clipped = np.clip(values, lowest, self.reference)
        return np.asarray((np.log(clipped - self.floor) - self.centre) / self.spread)

    def variance(self, values: Array, variance: Array) -> Array:
        """A variance of the values as one of the standardised logarithms, to first order."""
        height = np.minimum(values, self.reference) - self.floor
        return np.asarray(variance / (height * self.spread) ** 2)

    def backward(self, standard: Array) -> Array:
        """Values, at most the reference."""
        return np.asarray(np.minimum(np.exp(standard * self.spread + self.centre) + self.floor, self.reference))


@dataclass(frozen=True)
class ObjectivePosterior:
    """One objective after the observations, and after the trials that are still running."""

    scale: Scale
    posterior: Posterior

    @classmethod
    def after(
        cls,
        process: GaussianProcess,
        scale: Scale,
        columns: Array,
        values: Array,
        *,
        variance: Array,
        replicated: bool,
        pending: Array,
    ) -> ObjectivePosterior:
        """What is believed.

        Args:
            process: with its weights.
            scale: of the values.
            columns: (n, p).
            values: (n,), standardised.
            variance: (n,), standardised.
            replicated: whether that is all of the noise.
            pending: (q, p), columns of running trials; they count as if they ended as expected.
        """
        posterior = process.condition(columns, values, variance, replicated=replicated)
        if len(pending):
            expected = posterior.mean(pending)
            posterior = process.condition(
                np.concatenate([columns, pending]),
                np.concatenate([values, expected]),
                np.concatenate([variance, np.zeros(len(pending))]),
                replicated=replicated,
            )
        return cls(scale, posterior)

    def observed(self) -> Array:
        """Values at the observations and the running trials, without noise: (n + q,)."""
        return self.scale.backward(self.posterior.observed())

    def factor(self, columns: Array) -> LogNormal:
        """The predictive distribution at new points (m, p), for the expected improvement."""
        mean, deviation = self.posterior.predict(columns)
        return LogNormal(mean * self.scale.spread + self.scale.centre, deviation * self.scale.spread, self.scale.floor)
