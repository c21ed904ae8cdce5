"""Power of tests of paired differences, and how many pairs would settle what is open: plans, not promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from results.errors import ResultsError
from results.stats.sign_flips import deviation, known_differences, smallest_p

__all__ = [
    "moderated_power",
    "noncentrality",
    "pairs_needed",
    "pairs_needed_moderated",
    "power",
]

MANY = 10_000  # pairs beyond which an answer to "how many more" is of no use


def power(n: int, effect: float, *, alpha: float = 0.05, one_sided: bool = False, tests: int = 1) -> float:
    """How likely n pairs show a true difference.

    Args:
        n: pairs.
        effect: true mean difference over the standard deviation of differences.
        alpha: level of the test.
        one_sided: whether only "A is better" counts.
        tests: how many share the level, by joint flips of signs (`results.stats.max_t`).

    Returns:
        In 0..1, of the t test (of several tests, at alpha / tests each), to which the sign-flip test comes close; 0
        where the sign-flip test of n pairs cannot reach alpha at all.

    Raises:
        ResultsError: n or alpha cannot be.
    """
    if n < 1 or not 0 < alpha < 1:
        raise ResultsError(f"power needs a pair and a level in (0, 1), got n={n} and alpha={alpha}")
    if n < 2 or smallest_p(n, alternative="greater" if one_sided else "two-sided") > alpha * (1 + 1e-9):
        return 0.0
    critical = float(stats.t.isf((alpha if one_sided else alpha / 2) / tests, n - 1))
    shift = effect * math.sqrt(n)
    upper = 1.0 - _noncentral_cdf(critical, n, shift)
    return float(min(max(upper if one_sided else upper + _noncentral_cdf(-critical, n, shift), 0.0), 1.0))


def pairs_needed(differences: ArrayLike, *, alpha: float = 0.05, aim: float = 0.8, tests: int = 1) -> int | None:
    """Pairs that would show a true difference of the size and spread seen here; a plan, not a promise.

    Args:
        differences: (n,) as seen so far.
        alpha: two-sided level.
        aim: power, in (0, 1).
        tests: how many share the level, as in `power`.

    Returns:
        The least number of pairs, all in all; None for fewer than two differences, no difference, or beyond 10,000.

    Raises:
        ResultsError: no difference is left.
    """
    values = known_differences(differences)
    mean, spread = float(values.mean()), deviation(values)
    if len(values) < 2 or mean == 0.0 or not 0 < aim < 1:
        return None
    least = math.ceil(math.log2(1.0 / alpha) + 1 - 1e-9)
    if spread == 0.0:
        return least
    effect = abs(mean) / spread
    return _least(lambda n: power(n, effect, alpha=alpha, tests=tests) >= aim, max(least, 2))


def moderated_power(shift: float, freedom: float, *, alpha: float) -> float:
    """How likely a one-sided (moderated) t test shows a true effect.

    Args:
        shift: true effect over the standard error of its estimate.
        freedom: of the variance, that of the prior included.
        alpha: one-sided level.
    """
    critical = float(special.stdtrit(freedom, 1.0 - alpha))
    if shift - critical > 12.0 or not math.isfinite(critical):
        return 1.0 if math.isfinite(critical) else 0.0
    beyond = 1.0 - float(special.nctdtr(freedom, shift, critical))
    # The noncentral distribution is not computed far out, where the shifted central one is close enough.
    return beyond if math.isfinite(beyond) else float(special.stdtr(freedom, shift - critical))


def pairs_needed_moderated(
    effect: float, variance: float, *, prior_freedom: float, alpha: float, aim: float = 0.8
) -> int | None:
    """Pairs at which a one-sided moderated t test shows an effect of this size; a plan, not a promise.

    Args:
        effect: true distance from the null hypothesis, in the unit of the differences.
        variance: of one difference.
        prior_freedom: degrees of freedom of the prior variance, 0 for none.
        alpha: one-sided level that the test has to meet, its correction for other tests included.
        aim: power, in (0, 1).

    Returns:
        The least number of pairs, at least 2; None for no effect, an unknown variance, or beyond 10,000.
    """
    if not (effect > 0 and 0 < variance < math.inf and 0 < alpha < 1 and 0 < aim < 1):
        return None

    def enough(n: int) -> bool:
        freedom = n - 1 + prior_freedom
        return moderated_power(effect / math.sqrt(variance / n), freedom, alpha=alpha) >= aim

    return _least(enough, 2)


def _least(enough: Callable[[int], bool], start: int) -> int | None:
    """The least number of pairs, at least `start`, that is enough, by bisection; None beyond 10,000."""
    if not enough(MANY):
        return None
    low, high = start - 1, MANY  # too few at low, enough at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=256)
def _chi_nodes(freedom: int) -> NDArray[np.float64]:
    """sqrt(chi squared / freedom) at the middles of 2,000 equal shares of its distribution."""
    shares = (np.arange(2000) + 0.5) / 2000
    return cast(NDArray[np.float64], np.sqrt(stats.chi2.ppf(shares, freedom) / freedom))


def _noncentral_cdf(t: float, n: int, shift: float) -> float:
    """P(T <= t) of n pairs at noncentrality `shift`; scipy's own fails far out."""
    return float(special.ndtr(t * _chi_nodes(n - 1) - shift).mean())


def noncentrality(t: float, n: int, share: float) -> float:
    """The shift at which a share 1 - `share` of all T lies below t."""
    nodes = t * _chi_nodes(n - 1)
    edges = (float(nodes.min()) - 10.0, float(nodes.max()) + 10.0)

    def excess(shift: float) -> float:
        return float(special.ndtr(nodes - shift).mean()) - (1.0 - share)

    return float(optimize.brentq(cast(Callable[[float], float], excess), *edges, xtol=1e-10))
