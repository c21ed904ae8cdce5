"""Expected hypervolume improvement in closed form, for objectives some of which are known exactly.

The improvement of a point is the volume of the part of the undominated space that it dominates. That space is cut into
boxes, and as the objectives are independent, the expectation over a box is a product, one factor an objective:

    E[ prod_k length of [l_k, u_k] above Y_k ] = prod_k ( E(u_k - Y_k)+ - E(l_k - Y_k)+ )

A known cost c has no distribution: its factor is (u - c)+ - (l - c)+. With one uncertain objective and known costs this
is the sum over the front's steps: what of a step's width lies beyond the cost, times the one-dimensional expected
improvement below it.

Everything here is minimised.

Source: Emmerich, Yang, Deutz, Wang and Fonseca 2016 (closed form over boxes); Lacour, Klamroth and Fonseca 2017 (local
upper bounds and the boxes between them); Black and Scholes 1973 for the log-normal factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, ndtr, stdtr

from results.fronts import is_non_dominated

__all__ = ["Factor", "Known", "LogNormal", "Normal", "Student", "boxes", "expected_improvement", "expected_over"]

Array = NDArray[np.float64]
TINY = 1e-12
CHUNK = 100_000  # numbers of one intermediate array, so that it stays in the cache


class Factor(Protocol):
    """What is believed of one objective at n candidates."""

    def below(self, limits: Array, rows: slice = slice(None)) -> Array:
        """E(limit - Y)+ for each of the candidates `rows` (r of them) and each limit (b,): (r, b)."""


@dataclass(frozen=True)
class Known:
    """An objective that is known exactly: values (n,)."""

    values: Array

    def below(self, limits: Array, rows: slice = slice(None)) -> Array:
        """See `Factor`."""
        return np.maximum(limits[None, :] - self.values[rows, None], 0.0)


@dataclass(frozen=True)
class Normal:
    """A normally distributed objective: mean and standard deviation, (n,) each."""

    mean: Array
    deviation: Array

    def below(self, limits: Array, rows: slice = slice(None)) -> Array:
        """See `Factor`."""
        mean, deviation = self.mean[rows, None], np.maximum(self.deviation[rows, None], TINY)
        gap = limits[None, :] - mean
        score = gap / deviation
        return np.maximum(gap * ndtr(score) + deviation * np.exp(-0.5 * score * score) / np.sqrt(2 * np.pi), 0.0)


@dataclass(frozen=True)
class Student:
    """An objective with Student's distribution: mean and scale, (n,) each, and more than 1 degree of freedom.

    Source: Tracey and Wolpert 2018 (1801.06147), equation 18.
    """

    mean: Array
    scale: Array
    freedom: float

    def below(self, limits: Array, rows: slice = slice(None)) -> Array:
        """See `Factor`."""
        scale, nu = np.maximum(self.scale[rows, None], TINY), self.freedom
        score = (limits[None, :] - self.mean[rows, None]) / scale
        height = gamma((nu + 1) / 2) / (gamma(nu / 2) * np.sqrt(nu * np.pi))
        density = height * (1 + score**2 / nu) ** (-(nu + 1) / 2)
        return np.maximum(scale * (score * stdtr(nu, score) + (nu + score**2) / (nu - 1) * density), 0.0)


@dataclass(frozen=True)
class LogNormal:
    """An objective that is `floor` plus the exponential of a normally distributed one, whose parameters are given."""

    mean: Array
    deviation: Array
    floor: float

    def below(self, limits: Array, rows: slice = slice(None)) -> Array:
        """See `Factor`."""
        mean, deviation = self.mean[rows, None], np.maximum(self.deviation[rows, None], TINY)
        height = np.maximum(limits - self.floor, TINY)
        score = (np.log(height)[None, :] - mean) / deviation
        value = height * ndtr(score) - np.exp(mean + 0.5 * deviation * deviation) * ndtr(score - deviation)
        return np.maximum(value, 0.0)


def expected_improvement(factors: Sequence[Factor], front: Array, reference: Array, *, count: int) -> Array:
    """Expected hypervolume improvement of each candidate, objectives independent.

    Args:
        factors: one for each of the m objectives, of `count` candidates each.
        front: (f, m), points that are there already; those that are dominated or not below the reference do not matter.
        reference: (m,), finite.
        count: candidates, n.

    Returns:
        (n,), never negative.
    """
    return expected_over(factors, *boxes(front, reference), count)


def expected_over(factors: Sequence[Factor], lower: Array, upper: Array, count: int) -> Array:
    """As `expected_improvement`, over boxes that are known already.

    Args:
        factors: one for each of the m objectives, of `count` candidates each.
        lower: corners of the boxes as `boxes` gives them, (b, m).
        upper: likewise.
        count: candidates, n.

    Returns:
        (n,), never negative.
    """
    sides = [_side(factor, lower[:, k], upper[:, k]) for k, factor in enumerate(factors)]
    step = max(1, CHUNK // max(1, len(lower)))
    result = np.zeros(count)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        product = sides[0](rows)
        for side in sides[1:]:
            product = product * side(rows)
        result[rows] = product.sum(axis=1)
    return result


class _side:  # noqa: N801 - a function with its limits prepared
    """One objective's factor over all boxes; limits that several boxes share are computed once."""

    def __init__(self, factor: Factor, lower: Array, upper: Array) -> None:
        self.factor = factor
        self.limits, inverse = np.unique(np.concatenate([lower, upper]), return_inverse=True)
        self.low, self.high = inverse[: len(lower)], inverse[len(lower) :]
        self.endless = np.isneginf(self.limits)

    def __call__(self, rows: slice) -> Array:
        """(r, boxes): E(u - Y)+ - E(l - Y)+."""
        finite = self.factor.below(self.limits[~self.endless], rows)
        below = np.zeros((len(finite), len(self.limits)))
        below[:, ~self.endless] = finite
        return np.maximum(below[:, self.high] - below[:, self.low], 0.0)


def boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """The space that no point of a front dominates, up to the reference, as boxes that do not overlap.

    Args:
        front: (f, m), minimised.
        reference: (m,).

    Returns:
        Lower and upper corners, (b, m) each; a lower corner may be minus infinity.
    """
    reference = np.asarray(reference, dtype=np.float64)
    points = np.asarray(front, dtype=np.float64).reshape(-1, len(reference))
    points = points[(points < reference).all(axis=1)]
    points = np.unique(points[is_non_dominated(points)], axis=0) if len(points) else points
    if len(reference) == 1:
        return np.full((1, 1), -np.inf), points.min(axis=0, initial=reference[0]).reshape(1, 1)
    if len(reference) == 2:
        return _staircase(points, reference)
    return _turned(*_local_bounds(points, reference), size=len(reference))


def _staircase(points: Array, reference: Array) -> tuple[Array, Array]:
    """Two objectives: one box a step, the points sorted by the first of them."""
    lower = np.full((len(points) + 1, 2), -np.inf)
    upper = np.empty((len(points) + 1, 2))
    lower[1:, 0] = points[:, 0]
    upper[:-1, 0], upper[-1, 0] = points[:, 0], reference[0]
    upper[0, 1], upper[1:, 1] = reference[1], points[:, 1]
    return lower, upper


def _local_bounds(points: Array, reference: Array) -> tuple[Array, Array]:
    """Local upper bounds (u, m) of a front, and the points that define them (u, m, m): Lacour et al., algorithm 3."""
    size = len(reference)
    bounds = reference[None, :].copy()
    defining = np.full((1, size, size), -np.inf)
    defining[0, np.arange(size), np.arange(size)] = reference
    for point in points:
        inside = (bounds > point).all(axis=1)
        if inside.any():
            new, made = _split(bounds[inside], defining[inside], point)
            bounds = np.concatenate([bounds[~inside], new])
            defining = np.concatenate([defining[~inside], made])
    return bounds, defining


def _split(bounds: Array, defining: Array, point: Array) -> tuple[Array, Array]:
    """The bounds that replace those which a new point lies below."""
    size = len(point)
    made_bounds, made_defining = [], []
    for axis in range(size):
        others = np.delete(np.arange(size), axis)
        fits = point[axis] >= defining[:, others, axis].max(axis=1)
        moved, kept = bounds[fits].copy(), defining[fits].copy()
        moved[:, axis] = point[axis]
        kept[:, axis, :] = point
        made_bounds.append(moved)
        made_defining.append(kept)
    return np.concatenate(made_bounds), np.concatenate(made_defining)


def _turned(bounds: Array, defining: Array, *, size: int) -> tuple[Array, Array]:
    """Boxes of the undominated space: the dominated space of the mirrored local bounds, cut as in Lacour's (2)."""
    mirrored, defining = _local_bounds(-bounds, np.full(size, np.inf))
    lower, upper = np.empty_like(mirrored), np.empty_like(mirrored)
    lower[:, 0], upper[:, 0] = defining[:, 0, 0], np.inf
    for axis in range(1, size):
        lower[:, axis] = defining[:, :axis, axis].max(axis=1)
        upper[:, axis] = mirrored[:, axis]
    full = (upper > lower).all(axis=1)
    return -upper[full], -lower[full]
