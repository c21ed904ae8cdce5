"""Step-down p-values against brute force, and against the error that they promise."""

import itertools

import numpy as np
import pytest

from results.errors import ResultsError
from results.stats.max_t import PRIOR, max_t, seeds_for_a_claim
from results.stats.sign_flips import sign_flip_p


def by_hand(values):
    """The definition, flip by flip and step by step."""
    count = values.shape[1]
    squares = (values**2).sum(axis=1)
    scale = np.sqrt(squares + PRIOR / count * np.median(squares))

    def statistics(table):
        return np.abs(table.sum(axis=1)) / scale

    observed = statistics(values)
    order = np.argsort(-observed)
    result, worst = np.empty(len(values)), 0.0
    for place, row in enumerate(order):
        rest = order[place:]
        flips = [statistics(values * signs)[rest].max() for signs in itertools.product((1, -1), repeat=count)]
        worst = max(worst, float(np.mean(np.array(flips) >= observed[row] - 1e-9)))
        result[row] = worst
    return result


def test_max_t_equals_the_definition():
    rng = np.random.default_rng(0)
    for shape in ((3, 6), (5, 5), (2, 7)):
        values = rng.normal(0.4, 1.0, shape) * rng.uniform(0.5, 3.0, (shape[0], 1))
        np.testing.assert_allclose(max_t(values), by_hand(values))


def test_max_t_of_one_comparison_is_the_sign_flip_test():
    rng = np.random.default_rng(1)
    for n in (3, 8):
        values = rng.normal(0.5, 1.0, n)
        assert max_t([values])[0] == pytest.approx(sign_flip_p(values))
    many = rng.normal(0.2, 1.0, 30)
    assert max_t([many])[0] == pytest.approx(sign_flip_p(many), abs=0.02)


def test_max_t_of_equal_differences_and_of_none():
    assert max_t([[0.01] * 6, [0.0] * 6]).tolist() == [2 / 2**6, 1.0]
    assert max_t(np.empty((0, 4))).tolist() == []
    with pytest.raises(ResultsError, match="finite numbers"):
        max_t([[1.0, np.nan]])


def test_seeds_for_a_claim_is_where_the_least_p_passes():
    assert [seeds_for_a_claim(level) for level in (0.9, 0.95, 0.99)] == [5, 6, 8]


def test_max_t_has_power_at_eight_seeds_and_eight_comparisons_and_keeps_its_error():
    rng = np.random.default_rng(2)
    false = shown = 0
    for _ in range(150):
        base = rng.normal(size=8) / np.sqrt(2)
        differences = rng.normal(size=(8, 8)) / np.sqrt(2) - base
        false += bool((max_t(differences) <= 0.05).any())
        differences[3] += 1.5
        shown += bool(max_t(differences)[3] <= 0.05)
    assert false <= 15  # 7.5 and two and a half standard errors
    assert shown >= 0.7 * 150
