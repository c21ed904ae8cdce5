"""Moderated variances against simulation, and grids of accuracies."""

import math

import numpy as np
import pytest
from scipy import special

from results.stats.moderated import grid_step, moderated, prior_variance, rounding_variance


def test_prior_variance_finds_what_the_variances_were_drawn_from():
    rng = np.random.default_rng(0)
    truth, firm, own = 3e-6, 5.0, 4
    variances = truth * firm / rng.chisquare(firm, 20_000) * rng.chisquare(own, 20_000) / own
    found, freedom = prior_variance(variances, own)
    assert found == pytest.approx(truth, rel=0.03)
    assert freedom == pytest.approx(firm, rel=0.06)


def test_prior_variance_of_like_variances_is_their_pooled_one():
    rng = np.random.default_rng(1)
    own = rng.integers(2, 6, 8)
    variances = np.full(8, 2.0) + np.linspace(-0.1, 0.1, 8)
    found, freedom = prior_variance(variances, own)
    assert freedom == math.inf
    assert found == pytest.approx(np.average(variances, weights=own))


def test_prior_freedom_solves_the_equation_of_moments():
    variances = np.array([1.0, 9.0, 0.2, 30.0, 4.0])
    _, freedom = prior_variance(variances, 3)
    excess = np.log(variances).var(ddof=1) - special.polygamma(1, 1.5)
    assert special.polygamma(1, freedom / 2) == pytest.approx(excess)


def test_moderated_lies_between_own_and_prior():
    assert moderated([1.0, 5.0], [2, 6], prior=(3.0, 2.0)).tolist() == [2.0, (2 * 3 + 6 * 5) / 8]
    assert moderated([1.0, 5.0], 2, prior=(3.0, math.inf)).tolist() == [3.0, 3.0]


def test_grid_step_is_one_image_where_accuracies_are_counts():
    for images in (7, 359, 2_000, 99_991):
        counts = np.random.default_rng(images).integers(0, images, 30)
        assert 1 / grid_step((counts / images).reshape(5, 6)) == pytest.approx(images)
    assert grid_step([0.25, math.nan, 0.5]) == 0.25
    assert grid_step(np.random.default_rng(0).random(4)) == 0.0
    assert grid_step([]) == 0.0


def test_rounding_variance_is_that_of_two_rounded_numbers():
    rng = np.random.default_rng(2)
    first, second = rng.random((2, 200_000))
    error = (first.round(2) - second.round(2)) - (first - second)
    assert rounding_variance(0.01) == pytest.approx(error.var(), rel=0.02)
