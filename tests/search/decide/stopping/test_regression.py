"""Leave-one-out errors against regressions that really leave one out, and what is chosen by them."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from search.decide.stopping.regression import Group, Ridge, forward


def data(rows: int, columns: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, columns)) + 3
    return x, x @ generator.normal(size=columns) + generator.normal(size=rows)


@pytest.mark.parametrize("penalty", [0.5, 4.0])
def test_ridge_predicts_as_another_library(penalty: float) -> None:
    x, y = data(20, 3)
    new = np.random.default_rng(1).normal(size=(5, 3))
    found, _ = Ridge.fit([Group(x, penalty)], y).predict(new)
    assert found == pytest.approx(Reference(alpha=penalty).fit(x, y).predict(new))


def test_press_is_the_error_of_regressions_that_leave_one_out() -> None:
    x, y = data(15, 2)
    x -= x.mean(axis=0)
    errors = []
    for row in range(len(y)):
        kept = np.arange(len(y)) != row
        design = np.column_stack([np.ones(kept.sum()), x[kept]])
        weights = np.linalg.solve(design.T @ design + np.diag([0, 2.0, 2.0]), design.T @ y[kept])
        errors.append(y[row] - np.array([1, *x[row]]) @ weights)
    assert Ridge.fit([Group(x, 2.0)], y).press == pytest.approx(np.mean(np.square(errors)), rel=1e-6)


def test_ridge_more_columns_than_rows_stays_finite() -> None:
    x, y = data(6, 40)
    mean, deviation = Ridge.fit([Group(x, 3.0)], y).predict(x[:2])
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


def test_ridge_deviation_grows_away_from_the_rows() -> None:
    x, y = data(20, 1)
    _, deviation = Ridge.fit([Group(x, 0.5)], y).predict(np.array([[3.0], [9.0]]))
    assert deviation[1] > 1.2 * deviation[0]


def test_forward_takes_what_tells_and_leaves_noise() -> None:
    generator = np.random.default_rng(2)
    noise, signal = generator.normal(size=(30, 3)), generator.normal(size=(30, 1))
    target = 2 * signal[:, 0] + 0.1 * generator.normal(size=30)
    groups = [Group(noise[:, [column]], 1.0) for column in range(3)]
    assert forward([], [groups[0], Group(signal, 1.0), *groups[1:]], target)[0] == 1
    assert forward([], [Group(np.zeros((30, 1)), 1.0)], target) == []
