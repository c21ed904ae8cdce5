import numpy as np
import pytest

from search.decide.known_cost.pool import CostScale, Pool, boxed


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


def test_pools_are_joined_and_taken_from_by_rows_or_mask():
    pool = Pool(boxed([{"x": x} for x in range(4)]), np.eye(4), np.arange(4.0)[:, None], np.array([True, False] * 2))
    both = pool.take(np.array([3, 0])).joined(pool.take(pool.costs[:, 0] == 2))
    assert [one["x"] for one in both.parameters] == [3, 0, 2]
    np.testing.assert_array_equal(both.columns, np.eye(4)[[3, 0, 2]])
    assert both.exact.tolist() == [False, True, True]
    assert len(both) == 3
