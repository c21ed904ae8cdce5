"""Several paired comparisons at once: step-down p-values of the largest statistic under joint flips of signs.

All comparisons share their seeds, and often the base that they are compared with, so their statistics go together. One
flip of signs for each seed, the same in all comparisons, keeps that; a correction that reckons with the worst (Holm)
gives it away, and with eight seeds has no p-value left to give.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.errors import ResultsError
from results.stats.sign_flips import EXACT

__all__ = ["max_t", "seeds_for_a_claim"]

DRAWN = 20_000  # flips that are drawn where there are too many to list
PRIOR = 4.0  # values that the median comparison's spread counts for beside a comparison's own

Floats = NDArray[np.float64]


def max_t(differences: ArrayLike, *, least_variance: float = 0.0, seed: int = 0) -> Floats:
    """p-values of several comparisons, corrected for being several.

    A comparison's statistic is the sum of its differences over the root of a moderated sum of squares: its own, and
    that of the median comparison. Flips of signs leave both as they are, so that the test is exact for differences that
    are symmetric about zero, whatever their variances and however they go together.

    Args:
        differences: (m, n) of m comparisons over the same n seeds, none missing.
        least_variance: of one difference, as `results.stats.moderated.rounding_variance` gives it.
        seed: of the flips that are drawn where n is above 16; all 2^n are listed up to that.

    Returns:
        (m,) adjusted p-values, at least 2 / 2^n: at most one in twenty families has a false one below 0.05.

    Raises:
        ResultsError: there is no seed, or a value is missing.

    Source: Westfall and Young, Resampling-Based Multiple Testing, 1993, algorithm 4.1 (step-down maxT).

    Example:
        >>> max_t([[1.0, 2.0, 1.5, 1.2, 2.2, 1.8], [0.1, -0.2, 0.3, -0.1, 0.2, -0.3]]).round(3).tolist()
        [0.031, 1.0]
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (len(values) and not values.shape[1]):
        raise ResultsError(f"differences must be a table of finite numbers, a row each, got shape {values.shape}")
    if not len(values):
        return np.empty(0)
    count = values.shape[1]
    squares = np.maximum((values**2).sum(axis=1), count * least_variance)
    common = float(np.median(squares)) if len(values) > 1 else 0.0
    scale = np.sqrt(squares + PRIOR / count * common)
    scaled = values / np.where(scale > 0, scale, 1.0)[:, None]
    observed = np.abs(scaled.sum(axis=1))
    flipped = np.abs(_signs(count, seed) @ scaled.T)  # (flips, m)
    order = np.argsort(-observed, kind="stable")
    largest = np.maximum.accumulate(flipped[:, order[::-1]], axis=1)[:, ::-1]
    # Rounding must not take the observed arrangement, or its mirror image, out of its own tail.
    beyond = (largest >= observed[order] - 1e-9).sum(axis=0)
    steps = beyond / len(flipped) if count <= EXACT else (beyond + 1) / (len(flipped) + 1)
    result = np.empty(len(values))
    result[order] = np.maximum.accumulate(steps)
    return result


def seeds_for_a_claim(level: float = 0.95) -> int:
    """The least number of seeds with which any comparison can reach a p-value of 1 - level: six for 0.05."""
    return next(n for n in range(1, 64) if 2.0 * 0.5**n <= (1.0 - level) * (1 + 1e-9))


def _signs(count: int, seed: int) -> Floats:
    """All choices of signs of `count` seeds, the unflipped first, or as many as are drawn."""
    if count > EXACT:
        return np.asarray(2.0 * np.random.default_rng(seed).integers(0, 2, (DRAWN, count)) - 1.0)
    bits = np.arange(2**count)[:, None] >> np.arange(count)[None, :]
    return np.asarray(1.0 - 2.0 * (bits & 1))
