"""A training's final value, predicted from its reading at one epoch and from trainings that got at least that far.

Early readings say little of the final value itself, but something of its place among others: curves cross, start slowly
or jump at the end of a schedule, and no family of curves is assumed. So a reading is first translated into the final
value that stands at the same quantile (the k-th best reading of the epoch into the k-th best final value). The final
values are then regressed on that and on the costs, weighted towards trainings of like cost and like place. The prior
believes half of what a reading seems to say; the noise has Student's tails, so that a few trainings that broke down do
not blur what is known of the sound ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["forecast", "translate"]

Array = NDArray[np.float64]

COST_WIDTH = 0.3  # of the cost range: how far a training of another size counts
PLACE_WIDTH = 0.2  # of the evidence, in order of readings: how far one that did better or worse counts
PLACE_COUNT = 1.5  # trainings that are added to that, for where there are few
SLOPE, SLOPE_SD = 0.5, 0.5  # prior: a reading tells half of what it seems to, or nothing, or all
COST_SLOPE_SD = 4.0  # prior: over the cost range the final value moves by a few times its spread
NOISE_COUNT = 0.2  # trainings that the prior of the noise, the whole spread, is worth
TAIL = 1.0  # degrees of freedom of the noise
FAINT = 1e-3  # least weight: where there is no neighbour, all others speak
ROUNDS = 6  # of noise and coefficients in turn


def translate(reading: float | Array, readings: Array, finals: Array) -> Array:
    """Readings of one epoch as final values at the same quantile.

    Args:
        reading: what is translated, minimised; any shape.
        readings: (n,), of the trainings at hand.
        finals: (n,), theirs, in any pairing: both are sorted.

    Returns:
        In the shape of reading. One that is better than all is ahead of the best final value by as much as it is ahead
        of the best reading, at most, and by less where the final values lie closer together; a worse one than all is
        the worst final value.

    Example:
        >>> float(translate(0.45, np.array([0.6, 0.4, 0.5]), np.array([0.1, 0.2, 0.4])))
        0.15000000000000002
    """
    x, y = np.sort(readings), np.sort(finals)
    width = x[-1] - x[0]
    shrink = min(1.0, float((y[-1] - y[0]) / width)) if width > 0 else 1.0
    return np.asarray(np.interp(reading, x, y) + np.minimum(0.0, reading - x[0]) * shrink)


def forecast(
    reading: float, readings: Array, finals: Array, *, variances: Array, distances: Array, floor: float
) -> tuple[float, float]:
    """Mean and standard deviation of a training's final value.

    Args:
        reading: its own at the epoch, minimised, finite.
        readings: (n,), those of the evidence at the same epoch, n at least 1.
        finals: (n,), final values of the evidence, or what was expected of them where they were stopped.
        variances: (n,), of finals: 0 for completed trainings.
        distances: (n, costs), costs of the evidence less the training's own, in shares of the cost range.
        floor: a difference in the final value that means nothing.

    Source: Gelman et al., Bayesian Data Analysis, 3rd ed., 14.8 (regression with priors) and 17.2 (Student's noise as
    a mixture), coefficients and noise fitted in turns.
    """
    levels = translate(np.append(readings, reading), readings, finals)
    levels = levels[:-1] - levels[-1]
    # No line is drawn beyond the costs that were seen: there the training counts as of the nearest.
    distances = distances - np.clip(0.0, distances.min(axis=0), distances.max(axis=0))
    weights = _weights(_places(readings, reading), distances)
    middle = (weights * finals).sum() / weights.sum()
    spread = float(np.sqrt((weights * (finals - middle) ** 2).sum() / weights.sum())) + floor
    design = np.column_stack([np.ones(len(finals)), levels, distances])
    slopes_sd = [SLOPE_SD] + [COST_SLOPE_SD * spread] * distances.shape[1]
    precision = np.diag([1e-6 / spread**2, *(1 / np.square(slopes_sd))])
    target = finals - SLOPE * levels
    noise, trust = spread**2, np.ones(len(finals))
    for _ in range(ROUNDS):
        share = weights * trust
        scaled = design * (share / (noise + variances))[:, None]
        information = scaled.T @ design + precision
        coefficients = np.linalg.solve(information, scaled.T @ target)
        squares = (target - design @ coefficients) ** 2 + variances
        noise = ((share * squares).sum() + NOISE_COUNT * spread**2) / (weights.sum() + NOISE_COUNT) + floor**2
        trust = (TAIL + 1) / (TAIL + squares / noise)
    variance = noise + np.linalg.inv(information)[0, 0]
    return float(coefficients[0]), float(np.sqrt(variance))


def _weights(places: Array, distances: Array) -> Array:
    """(n,): how much each training of the evidence counts, by its place and its costs."""
    near = np.exp(-0.5 * (distances / COST_WIDTH) ** 2).prod(axis=1) + FAINT
    width = PLACE_WIDTH + PLACE_COUNT / len(places)
    return np.asarray(near * np.exp(-0.5 * (places / width) ** 2) + FAINT / 10)


def _places(readings: Array, reading: float) -> Array:
    """(n,): how far each reading is from one, as the share of the readings between them, ties in the middle."""
    order = np.sort(readings)
    own = np.append(readings, reading)
    shares = (np.searchsorted(order, own) + np.searchsorted(order, own, side="right")) / (2 * len(order))
    return np.asarray(shares[:-1] - shares[-1])
