import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from search.decide.known_cost.surrogate import JITTER, LINEAR, MEASURED, GaussianProcess, _distances

COMPONENTS = np.array([0, 0, 1, 2])


def data(count, seed=0):
    generator = np.random.default_rng(seed)
    columns = generator.random((count, 4))
    values = np.sin(4 * columns[:, 0]) + columns[:, 2]
    return columns, (values - values.mean()) / values.std()


def test_gradient_of_the_loss_is_that_of_finite_differences():
    columns, values = data(15)
    process = GaussianProcess(COMPONENTS, parameters=2)
    distances, noise = _distances(columns, COMPONENTS, 3), np.full(15, 0.01)
    state = process.centre + 0.3 * np.random.default_rng(1).standard_normal(len(process.centre))
    error = check_grad(
        lambda at: process._loss(at, distances, values, noise)[0],
        lambda at: process._loss(at, distances, values, noise)[1],
        state,
    )
    assert error < 1e-3


def test_prediction_is_that_of_scikit_learn_with_the_same_kernel():
    columns, values = data(20)
    new, _ = data(2_500, seed=1)  # more than one block
    process = GaussianProcess(COMPONENTS, parameters=2)
    process.state[:] = [0.2, -0.5, 0.3, -0.4, 0.1, -1.5]
    parts = process._parts(process.state)
    lengths = 1 / np.sqrt(parts.weights[COMPONENTS])
    theirs = GaussianProcessRegressor(
        ConstantKernel(parts.signal, "fixed") * Matern(lengths, "fixed", nu=2.5), alpha=parts.rest + JITTER
    ).fit(columns, values)
    mean, deviation = theirs.predict(new, return_std=True)
    posterior = process.condition(columns, values, np.zeros(20), replicated=True)
    ours, spread = posterior.predict(new)
    np.testing.assert_allclose(ours, mean, atol=1e-8)
    np.testing.assert_allclose(spread**2, deviation**2 + parts.rest, atol=1e-8)
    np.testing.assert_allclose(posterior.mean(new), mean, atol=1e-8)


def test_fit_finds_the_components_that_matter():
    columns, values = data(80)
    process = GaussianProcess(COMPONENTS, parameters=3)
    process.fit(columns, values, np.zeros(80))
    weights = process._parts(process.state).weights
    assert weights[0] > 2 * weights[2]
    mean, _ = process.condition(columns, values, np.zeros(80), replicated=False).predict(data(200, seed=2)[0])
    truth = data(200, seed=2)[1]
    assert np.corrcoef(mean, truth)[0, 1] > 0.99


def test_observed_value_keeps_what_is_its_own_and_loses_what_is_noise():
    columns = np.zeros((2, 4))
    columns[1] = 5.0
    process = GaussianProcess(COMPONENTS, parameters=3)
    process.state[-1] = np.log(0.5)
    exact = process.condition(columns, np.array([1.0, -1.0]), np.zeros(2), replicated=True).observed()
    np.testing.assert_allclose(exact, [1.0, -1.0], atol=1e-4)
    shrunk = process.condition(columns, np.array([1.0, -1.0]), np.zeros(2), replicated=False).observed()
    assert shrunk[0] == pytest.approx(1 - MEASURED * 0.25 / 1.25, abs=0.02)
    noisy = process.condition(columns, np.array([1.0, -1.0]), np.array([10.0, 0.0]), replicated=True).observed()
    assert abs(noisy[0]) < 0.2
    assert noisy[1] == pytest.approx(-1.0, abs=1e-3)


def test_deviation_is_small_at_observations_and_that_of_the_prior_far_away():
    columns, values = data(10)
    process = GaussianProcess(COMPONENTS, parameters=3)
    process.state[-1] = -6.0
    posterior = process.condition(columns, values, np.zeros(10), replicated=True)
    _, deviation = posterior.predict(np.concatenate([columns, np.full((1, 4), 1e3)]))
    assert deviation[:10].max() < 0.01
    assert deviation[10] == pytest.approx(1.0, abs=1e-3)


def hinted(count, slope, seed=0):
    columns, values = data(count, seed)
    hint = np.random.default_rng(seed + 7).standard_normal(count)
    values = values + slope * hint
    return np.column_stack([columns, hint]), (values - values.mean()) / values.std()


def test_hints_are_linear_terms_as_scikit_learn_has_them():
    columns, values = hinted(30, 0.8)
    new, _ = hinted(40, 0.8, seed=1)
    process = GaussianProcess(COMPONENTS, parameters=2)
    process.state[:] = [0.2, -0.5, 0.3, -0.4, 0.1, -1.5]
    process.linear = (0,)
    parts = process._parts(process.state)
    lengths = np.append(1 / np.sqrt(parts.weights[COMPONENTS]), 1e9)  # the kernel does not see the hint
    kernel = ConstantKernel(parts.signal, "fixed") * Matern(lengths, "fixed", nu=2.5)
    linear = LINEAR**2 * columns[:, [4]] @ columns[:, [4]].T
    covariance = kernel(columns) + linear + (parts.rest + JITTER) * np.eye(30)
    across = kernel(new, columns) + LINEAR**2 * new[:, [4]] @ columns[:, [4]].T
    posterior = process.condition(columns, values, np.zeros(30), replicated=True)
    mean, deviation = posterior.predict(new)
    np.testing.assert_allclose(mean, across @ np.linalg.solve(covariance, values), atol=1e-8)
    np.testing.assert_allclose(posterior.mean(new), mean, atol=1e-8)
    own = parts.signal + LINEAR**2 * new[:, 4] ** 2 + parts.rest
    explained = np.einsum("ij,ji->i", across, np.linalg.solve(covariance, across.T))
    np.testing.assert_allclose(deviation**2, own - explained, atol=1e-8)


def test_leave_one_out_error_is_that_of_leaving_each_out():
    columns, values = hinted(12, 0.8)
    process = GaussianProcess(COMPONENTS, parameters=2)
    process.linear = (0,)
    errors = []
    for row in range(12):
        kept = np.arange(12) != row
        posterior = process.condition(columns[kept], values[kept], np.zeros(11), replicated=False)
        errors.append(values[row] - posterior.mean(columns[[row]])[0])
    posterior = process.condition(columns, values, np.zeros(12), replicated=False)
    assert posterior.left_out() == pytest.approx(np.mean(np.square(errors)))
