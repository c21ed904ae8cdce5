import numpy as np
import pytest
from scipy.stats import norm

from search.decide.known_cost.hints import Hint, Hints

REFERENCE = [{"x": x} for x in (5.0, -3.0, 40.0, 0.5, 7.0)]


def by_x(candidates):
    return np.array([one["x"] for one in candidates], dtype=float)


def test_scores_are_the_normal_quantiles_of_the_ranks():
    scores = Hints([Hint("x", 0, by_x)], REFERENCE).scores(REFERENCE)[:, 0]
    np.testing.assert_allclose(scores, norm.ppf((np.array([3, 1, 5, 2, 4]) - 0.5) / 5))


def test_scores_do_not_depend_on_unit_or_scale():
    other = Hint("cubed", 0, lambda candidates: 1e6 * by_x(candidates) ** 3 - 4)
    scores = Hints([Hint("x", 0, by_x), other], REFERENCE).scores(REFERENCE)
    np.testing.assert_allclose(scores[:, 0], scores[:, 1])


def test_equal_values_share_the_middle_of_their_ranks():
    scores = Hints([Hint("sign", 0, lambda candidates: np.sign(by_x(candidates)))], REFERENCE).scores(REFERENCE)[:, 0]
    assert scores[1] == pytest.approx(norm.ppf(0.1))
    np.testing.assert_allclose(np.delete(scores, 1), norm.ppf(0.6))


def test_missing_values_are_in_the_middle_and_others_within_the_ends():
    hints = Hints([Hint("x", 0, by_x)], [*REFERENCE, {"x": np.nan}])
    scores = hints.scores([{"x": np.nan}, {"x": 1e9}, {"x": -1e9}])[:, 0]
    np.testing.assert_allclose(scores, [0.0, norm.ppf(0.9), norm.ppf(0.1)])


def test_a_hint_that_says_nothing_of_anything_is_zero_everywhere():
    hints = Hints([Hint("nothing", 1, lambda candidates: np.full(len(candidates), np.nan))], REFERENCE)
    assert not hints.scores(REFERENCE).any()
    assert hints.of(1) == [0]
    assert hints.of(0) == []
