import numpy as np
import pytest

from search.decide.known_cost.posterior import ObjectivePosterior, Scale, reference_of
from search.decide.known_cost.surrogate import GaussianProcess

VALUES = np.array([5.0, 1.0, 2.0, 3.0, 90.0])


def test_reference_is_the_users_bound_where_it_lies_beyond_the_best():
    assert reference_of(VALUES, VALUES[:0], worst=20.0) == 20.0
    assert reference_of(VALUES, VALUES[:0], worst=0.5) == reference_of(VALUES, VALUES[:0], worst=None)


def test_reference_leaves_outliers_out_and_the_front_in():
    assert reference_of(VALUES, VALUES[:0], worst=None) == pytest.approx(1.0 + 4 * 2.0)
    assert reference_of(VALUES, np.array([40.0]), worst=None) == pytest.approx(40.0 + 3.9)
    assert reference_of(VALUES, np.array([90.0]), worst=None) == 90.0


def test_reference_of_equal_values_lies_beyond_them():
    assert reference_of(np.array([2.0, 2.0]), np.array([2.0]), worst=None) > 2.0


def test_scale_goes_there_and_back_and_clips_at_the_reference():
    scale = Scale.of(VALUES, 10.0, offset=0.1)
    np.testing.assert_allclose(scale.backward(scale.forward(VALUES)), [5.0, 1.0, 2.0, 3.0, 10.0])
    standard = scale.forward(VALUES)
    assert standard.mean() == pytest.approx(0.0, abs=1e-12)
    assert standard.std() == pytest.approx(1.0)
    assert np.isfinite(scale.forward(np.array([-1e9]))).all()


def test_variance_is_stretched_near_the_best_as_differences_are():
    scale = Scale.of(VALUES, 10.0, offset=0.1)
    step = 1e-5
    slope = (scale.forward(VALUES[:4] + step) - scale.forward(VALUES[:4])) / step
    np.testing.assert_allclose(scale.variance(VALUES[:4], np.full(4, 0.01)), 0.01 * slope**2, rtol=1e-3)


def test_pending_trial_counts_as_if_it_ended_as_expected():
    columns = np.linspace(0, 2, 8)[:, None]
    process, scale = GaussianProcess(np.array([0]), parameters=1), Scale.of(columns[:, 0] + 1, 4.0, offset=0.1)
    values, pending = scale.forward(columns[:, 0] + 1), np.array([[0.7]])
    keys = {"variance": np.zeros(8), "replicated": True}
    without = ObjectivePosterior.after(process, scale, columns, values, **keys, pending=np.zeros((0, 1)))
    having = ObjectivePosterior.after(process, scale, columns, values, **keys, pending=pending)
    assert having.factor(pending).deviation[0] < without.factor(pending).deviation[0]
    assert having.factor(pending).mean[0] == pytest.approx(without.factor(pending).mean[0], abs=1e-3)
    assert len(having.observed()) == 9
