"""Statistics against closed forms, brute force, statsmodels, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from results.errors import ResultsError
from results.stats.paired import holm, mean_interval, non_inferiority, paired, superiority
from results.stats.sign_flips import sign_flip_p

DIFFERENCES = [0.004, -0.001, 0.007, 0.002, 0.005, 0.0, 0.003, 0.001]


def test_sign_flip_interval_is_where_the_test_does_not_reject():
    for n in (6, 7, 9):
        values = np.random.default_rng(n).normal(0.2, 1.0, n)
        found = mean_interval(values, method="sign-flip")
        inside, outside = (found.low + 1e-6, found.high - 1e-6), (found.low - 1e-6, found.high + 1e-6)
        assert all(sign_flip_p(values - centre) > 0.05 for centre in inside)
        assert all(sign_flip_p(values - centre) <= 0.05 for centre in outside)


def test_mean_interval_of_few_pairs_is_students():
    values = [0.01, 0.03, -0.02, 0.02]
    found = mean_interval(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t"


def test_mean_interval_without_spread_or_of_one_pair():
    assert mean_interval([0.01]).low == -math.inf
    same = mean_interval([0.01, 0.01, 0.01])  # one image of a hundred: no spread but that of rounding
    half = stats.t.isf(0.025, 2) * math.sqrt(0.01**2 / 6 / 3)
    assert (same.low, same.high) == pytest.approx((0.01 - half, 0.01 + half))
    finer = mean_interval([0.01, 0.01, 0.01], step=0.001)
    assert same.high - same.low == pytest.approx(10 * (finer.high - finer.low))
    assert mean_interval([math.pi / 100] * 40).low == -math.inf  # on no grid: nothing is known of any spread
    assert mean_interval([0.0] * 5).high == math.inf
    assert mean_interval([1.0, 2.0, 3.0], method="sign-flip").high == math.inf


def test_missing_values_are_left_out():
    assert mean_interval([0.1, math.nan, 0.3, 0.2]) == mean_interval([0.1, 0.3, 0.2])
    assert paired([0.5, math.nan, 0.7], [0.4, 0.5, 0.5]).n == 2


def test_holm_equals_statsmodels_and_passes_missing_ones_by():
    rng = np.random.default_rng(3)
    for size in (1, 2, 7):
        p = rng.choice([0.001, 0.01, 0.02, 0.3, 1.0], size)
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(holm([0.04, np.nan, 0.01]), [0.04, np.nan, 0.02])
    assert holm([]).tolist() == []


def test_superiority_normal_inverts_the_noncentral_t():
    values = np.array(DIFFERENCES)
    found = superiority(values)
    t = values.mean() / stats.sem(values)
    assert found.estimate == pytest.approx(stats.norm.cdf(values.mean() / values.std(ddof=1)))
    for end, share in ((found.low, 0.975), (found.high, 0.025)):
        shift = stats.norm.ppf(end) * math.sqrt(len(values))
        assert stats.nct.cdf(t, len(values) - 1, shift) == pytest.approx(share, abs=2e-3)


def test_superiority_without_spread_says_nothing():
    same = superiority([0.01, 0.01, 0.01])
    assert (same.estimate, same.low, same.high) == (1.0, 0.0, 1.0)
    assert superiority([0.0, 0.0]).estimate == 0.5


def test_intervals_cover_the_truth_for_few_and_many_seeds():
    rng = np.random.default_rng(11)
    truth, chance = 0.3, stats.norm.cdf(0.3)
    for n, count in ((4, 600), (8, 600), (15, 250)):
        samples = rng.normal(truth, 1.0, (count, n))
        inside = [found.low <= truth <= found.high for found in map(mean_interval, samples)]
        assert 0.925 <= np.mean(inside) <= 0.975
        inside = [found.low <= chance <= found.high for found in map(superiority, samples[:200])]
        assert 0.91 <= np.mean(inside) <= 0.985


def test_mean_interval_covers_the_truth_of_skewed_differences():
    samples = np.random.default_rng(5).exponential(1.0, (250, 40))
    inside = [found.low <= 1.0 <= found.high for found in map(mean_interval, samples)]
    assert 0.91 <= np.mean(inside) <= 0.985


def test_non_inferiority_on_its_edge_is_claimed_falsely_at_most_one_time_in_twenty():
    rng = np.random.default_rng(2)
    for n in (3, 5, 8):
        claims = [non_inferiority(row, margin=0.002).holds for row in rng.normal(-0.002, 0.004, (400, n))]
        assert np.mean(claims) <= 0.075  # 0.05 and two standard errors


def test_non_inferiority_of_equal_differences_is_not_certain():
    claim = non_inferiority([1 / 359] * 3, margin=0.002)
    assert claim.p > 0.005
    assert claim.bound < 1 / 359
    assert not non_inferiority([math.pi / 1000] * 3, margin=0.002).holds


def test_non_inferiority_bound_and_p_say_the_same():
    rng = np.random.default_rng(4)
    for n in (2, 4, 7, 10):
        for row in rng.normal(0.0, 0.003, (40, n)):
            claim = non_inferiority(row, margin=0.002)
            assert claim.holds == (claim.bound > -0.002)
            if abs(claim.bound + 0.002) > 1e-9:
                assert claim.holds == (claim.p <= 0.05)
    assert non_inferiority([-0.004, -0.003, -0.005], margin=0.002).needed is None
    assert not non_inferiority([0.01], margin=0.002).holds


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: paired([1.0], [1.0, 2.0]), "two lists of one length"),
        (lambda: mean_interval([math.nan]), "no pair without a missing value"),
        (lambda: mean_interval([math.inf, 1.0]), "must be finite"),
        (lambda: mean_interval([1.0, 2.0], level=95), r"level must be in \(0, 1\)"),
        (lambda: mean_interval([1.0, 2.0], method="z"), "method must be 'auto'"),
        (lambda: non_inferiority([0.1, 0.2], margin=0.0), "margin must be a fraction above 0"),
        (lambda: holm([1.5]), "numbers in 0..1"),
    ],
)
def test_mistakes_are_said_in_a_sentence(call, sentence):
    with pytest.raises(ResultsError, match=sentence):
        call()
