import math

import numpy as np
import pytest
from optuna.distributions import IntDistribution

from search.decide.known_cost.counting import FIRST, REMEMBERED, CostCounter
from search.decide.known_cost.encoding import Encoder

SPACE = {"x": IntDistribution(0, 49), "y": IntDistribution(0, 9)}
ALL = [{"x": x, "y": y} for x in range(50) for y in range(10)]


class Costs:
    """10 times 1.1 to the x; counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, one):
        self.asked.append((one["x"], one["y"]))
        return math.nan if one["y"] == 9 else 10.0 * 1.1 ** one["x"]


def made(*costs, most=None, feasible=None):
    counter = CostCounter(costs, feasible, most)
    counter.encoder = Encoder(SPACE)
    return counter


def test_quick_costs_are_all_counted_and_the_impossible_left_out():
    pool = made(Costs(), lambda one: float(one["y"]), feasible=lambda one: one["x"] % 2 == 0).pool(ALL)
    assert len(pool) == 25 * 9
    assert pool.exact.all()
    np.testing.assert_allclose(pool.costs[:, 0], [10.0 * 1.1 ** one["x"] for one in pool.parameters])
    np.testing.assert_allclose(pool.costs[:, 1], [one["y"] for one in pool.parameters])


def test_slow_costs_are_estimated_from_the_first_few():
    costs = Costs()
    counter = made(costs, most=3)
    pool = counter.prepare(counter.pool(ALL), np.random.default_rng(0))
    assert len(costs.asked) == FIRST
    assert pool.exact.sum() == sum(y != 9 for _, y in costs.asked)
    truth = np.array([10.0 * 1.1 ** one["x"] for one in pool.parameters])
    assert np.median(np.abs(pool.costs[:, 0] / truth - 1)) < 0.1
    np.testing.assert_allclose(pool.costs[pool.exact, 0], truth[pool.exact])


def test_best_candidate_is_counted_and_possible():
    costs = Costs()
    counter = made(costs, most=3)
    pool = counter.prepare(counter.pool(ALL), np.random.default_rng(0))
    before = len(costs.asked)
    values = np.array([float(one["y"]) for one in pool.parameters])  # the impossible ones look best
    chosen = counter.best(pool, values, lambda those: np.array([-those.costs[row, 0] for row in range(len(those))]))
    assert chosen is None or chosen["y"] < 9
    assert len(costs.asked) - before <= 3 * 10


def test_among_the_counted_the_exact_costs_decide():
    counter = made(Costs(), most=4)
    pool = counter.pool(ALL[:8])
    chosen = counter.best(pool, np.arange(8.0), lambda those: -those.costs[:, 0] - np.arange(len(those)))
    assert chosen == ALL[7]


def test_nothing_is_counted_twice_and_the_oldest_is_forgotten():
    costs = Costs()
    counter = made(costs, most=3)
    for one in [*ALL, *ALL[-20:]]:
        counter.count(one)
    assert len(costs.asked) == len(ALL)
    assert len(counter.book) <= 2 * REMEMBERED


def test_costs_of_trials_are_taken_from_their_values():
    costs = Costs()
    counter = made(costs, most=3)
    counter.see(ALL[5], np.array([123.0]))
    assert counter.count(ALL[5]) == (123.0,)
    assert costs.asked == []


@pytest.mark.parametrize("most", [None, 2])
def test_without_costs_and_without_candidates_pools_have_their_shapes(most):
    assert made(most=most).pool(ALL[:3]).costs.shape == (3, 0)
    empty = made(Costs(), Costs(), most=most).pool([])
    assert empty.costs.shape == (0, 2)
    assert len(empty) == 0
    assert made(Costs(), most=most).best(made(Costs(), most=most).pool([]), np.zeros(0), len) is None


def test_costs_that_are_not_positive_are_estimated_as_they_are():
    counter = made(lambda one: one["x"] - 25.0, most=3)
    pool = counter.prepare(counter.pool(ALL), np.random.default_rng(1))
    truth = np.array([one["x"] - 25.0 for one in pool.parameters])
    assert np.corrcoef(pool.costs[:, 0], truth)[0, 1] > 0.95


def test_pool_takes_columns_that_are_known_and_leaves_out_those_of_what_is_not_possible():
    counter = CostCounter([lambda one: float("nan") if one["x"] == 2 else 5.0], lambda one: one["x"] != 0, None)
    candidates = [{"x": x} for x in range(4)]
    pool = counter.pool(candidates, columns=np.arange(8.0).reshape(4, 2))
    assert [one["x"] for one in pool.parameters] == [1, 3]
    np.testing.assert_array_equal(pool.columns, [[2, 3], [6, 7]])
