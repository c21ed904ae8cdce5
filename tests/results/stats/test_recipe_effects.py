import numpy as np
import pytest

from results.stats.monotone_spline import fit
from results.stats.recipe_effects import at_best, recipe_dimension, seed_noise, shrunk


def test_recipe_dimension_of_few_values_has_a_column_for_each_but_the_first():
    found = recipe_dimension("lr_factor", [3.0, 0.3, 1.0, 0.3])
    assert found.columns.tolist() == [[0, 1], [0, 0], [1, 0], [0, 0]]
    assert found.choices.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert found.labels == ("0.3", "1", "3")
    assert recipe_dimension("decay", [True, False]).labels == ("False", "True")


def test_recipe_dimension_of_many_numbers_is_a_parabola_in_the_logarithm():
    rates = np.array([0.1, 10.0, 1.0, 2.0, 0.5])
    found = recipe_dimension("lr_factor", list(rates))
    np.testing.assert_allclose(found.columns[:, 0], np.log10(rates), atol=1e-12)
    np.testing.assert_allclose(found.columns[:, 1], np.log10(rates) ** 2, atol=1e-12)
    values = -((np.log(rates) - np.log(3.0)) ** 2)
    best = found.choices @ fit(np.zeros(5), values, found.columns).coefficients
    assert float(found.labels[int(np.argmax(best))]) == pytest.approx(3.0, rel=0.1)


def test_recipe_dimension_with_a_zero_is_finite():
    found = recipe_dimension("init_std", [0.0, 0.01, 0.1, 0.03])
    assert np.isfinite(found.columns).all()
    assert float(found.labels[0]) == pytest.approx(0.0, abs=1e-12)


def test_at_best_chooses_by_the_other_seeds():
    choices = np.array([[0.0], [1.0]])
    worth, chosen = at_best(np.array([[5.0], [-1.0], [-2.0]]), choices)
    assert chosen.tolist() == [0, 1, 1]  # the first seed alone speaks for the second choice
    assert worth.tolist() == [0.0, -1.0, -2.0]
    alone, chosen = at_best(np.array([[5.0]]), choices)
    assert (alone.tolist(), chosen.tolist()) == ([5.0], [1])


def test_at_best_by_other_seeds_is_not_flattered():
    rng = np.random.default_rng(0)
    choices = np.vstack([np.zeros(5), np.eye(5)])
    effects = rng.standard_normal((4000, 3, 5))
    assert abs(at_best(effects, choices)[0].mean()) < 0.02
    assert at_best(effects.mean(axis=1, keepdims=True), choices)[0].mean() > 0.3


def test_shrunk_leaves_large_effects_and_removes_small_ones():
    assert shrunk(np.array([0.1, 0.1]), np.eye(2)).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(shrunk(np.array([30.0, 40.0]), np.eye(2)), [30.0, 40.0], rtol=1e-3)


def test_seed_noise_has_the_covariance_of_least_squares():
    rng = np.random.default_rng(2)
    x = np.repeat([1.0, 2.0, 4.0], 3)
    found = fit(x, rng.normal(size=9))
    noise = seed_noise(found.root, n=9, draws=40_000, between=4.0, within=6.0, seeds=3, freedom=1e6, rng=rng)
    mean = noise.mean(axis=1)
    assert mean[:, 0].var() == pytest.approx((4 + 6 / 3) / 9, rel=0.03)
    assert mean[:, 1].var() == pytest.approx(6.0 * float((found.root @ found.root.T)[0, 0]), rel=0.03)
