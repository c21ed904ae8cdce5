"""A smooth curve that never falls, with draws of what it might be: accuracy against the logarithm of parameters.

Plain isotonic regression has flat stretches and jumps, so "how many parameters reach this accuracy" jumps too, and its
bootstrap is inconsistent (Kosorok 2008). Here a quadratic spline is fitted by least squares, which leaves its draws
exact under normal deviations, and every curve is then made to rise by sorting its values (rearrangement), which never
takes it farther from a truth that rises (Chernozhukov, Fernandez-Val, Galichon, Biometrika 96, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "crossings", "fit", "knots", "rising"]

MOST_KNOTS = 5
SPLIT = 1e-9  # distance below which two abscissae are one

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """A spline fitted by least squares, not yet made to rise.

    Attributes:
        knots: (k,), rising; 1 is a constant, 2 a straight line where few abscissae differ.
        straight: whether it is a straight line.
        centre: (c,) means of the columns.
        mean: of the values.
        coefficients: (c,) of the centred columns; those of further columns come last.
        root: (c, c), whose product with its transpose is the coefficients' covariance at standard deviation 1.
        n: values fitted.
        squares: sum of squared deviations from the fit.
        ends: least and greatest abscissa.
    """

    knots: Floats
    straight: bool
    centre: Floats
    mean: float
    coefficients: Floats
    root: Floats
    n: int
    squares: float
    ends: tuple[float, float]

    @property
    def freedom(self) -> int:
        """Degrees of freedom left to the deviations."""
        return self.n - 1 - len(self.coefficients)

    @property
    def further(self) -> int:
        """How many columns beyond the spline's own the fit has; their coefficients come last."""
        return len(self.coefficients) - _spline(np.zeros(1), self.knots, self.straight).shape[1]

    def curve(self, x: Floats, at: Floats | None = None) -> Floats:
        """Values at x (n,), where the further columns have the values `at` (g,), zeros if not given."""
        return np.asarray(self.mean + self.columns(x, at) @ self.coefficients)

    def draws(self, x: Floats, normal: Floats, at: Floats | None = None) -> Floats:
        """Curves that might be the true one: the fit plus what its error might be.

        Args:
            x: (n,).
            normal: (b, c + 1) standard normal numbers times the standard deviation of one value.
            at: as in `curve`.

        Returns:
            (b, n).
        """
        columns = self.columns(x, at)
        error = normal[:, :1] / np.sqrt(self.n) + normal[:, 1:] @ (columns @ self.root).T
        return np.asarray(self.curve(x, at) + error)

    def columns(self, x: Floats, at: Floats | None = None) -> Floats:
        """Centred columns (n, c) at x."""
        columns = np.zeros((len(x), len(self.coefficients)))
        spline = _spline(np.clip(np.asarray(x, dtype=np.float64), *self.ends), self.knots, self.straight)
        columns[:, : spline.shape[1]] = spline
        if at is not None:
            columns[:, spline.shape[1] :] = at
        return np.asarray(columns - self.centre)


def fit(x: Floats, y: Floats, further: Floats | None = None) -> Fit:
    """The spline of least squares.

    Args:
        x: (n,) abscissae, n at least 1.
        y: (n,) values.
        further: (n, g) columns that are fitted beside the spline, such as what a recipe adds; None for none.

    Returns:
        The fit; a column that the others make up for gets no weight.
    """
    at, straight = knots(x)
    parts = [_spline(x, at, straight), *([further] if further is not None else [])]
    columns = np.hstack(parts)
    centre, mean = columns.mean(axis=0), float(y.mean())
    u, s, vt = np.linalg.svd(columns - centre, full_matrices=False)
    inverse = np.where(s > 1e-10 * max(float(s.max(initial=0.0)), 1e-300), 1.0 / np.where(s > 0, s, 1.0), 0.0)
    root = vt.T * inverse
    coefficients = root @ (u.T @ (y - mean))
    deviations = y - mean - (columns - centre) @ coefficients
    squares = float(deviations @ deviations)
    return Fit(at, straight, centre, mean, coefficients, root, len(x), squares, (float(x.min()), float(x.max())))


def knots(x: Floats) -> tuple[Floats, bool]:
    """Knots for abscissae, and whether a straight line is all that they carry: a knot for every two that differ."""
    different = np.unique(x)
    different = different[np.concatenate([[True], np.diff(different) > SPLIT])]
    if len(different) < 4:
        return different[[0, -1]] if len(different) > 1 else different, True
    count = int(np.clip(len(different) // 2, 2, MOST_KNOTS))
    return np.quantile(different, np.linspace(0.0, 1.0, count)), False


def rising(curves: Floats) -> Floats:
    """Curves (..., n) at rising abscissae, each with its values in order."""
    return np.sort(curves, axis=-1)


def crossings(curves: Floats, x: Floats, y: Floats) -> Floats:
    """Where curves that never fall first reach each of some values.

    Args:
        curves: (b, n) at x.
        x: (n,), rising; in between a curve is straight.
        y: (m,).

    Returns:
        (b, m); minus infinity where a curve starts above the value, infinity where it never reaches it.
    """
    found = np.empty((len(curves), len(y)))
    for row, curve in enumerate(curves):
        at = np.searchsorted(curve, y, side="left")
        right = np.clip(at, 1, len(x) - 1)
        low, high = curve[right - 1], curve[right]
        share = np.clip((y - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        between = x[right - 1] + share * (x[right] - x[right - 1])
        found[row] = np.where(at >= len(x), np.inf, np.where(y < curve[0], -np.inf, between))
    return found


def _spline(x: Floats, knots: Floats, straight: bool) -> Floats:
    """Columns (n, c) of the spline without its constant: integrals of the hat functions of the knots up to x.

    Source: Ramsay, Statistical Science 3, 1988 (I-splines), of order 2.
    """
    if len(knots) < 2:
        return np.zeros((len(x), 0))
    if straight:
        return np.asarray((x - knots[0])[:, None])
    columns = np.zeros((len(x), len(knots)))
    for left, width in enumerate(np.diff(knots)):
        share = np.clip((x - knots[left]) / width, 0.0, 1.0)
        columns[:, left] += width * (share - share**2 / 2)
        columns[:, left + 1] += width * share**2 / 2
    return columns
