import numpy as np
import pytest

from results.stats.monotone_spline import crossings, fit, knots, rising


def test_fit_reproduces_a_straight_line_and_a_parabola():
    x = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 2.5, 4.5])
    at = np.linspace(1, 5, 9)
    np.testing.assert_allclose(fit(x[:3], 2 * x[:3] + 1).curve(at[:5]), 2 * at[:5] + 1)
    np.testing.assert_allclose(fit(x, x**2).curve(at), at**2, atol=1e-9)
    assert fit(x, x**2).squares == pytest.approx(0.0, abs=1e-18)


def test_fit_of_one_abscissa_is_the_mean():
    found = fit(np.array([2.0, 2.0, 2.0]), np.array([1.0, 2.0, 6.0]))
    assert found.curve(np.array([1.0, 2.0, 3.0])).tolist() == [3.0, 3.0, 3.0]
    assert found.freedom == 2
    assert found.squares == pytest.approx(14.0)


def test_fit_tells_groups_apart():
    x = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    group = np.array([[0.0], [0], [0], [1], [1], [1]])
    found = fit(x, 0.5 * x + 0.2 * group[:, 0], group)
    np.testing.assert_allclose(found.curve(x[:3]), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(found.curve(x[:3], np.array([1.0])), [0.7, 1.2, 1.7])


def test_draws_have_the_errors_of_least_squares():
    rng = np.random.default_rng(0)
    x = np.array([1.0, 2.0, 4.0])  # few abscissae: a straight line
    x = np.repeat(x, 4)
    found = fit(x, rng.normal(size=12))
    at = np.array([1.0, 2.5, 4.0])
    draws = found.draws(at, rng.standard_normal((40_000, len(found.coefficients) + 1)))
    columns = np.column_stack([np.ones(12), x])
    points = np.column_stack([np.ones(3), at])
    expected = points @ np.linalg.inv(columns.T @ columns) @ points.T
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.01)
    np.testing.assert_allclose(draws.mean(axis=0), found.curve(at), atol=0.01)


def test_knots_are_as_many_as_the_abscissae_carry():
    for different, count, straight in ((1, 1, True), (2, 2, True), (3, 2, True), (4, 2, False), (6, 3, False),
                                       (40, 5, False)):  # fmt: skip
        at, line = knots(np.repeat(np.arange(float(different)), 3))
        assert (len(at), line) == (count, straight)
    assert len(knots(np.array([1.0, 1.0 + 1e-12]))[0]) == 1


def test_crossings_are_where_curves_first_reach_values():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    curves = np.array([[0.0, 1.0, 1.0, 3.0], [0.5, 0.5, 0.5, 0.5]])
    expected = [[-np.inf, 0.0, 0.5, 1.0, 2.5, np.inf], [-np.inf, -np.inf, 0.0, np.inf, np.inf, np.inf]]
    np.testing.assert_array_equal(crossings(curves, x, np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 4.0])), expected)


def test_rising_sorts_each_curve():
    assert rising(np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])).tolist() == [[1, 2, 3], [0, 4, 5]]
