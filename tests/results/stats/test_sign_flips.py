"""The sign-flip test against brute force."""

import itertools

import numpy as np
import pytest
from scipy import stats

from results.errors import ResultsError
from results.stats.sign_flips import sign_flip_p, smallest_p


def brute_p(values, two_sided=True):
    """Every sign of every value, one after another."""
    values = np.asarray(values)
    sums = [np.dot(signs, values) for signs in itertools.product((1, -1), repeat=len(values))]
    observed = values.sum()
    beyond = [abs(s) >= abs(observed) - 1e-12 if two_sided else s >= observed - 1e-12 for s in sums]
    return np.mean(beyond)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10])
def test_sign_flip_p_equals_brute_force_with_ties_and_zeros(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        values = rng.integers(-3, 4, n) / 100
        assert sign_flip_p(values) == pytest.approx(brute_p(values))
        assert sign_flip_p(values, alternative="greater") == pytest.approx(brute_p(values, two_sided=False))


def test_sign_flip_p_of_many_pairs_is_near_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1.0, 60)
    assert sign_flip_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.1)
    assert sign_flip_p(values) == sign_flip_p(values)


def test_smallest_p_is_reached_by_differences_of_one_sign():
    for n in (1, 3, 6, 9):
        assert sign_flip_p(np.arange(1, n + 1)) == pytest.approx(smallest_p(n))
    assert smallest_p(3) == 0.25
    assert smallest_p(3, alternative="greater") == 0.125


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: smallest_p(0), "at least one pair"),
        (lambda: sign_flip_p([1.0], alternative="less"), "alternative must be"),
    ],
)
def test_mistakes_are_said_in_a_sentence(call, sentence):
    with pytest.raises(ResultsError, match=sentence):
        call()
