"""Statistics of paired differences: intervals, exact p-values, and what the seeds at hand can and cannot settle.

A difference is what one seed gives with A minus what the same seed gives with B. Few seeds are the rule here, so

- p-values are those of the sign-flip test, exact up to 16 pairs; n pairs cannot reach less than 2 / 2^n (0.25 for 3);
- intervals of the mean are exact sign-flip intervals (subset means, Hartigan 1969) where the test is fine enough for
  the level, BCa bootstrap intervals beyond 12 pairs, and Student's below that, which takes differences to be normal;
- "as good as" is a claim of its own, with a margin set before (`non_inferiority`): a large p proves nothing.

Accuracies are fractions, 0..1, and so are their differences; tables turn them into points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from results.errors import ResultsError
from results.stats.moderated import grid_step, rounding_variance
from results.stats.power import noncentrality, pairs_needed, pairs_needed_moderated
from results.stats.sign_flips import EXACT, deviation, known_differences, sign_flip_p, smallest_p, subset_means

__all__ = [
    "Claim",
    "Interval",
    "Paired",
    "holm",
    "mean_interval",
    "non_inferiority",
    "paired",
    "superiority",
]

FEW = 12  # pairs up to which the sign-flip interval is listed out; the bootstrap needs more
FINE = 3  # outcomes that must lie in a tail for its level to be met within a third
RESAMPLES = 4_999


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate: the point.
        low: lower end, minus infinity where the data give none.
        high: upper end.
        level: of the interval, 0.95.
        method: "sign-flip", "bca", "t", "normal" or "welch".
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Paired:
    """What n paired differences say; fractions, not points.

    Attributes:
        n: pairs without a missing value.
        difference: their mean, with its interval.
        p: two-sided, of the sign-flip test.
        smallest_p: the least that n pairs can reach.
        superiority: P(A > B) on one more seed, with its interval.
        wins: pairs in which A was better, a tie counts half.
        needed: pairs that would show a true difference of this size, of this spread, with the power asked for; None
            where no number within reason would.
    """

    n: int
    difference: Interval
    p: float
    smallest_p: float
    superiority: Interval
    wins: float
    needed: int | None


@dataclass(frozen=True)
class Claim:
    """Whether A is not inferior to B by more than a margin.

    Attributes:
        n: pairs.
        difference: mean of A - B.
        bound: one-sided lower bound of it.
        margin: what may be lost.
        p: of "A is worse by the margin or more".
        holds: whether the bound is above -margin.
        needed: pairs that would settle it with the power asked for; None where no number would, as the difference seen
            is itself beyond the margin.
        method: of bound and p, as in `Interval`.
    """

    n: int
    difference: float
    bound: float
    margin: float
    p: float
    holds: bool
    needed: int | None
    method: str


def paired(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, aim: float = 0.8, tests: int = 1, seed: int = 0,
    step: float | None = None,
) -> Paired:  # fmt: skip
    """Compare A with B, seed by seed.

    Args:
        first: (n,) of A, one value per seed.
        second: (n,) of B, from the same seeds in the same order.
        level: of both intervals, in (0, 1).
        aim: power for `needed`.
        tests: how many comparisons share the level, which `needed` reckons with.
        seed: of what is drawn at random.
        step: of the grid that accuracies lie on, as in `mean_interval`.

    Returns:
        The comparison; pairs with a missing value are left out.

    Raises:
        ResultsError: the lengths differ, no pair is left, or a value is not in 0..1.

    Example:
        >>> found = paired([0.91, 0.93, 0.92], [0.90, 0.91, 0.89])
        >>> round(found.difference.estimate, 3), found.p
        (0.02, 0.25)
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ResultsError(f"paired values must be two lists of one length, got shapes {a.shape} and {b.shape}")
    if tests < 1:
        raise ResultsError(f"tests must be at least 1, got {tests}")
    differences = known_differences(a - b)
    return Paired(
        n=len(differences),
        difference=mean_interval(differences, level=level, seed=seed, step=step),
        p=sign_flip_p(differences, seed=seed),
        smallest_p=smallest_p(len(differences)),
        superiority=superiority(differences, level=level),
        wins=float(np.mean((differences > 0) + 0.5 * (differences == 0))),
        needed=pairs_needed(differences, alpha=1.0 - level, aim=aim, tests=tests),
    )


def mean_interval(
    differences: ArrayLike, *, level: float = 0.95, method: str = "auto", seed: int = 0, step: float | None = None
) -> Interval:
    """The mean of differences with its two-sided interval.

    Args:
        differences: (n,), missing values are left out.
        level: in (0, 1).
        method: "auto" as the head of this file says; or "sign-flip", "bca", "t".
        seed: of the bootstrap.
        step: of the grid that accuracies lie on, 1/N for N images; None takes it from the differences.

    Returns:
        The interval. Of one difference, and of the sign-flip method where 2^n is too small for the level, it has no
        ends. Equal differences show no spread: their interval is Student's with the variance of rounding to the grid,
        and has no ends where no grid is known.

    Raises:
        ResultsError: no difference is left, the level is not in (0, 1), or the method is unknown.

    Source: Hartigan, JASA 64, 1969 (subset means); Efron, JASA 82, 1987 (BCa), with the tails widened for few data as
    Hesterberg, The American Statistician 69, 2015, section 5.3 does it.
    """
    values, tail = known_differences(differences), _tail(level)
    chosen = _method(len(values), tail, method)
    if deviation(values) == 0.0:
        chosen = "t"
    low, high = _ends(values, tail, chosen, seed, _least_deviation(values, step))
    return Interval(float(values.mean()), low, high, level, chosen)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for being several: at most one in twenty families has a false one below 0.05.

    Args:
        p_values: (m,); a missing one stays missing and does not count.

    Returns:
        (m,), in the order given.

    Raises:
        ResultsError: a value is outside 0..1.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ResultsError(f"p-values must be a list of numbers in 0..1, got {p_values!r}")
    result = np.full(len(values), np.nan)
    present = np.flatnonzero(~np.isnan(values))
    order = present[np.argsort(values[present], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return result


def superiority(differences: ArrayLike, *, level: float = 0.95) -> Interval:
    """P(A > B): how likely A is better than B on one more seed.

    Args:
        differences: (n,), missing values are left out.
        level: of the interval.

    Returns:
        The probability for normally distributed differences, P = Phi(mean / standard deviation), and an interval by
        inverting the noncentral t distribution, which is exact also for three seeds. Without spread, or of one pair,
        the probability is 0, 0.5 or 1 and the interval 0 to 1.

    Raises:
        ResultsError: no difference is left.

    Source: Bouthillier et al., MLSys 2021, section 4 (the measure); Reiser and Guttman, Technometrics 28, 1986.
    """
    values, tail = known_differences(differences), _tail(level)
    n, mean = len(values), float(values.mean())
    spread = deviation(values)
    if spread == 0.0:
        return Interval(0.5 + 0.5 * float(np.sign(mean)), 0.0, 1.0, level, "normal")
    t = mean / spread * math.sqrt(n)
    low, high = (noncentrality(t, n, share) / math.sqrt(n) for share in (tail, 1.0 - tail))
    found = special.ndtr([mean / spread, low, high])
    return Interval(float(found[0]), float(found[1]), float(found[2]), level, "normal")


def non_inferiority(
    differences: ArrayLike, *, margin: float, level: float = 0.95, aim: float = 0.8, step: float | None = None
) -> Claim:
    """Whether A may be called as good as B: its one-sided lower bound is above -margin.

    A t test, whose variance is at least that of rounding accuracies to a number of images. For several candidates,
    whose variances say something of one another's, see `results.analyses.noninferiority`.

    Args:
        differences: (n,) of A - B, missing values are left out.
        margin: what may be lost, a fraction above 0, set before the data are seen; 0.002 is 0.2 points.
        level: of the bound; it is false in at most 1 - level of all claims on the edge.
        aim: power for `needed`.
        step: of the grid that accuracies lie on, 1/N for N images; None takes it from the differences.

    Returns:
        The claim; one difference, or equal ones on no known grid, show no spread and allow none.

    Raises:
        ResultsError: no difference is left, or the margin is not positive.
    """
    values = known_differences(differences)
    if not (margin > 0 and math.isfinite(margin)):
        raise ResultsError(f"margin must be a fraction above 0, such as 0.002 for 0.2 points, got {margin}")
    alpha = 2.0 * _tail(level)
    n, mean = len(values), float(values.mean())
    spread = max(deviation(values), _least_deviation(values, step))
    if n < 2 or spread == 0.0:
        return Claim(n, mean, -math.inf, margin, 1.0, False, None, "t")
    error = spread / math.sqrt(n)
    bound = mean - float(special.stdtrit(n - 1, 1.0 - alpha)) * error
    p = float(special.stdtr(n - 1, -(mean + margin) / error))
    needed = pairs_needed_moderated(mean + margin, spread**2, prior_freedom=0, alpha=alpha, aim=aim)
    return Claim(n, mean, bound, margin, p, bool(bound > -margin), needed, "t")


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise ResultsError(f"level must be in (0, 1), such as 0.95, got {level}")
    return (1.0 - level) / 2.0


def _method(n: int, tail: float, method: str) -> str:
    """The method that "auto" takes: see the head of this file."""
    if method == "auto":
        if n > FEW:
            return "bca"
        return "sign-flip" if tail * 2**n >= FINE else "t"
    if method not in ("sign-flip", "bca", "t"):
        raise ResultsError(f"method must be 'auto', 'sign-flip', 'bca' or 't', got {method!r}")
    if method == "sign-flip" and n > EXACT:
        raise ResultsError(f"the exact sign-flip interval lists 2^n flips, up to n = {EXACT}; got n = {n}")
    return method


def _least_deviation(values: NDArray[np.float64], step: float | None) -> float:
    """Standard deviation that rounding to a grid gives a difference of two accuracies; 0 where no grid is known."""
    if step is None:
        step = grid_step(np.abs(values)) if np.any(values) else 0.0
    return math.sqrt(rounding_variance(step))


def _ends(values: NDArray[np.float64], tail: float, method: str, seed: int, least: float) -> tuple[float, float]:
    """Both ends of an interval of the mean, with `tail` beyond each; `least` is the least standard deviation."""
    n, mean, spread = len(values), float(values.mean()), max(deviation(values), least)
    if n == 1 or spread == 0.0:
        return -math.inf, math.inf
    if method == "sign-flip":
        means = np.sort(subset_means(values))
        beyond = math.floor(tail * 2**n + 1e-9)
        return (float(means[beyond - 1]), float(means[-beyond])) if beyond else (-math.inf, math.inf)
    half = float(stats.t.isf(tail, n - 1))
    if method == "t":
        return mean - half * spread / math.sqrt(n), mean + half * spread / math.sqrt(n)
    widened = 1.0 - 2.0 * float(special.ndtr(-math.sqrt(n / (n - 1)) * half))
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=widened, method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
