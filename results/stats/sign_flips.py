"""Paired differences under flips of their signs: the test, exact up to 16 pairs, and what it cannot reach.

A difference is what one seed gives with A minus what the same seed gives with B; n pairs cannot reach less than
2 / 2^n (0.25 for 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.errors import ResultsError

__all__ = ["EXACT", "deviation", "known_differences", "sign_flip_p", "smallest_p", "subset_means"]

EXACT = 16  # pairs up to which all sign flips are listed
FLIPS = 100_000


def sign_flip_p(differences: ArrayLike, *, alternative: str = "two-sided", seed: int = 0) -> float:
    """The p-value of "differences are symmetric about zero".

    All 2^n flips are listed up to 16 pairs; beyond that 100,000 are drawn and the p is that of a Monte Carlo test,
    which is valid too.

    Args:
        differences: (n,), missing values are left out.
        alternative: "two-sided", or "greater": A is better.
        seed: of the draws.

    Returns:
        In (0, 1].

    Raises:
        ResultsError: no difference is left, or the alternative is unknown.

    Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    values = known_differences(differences)
    if alternative not in ("two-sided", "greater"):
        raise ResultsError(f"alternative must be 'two-sided' or 'greater', got {alternative!r}")
    exact = len(values) <= EXACT
    sums = _flipped_sums(values) if exact else _drawn_sums(values, seed)
    observed = float(values.sum())
    # Rounding must not take the observed arrangement, or its mirror image, out of its own tail.
    slack = 1e-9 * float(np.abs(values).sum())
    if alternative == "greater":
        beyond = int(np.count_nonzero(sums >= observed - slack))
    else:
        beyond = int(np.count_nonzero(np.abs(sums) >= abs(observed) - slack))
    return beyond / len(sums) if exact else (beyond + 1) / (len(sums) + 1)


def smallest_p(n: int, *, alternative: str = "two-sided") -> float:
    """The least p that the sign-flip test can give with n pairs: 0.25 with three, 0.031 with six.

    Raises:
        ResultsError: n is not positive, or the alternative is unknown.
    """
    if n < 1:
        raise ResultsError(f"a test needs at least one pair, got {n}")
    if alternative not in ("two-sided", "greater"):
        raise ResultsError(f"alternative must be 'two-sided' or 'greater', got {alternative!r}")
    return min(1.0, (2.0 if alternative == "two-sided" else 1.0) * 0.5**n)


def known_differences(values: ArrayLike) -> NDArray[np.float64]:
    """The values that are there."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ResultsError(f"differences must be a list of numbers, got shape {array.shape}")
    array = array[~np.isnan(array)]
    if not len(array):
        raise ResultsError("there is no pair without a missing value to compare")
    if not np.isfinite(array).all():
        raise ResultsError("differences must be finite, got an infinite one")
    return array


def deviation(values: NDArray[np.float64]) -> float:
    """Standard deviation (n - 1); exactly 0 where only rounding tells values apart."""
    if len(values) < 2:
        return 0.0
    spread = float(values.std(ddof=1))
    return spread if spread > 1e-12 * max(1e-3, float(np.abs(values).max())) else 0.0


def subset_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of all 2^n - 1 subsets with a member."""
    sums, counts = np.zeros(1), np.zeros(1)
    for value in values:
        sums, counts = np.concatenate([sums, sums + value]), np.concatenate([counts, counts + 1.0])
    return np.asarray(sums[1:] / counts[1:])


def _flipped_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums under all 2^n choices of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_sums(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Sums under random signs, in pieces that fit in memory."""
    rng, piece = np.random.default_rng(seed), max(1, 2_000_000 // len(values))
    counts = [min(piece, FLIPS - start) for start in range(0, FLIPS, piece)]
    parts = [(2.0 * rng.integers(0, 2, size=(count, len(values)), dtype=np.int8) - 1.0) @ values for count in counts]
    return np.concatenate(parts)
