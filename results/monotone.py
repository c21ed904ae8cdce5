"""A smooth curve that never falls, fitted by least squares: accuracy against the logarithm of parameters.

Isotonic regression alone has flat stretches and jumps, so that "how many parameters reach this accuracy" jumps too, and
its bootstrap is inconsistent (Kosorok 2008). So the curve here is a monotone spline: its slope is a sum of hat functions
with weights of zero or more, over knots at quantiles of the data; it is piecewise quadratic, and isotonic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

__all__ = ["Monotone", "basis", "fit", "knots"]

MOST_KNOTS = 5
SPLIT = 1e-9  # relative distance below which two abscissae are one

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Monotone:
    """A fitted curve.

    Attributes:
        knots: (k,), rising; k = 1 is a constant.
        start: value at the first knot.
        weights: (k,), slopes at the knots, none negative.
        freedom: parameters that the fit used up: the start, and the slopes that are not zero.
    """

    knots: Floats
    start: float
    weights: Floats
    freedom: int

    def __call__(self, x: Floats) -> Floats:
        """Values at x (n,); beyond the outer knots the curve goes on level."""
        return np.asarray(self.start + basis(np.asarray(x, dtype=np.float64), self.knots) @ self.weights)

    def reach(self, y: Floats, x: Floats) -> Floats:
        """The least abscissa at which the curve reaches y.

        Args:
            y: (m,) values.
            x: (n,) abscissae to look among, rising; between them the curve is taken as straight.

        Returns:
            (m,); minus infinity where the curve starts above y, infinity where it never reaches it.
        """
        curve = np.maximum.accumulate(self(x))
        return first_reached(curve, x, np.asarray(y, dtype=np.float64))


def first_reached(curve: Floats, x: Floats, y: Floats) -> Floats:
    """Where a curve that never falls, given at rising x, first reaches each y; infinite beyond its ends."""
    at = np.searchsorted(curve, y, side="left")
    inside = np.clip(at, 1, len(x) - 1)
    low, high = curve[inside - 1], curve[inside]
    share = (y - low) / np.where(high > low, high - low, 1.0)
    found = x[inside - 1] + np.clip(share, 0.0, 1.0) * (x[inside] - x[inside - 1])
    found = np.where(at >= len(x), np.inf, found)
    return np.asarray(np.where(y < curve[0], -np.inf, np.where(at == 0, x[0], found)))


def knots(x: Floats) -> Floats:
    """Knots for abscissae x (n,): their ends and quantiles of what is different, one for every two values, 5 at most."""
    different = np.unique(x)
    if len(different) < 2 or different[-1] - different[0] < SPLIT:
        return different[:1]
    count = int(np.clip((len(different) + 1) // 2, 2, MOST_KNOTS))
    return np.unique(np.quantile(different, np.linspace(0.0, 1.0, count)))


def basis(x: Floats, knots: Floats) -> Floats:
    """Integrals of the knots' hat functions up to x: (n, k). A hat is 1 at its knot and 0 at all others."""
    columns = np.zeros((len(x), len(knots)))
    for left in range(len(knots) - 1):
        width = knots[left + 1] - knots[left]
        share = np.clip((x - knots[left]) / width, 0.0, 1.0)
        columns[:, left] += width * (share - share**2 / 2)
        columns[:, left + 1] += width * share**2 / 2
    return columns


def fit(x: Floats, y: Floats, at: Floats) -> Monotone:
    """The monotone spline of least squares.

    Args:
        x: (n,) abscissae, n at least 1.
        y: (n,) values.
        at: (k,) knots, as `knots` gives them.

    Returns:
        The curve.

    Source: Ramsay, Statistical Science 3, 1988 (I-splines); Lawson and Hanson 1974 (non-negative least squares).
    """
    if len(at) < 2:
        return Monotone(at, float(y.mean()), np.zeros(len(at)), 1)
    columns = basis(x, at)
    centre, middle = columns.mean(axis=0), float(y.mean())
    weights, _ = optimize.nnls(columns - centre, y - middle)
    return Monotone(at, middle - float(centre @ weights), weights, 1 + int(np.count_nonzero(weights > 0)))
