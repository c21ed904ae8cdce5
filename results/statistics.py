"""Statistics of paired differences: intervals, exact p-values, and what the seeds at hand can and cannot settle.

A difference is what one seed gives with A minus what the same seed gives with B. Few seeds are the rule here, so

- p-values are those of the sign-flip test, exact up to 16 pairs; n pairs cannot reach less than 2 / 2^n (0.25 for 3);
- intervals of the mean are exact sign-flip intervals (subset means, Hartigan 1969) where the test is fine enough for
  the level, BCa bootstrap intervals beyond 12 pairs, and Student's below that, which takes differences to be normal;
- "as good as" is a claim of its own, with a margin set before (`non_inferiority`): a large p proves nothing.

Accuracies are shares, 0..1, and so are their differences; tables turn them into points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from results.errors import ResultsError

__all__ = [
    "Claim",
    "Interval",
    "Paired",
    "holm",
    "mean_interval",
    "non_inferiority",
    "paired",
    "pairs_needed",
    "pairs_needed_non_inferiority",
    "power",
    "sign_flip_p",
    "smallest_p",
    "superiority",
]

FEW = 12  # pairs up to which the sign-flip interval is listed out; the bootstrap needs more
EXACT = 16  # pairs up to which all sign flips are listed
FINE = 3  # outcomes that must lie in a tail for its level to be met within a third
FLIPS, RESAMPLES = 100_000, 4_999
MANY = 10_000  # pairs beyond which an answer to "how many more" is of no use


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate: the point.
        low: lower end, minus infinity where the data give none.
        high: upper end.
        level: of the interval, 0.95.
        method: "sign-flip", "bca", "t", "normal", "count" or "welch".
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Paired:
    """What n paired differences say; shares, not points.

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
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, aim: float = 0.8, tests: int = 1, seed: int = 0
) -> Paired:
    """Compare A with B, seed by seed.

    Args:
        first: (n,) of A, a value a seed.
        second: (n,) of B, from the same seeds in the same order.
        level: of both intervals, in (0, 1).
        aim: power for `needed`.
        tests: how many comparisons share the level; `needed` reckons with the strictest of them.
        seed: of what is drawn at random.

    Returns:
        The comparison; pairs with a missing value are left out.

    Raises:
        ResultsError: the lengths differ, no pair is left, or a share is not one.

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
    differences = _differences(a - b)
    return Paired(
        n=len(differences),
        difference=mean_interval(differences, level=level, seed=seed),
        p=sign_flip_p(differences, seed=seed),
        smallest_p=smallest_p(len(differences)),
        superiority=superiority(differences, level=level),
        wins=float(np.mean((differences > 0) + 0.5 * (differences == 0))),
        needed=pairs_needed(differences, alpha=(1.0 - level) / tests, aim=aim),
    )


def mean_interval(differences: ArrayLike, *, level: float = 0.95, method: str = "auto", seed: int = 0) -> Interval:
    """The mean of differences with its two-sided interval.

    Args:
        differences: (n,), missing values are left out.
        level: in (0, 1).
        method: "auto" as the head of this file says; or "sign-flip", "bca", "t".
        seed: of the bootstrap.

    Returns:
        The interval. Of one difference, and of the sign-flip method where 2^n is too small for the level, it has no
        ends. Where all differences are equal it is that value.

    Raises:
        ResultsError: no difference is left, the level is no share, or the method is unknown.

    Source: Hartigan, JASA 64, 1969 (subset means); Efron, JASA 82, 1987 (BCa), with the tails widened for few data as
    Hesterberg, The American Statistician 69, 2015, section 5.3 does it.
    """
    values, tail = _differences(differences), _tail(level)
    chosen = _method(len(values), tail, method)
    low, high = _ends(values, tail, chosen, seed)
    return Interval(float(values.mean()), low, high, level, chosen)


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
    values = _differences(differences)
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


def superiority(differences: ArrayLike, *, level: float = 0.95, method: str = "normal") -> Interval:
    """P(A > B): how likely A is better than B on one more seed.

    Args:
        differences: (n,), missing values are left out.
        level: of the interval.
        method: "normal" takes differences to be normal, P = Phi(mean / deviation), and inverts the noncentral t
            distribution: exact then, also for three seeds. "count" takes the share of pairs won, ties half, with
            Wilson's interval: needs no assumption, and many seeds.

    Returns:
        The probability; without spread, or of one pair, normal gives 0, 0.5 or 1 and an interval of 0 to 1.

    Raises:
        ResultsError: no difference is left, or the method is unknown.

    Source: Bouthillier et al., MLSys 2021, section 4 (the measure); Reiser and Guttman, Technometrics 28, 1986.
    """
    values, tail = _differences(differences), _tail(level)
    n, mean = len(values), float(values.mean())
    if method == "count":
        return _wilson(float(np.mean((values > 0) + 0.5 * (values == 0))), n, level)
    if method != "normal":
        raise ResultsError(f"method must be 'normal' or 'count', got {method!r}")
    spread = _spread(values)
    if spread == 0.0:
        return Interval(0.5 + 0.5 * float(np.sign(mean)), 0.0, 1.0, level, method)
    t = mean / spread * math.sqrt(n)
    low, high = (_noncentrality(t, n, share) / math.sqrt(n) for share in (tail, 1.0 - tail))
    found = special.ndtr([mean / spread, low, high])
    return Interval(float(found[0]), float(found[1]), float(found[2]), level, method)


def non_inferiority(
    differences: ArrayLike, *, margin: float, level: float = 0.95, aim: float = 0.8, seed: int = 0
) -> Claim:
    """Whether A may be called as good as B: its one-sided lower bound is above -margin.

    Args:
        differences: (n,) of A - B, missing values are left out.
        margin: what may be lost, a share above 0, set before the data are seen; 0.002 is 0.2 points.
        level: of the bound; it is false in at most 1 - level of all claims on the edge.
        aim: power for `needed`.
        seed: of the bootstrap.

    Returns:
        The claim.

    Raises:
        ResultsError: no difference is left, or the margin is not positive.
    """
    values = _differences(differences)
    if not (margin > 0 and math.isfinite(margin)):
        raise ResultsError(f"margin must be a share above 0, such as 0.002 for 0.2 points, got {margin}")
    tail = 2.0 * _tail(level)
    method = _method(len(values), tail, "auto")
    bound, p = _ends(values, tail, method, seed)[0], _greater_p(values + margin, method, seed)
    mean = float(values.mean())
    needed = pairs_needed_non_inferiority(values, margin=margin, alpha=tail, aim=aim)
    return Claim(len(values), mean, bound, margin, p, bool(bound > -margin), needed, method)


def power(n: int, effect: float, *, alpha: float = 0.05, one_sided: bool = False) -> float:
    """How likely n pairs show a true difference.

    Args:
        n: pairs.
        effect: true mean difference over the standard deviation of differences.
        alpha: level of the test.
        one_sided: whether only "A is better" counts.

    Returns:
        In 0..1, of the t test, to which the sign-flip test comes close; 0 where the sign-flip test of n pairs cannot
        reach alpha at all.

    Raises:
        ResultsError: n or alpha cannot be.
    """
    if n < 1 or not 0 < alpha < 1:
        raise ResultsError(f"power needs a pair and a level in (0, 1), got n={n} and alpha={alpha}")
    if n < 2 or smallest_p(n, alternative="greater" if one_sided else "two-sided") > alpha * (1 + 1e-9):
        return 0.0
    critical = float(stats.t.isf(alpha if one_sided else alpha / 2, n - 1))
    shift = effect * math.sqrt(n)
    upper = 1.0 - _noncentral_cdf(critical, n, shift)
    return float(min(max(upper if one_sided else upper + _noncentral_cdf(-critical, n, shift), 0.0), 1.0))


def pairs_needed(differences: ArrayLike, *, alpha: float = 0.05, aim: float = 0.8) -> int | None:
    """Pairs that would show a true difference of the size and spread seen here; a plan, not a promise.

    Args:
        differences: (n,) as seen so far.
        alpha: two-sided level; divide it by the number of tests that share it.
        aim: power, in (0, 1).

    Returns:
        The least number of pairs, all in all; None for fewer than two differences, no difference, or beyond 10,000.

    Raises:
        ResultsError: no difference is left.
    """
    values = _differences(differences)
    return _needed(float(values.mean()), _spread(values), len(values), alpha, aim, one_sided=False)


def pairs_needed_non_inferiority(
    differences: ArrayLike, *, margin: float, alpha: float = 0.05, aim: float = 0.8
) -> int | None:
    """Pairs that would settle non-inferiority if difference and spread are as seen here; see `pairs_needed`."""
    values = _differences(differences)
    room = float(values.mean()) + margin
    if room <= 0:
        return None
    return _needed(room, _spread(values), len(values), alpha, aim, one_sided=True)


def _needed(mean: float, spread: float, n: int, alpha: float, aim: float, *, one_sided: bool) -> int | None:
    """The least n whose power is enough, by bisection."""
    if n < 2 or mean == 0.0 or not 0 < aim < 1:
        return None
    least = math.ceil(math.log2(1.0 / alpha) + (0 if one_sided else 1) - 1e-9)
    if spread == 0.0:
        return least
    effect = abs(mean) / spread
    if power(MANY, effect, alpha=alpha, one_sided=one_sided) < aim:
        return None
    low, high = max(least, 2) - 1, MANY  # power is too small at low, enough at high
    while high - low > 1:
        middle = (low + high) // 2
        enough = power(middle, effect, alpha=alpha, one_sided=one_sided) >= aim
        low, high = (low, middle) if enough else (middle, high)
    return high


def _differences(values: ArrayLike) -> NDArray[np.float64]:
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


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation (n - 1); exactly 0 where only rounding tells values apart."""
    if len(values) < 2:
        return 0.0
    spread = float(values.std(ddof=1))
    return spread if spread > 1e-12 * max(1e-3, float(np.abs(values).max())) else 0.0


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


def _ends(values: NDArray[np.float64], tail: float, method: str, seed: int) -> tuple[float, float]:
    """Both ends of an interval of the mean, with `tail` beyond each."""
    n, mean, spread = len(values), float(values.mean()), _spread(values)
    if n == 1:
        return -math.inf, math.inf
    if spread == 0.0 and method != "sign-flip":
        return mean, mean
    if method == "sign-flip":
        means = np.sort(_subset_means(values))
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


def _greater_p(values: NDArray[np.float64], method: str, seed: int) -> float:
    """One-sided p of "the mean is not above zero", by the method of the bound (of a bootstrap the t test)."""
    if method == "sign-flip":
        return sign_flip_p(values, alternative="greater", seed=seed)
    n, mean, spread = len(values), float(values.mean()), _spread(values)
    if n == 1:
        return 1.0
    if spread == 0.0:
        return 0.0 if mean > 0 else 1.0
    return float(stats.t.sf(mean / spread * math.sqrt(n), n - 1))


def _subset_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
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


def _wilson(share: float, n: int, level: float) -> Interval:
    """A share with Wilson's interval (JASA 22, 1927)."""
    z = float(special.ndtri(1.0 - _tail(level)))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(centre - half, 0.0), min(centre + half, 1.0), level, "count")


@lru_cache(maxsize=256)
def _chi_nodes(freedom: int) -> NDArray[np.float64]:
    """sqrt(chi squared / freedom) at the middles of 2,000 equal shares of its distribution."""
    shares = (np.arange(2000) + 0.5) / 2000
    return cast(NDArray[np.float64], np.sqrt(stats.chi2.ppf(shares, freedom) / freedom))


def _noncentral_cdf(t: float, n: int, shift: float) -> float:
    """P(T <= t) of n pairs at noncentrality `shift`; scipy's own fails far out."""
    return float(special.ndtr(t * _chi_nodes(n - 1) - shift).mean())


def _noncentrality(t: float, n: int, share: float) -> float:
    """The shift at which a share 1 - `share` of all T lies below t."""
    nodes = t * _chi_nodes(n - 1)
    edges = (float(nodes.min()) - 10.0, float(nodes.max()) + 10.0)

    def excess(shift: float) -> float:
        return float(special.ndtr(nodes - shift).mean()) - (1.0 - share)

    return float(optimize.brentq(cast(Callable[[float], float], excess), *edges, xtol=1e-10))
