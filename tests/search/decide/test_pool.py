import math

import numpy as np
import pytest
from optuna.distributions import IntDistribution

from search.decide.encoding import Encoder
from search.decide.pool import CostScale, make_pool

SIGNS = np.array([1.0])


def scale(costs, *, wish=None, limits=None, sign=1.0):
    return CostScale.of(np.array(costs, dtype=float)[:, None], np.array([sign]), logarithmic=[wish], bounds=[limits])


def test_costs_over_a_factor_of_ten_count_by_their_logarithm():
    wide, narrow = scale([1.0, 1_000.0]), scale([100.0, 200.0])
    np.testing.assert_allclose(wide.unit(np.array([[10.0], [1.0], [1_000.0]]))[:, 0], [1 / 3, 0.0, 1.0])
    assert narrow.unit(np.array([[150.0]]))[0, 0] == pytest.approx(0.5)


def test_wish_and_bounds_come_before_the_rule():
    assert scale([100.0, 200.0], wish=True).logs.all()
    assert not scale([1.0, 1_000.0], wish=False).logs.any()
    assert not scale([-1.0, 1_000.0], wish=True).logs.any()
    bounded = scale([3.0, 4.0], limits=(0.0, 10.0))
    assert bounded.unit(np.array([[5.0]]))[0, 0] == pytest.approx(0.5)


def test_maximised_cost_is_turned_and_a_constant_one_is_zero():
    turned = scale([1.0, 3.0], sign=-1.0)
    np.testing.assert_allclose(turned.unit(np.array([[3.0], [1.0]]))[:, 0], [0.0, 1.0])
    np.testing.assert_allclose(scale([5.0, 5.0]).unit(np.array([[5.0]])), 0.0)


def test_pool_leaves_out_what_is_impossible_or_refused():
    parameters = [{"x": x} for x in range(6)]
    pool = make_pool(
        parameters,
        Encoder({"x": IntDistribution(0, 5)}),
        [lambda one: math.nan if one["x"] == 2 else one["x"] * 10.0],
        lambda one: one["x"] != 4,
    )
    assert [one["x"] for one in pool.parameters] == [0, 1, 3, 5]
    np.testing.assert_allclose(pool.costs[:, 0], [0.0, 10.0, 30.0, 50.0])
    assert [one["x"] for one in pool.take(pool.costs[:, 0] > 5).joined(pool.take(np.array([0]))).parameters] == [
        1, 3, 5, 0,
    ]  # fmt: skip


def test_empty_pool_has_its_shapes():
    pool = make_pool([], Encoder({"x": IntDistribution(0, 5)}), [len, len], None)
    assert len(pool) == 0
    assert pool.costs.shape == (0, 2)
    assert pool.columns.shape[0] == 0
