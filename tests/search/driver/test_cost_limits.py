"""Limits on a user's own costs: what leaves nothing is refused with the nearest candidate."""

import pytest

from leni.errors import SpecError
from search.driver.cost_limits import check_cost_limits, excess
from search.driver.known_costs import known_costs
from search.spec import Spec
from spaces import Configuration

SMALL = {"width": [7, 3, 5], "depth": {"low": 2, "high": 4}}
LARGE = {"width": {"low": 2.0, "high": 1e6, "log": True}, "depth": {"low": 1, "high": 500}, "kind": ["b", "a"]}
KNOWN = {"size": "width * depth", "debt": "-depth"}


def made(parameters, **limits):
    space = {"parameters": parameters, "known": KNOWN}
    return Spec(space=space, evaluator="plugin_evaluators:by_width", objectives=("loss:min", "size:min"), limits=limits)


def check(spec, first=()):
    check_cost_limits(spec, known_costs(spec, None), first=first)


def test_small_space_is_listed_and_its_nearest_candidate_is_named():
    with pytest.raises(SpecError, match=r"is within size at most 5; the nearest has size 6 \(depth=2, width=3\)"):
        check(made(SMALL, size={"max": 5}))
    check(made(SMALL, size={"max": 6}))
    with pytest.raises(SpecError, match=r"size at least 29; the nearest has size 28 \(depth=4, width=7\)"):
        check(made(SMALL, size={"min": 29}))


def test_rare_candidates_of_a_large_space_are_found():
    check(made(LARGE, size={"max": 2.0}))
    check(made(LARGE, size={"min": 4.9e8}, debt={"max": -499}))
    with pytest.raises(SpecError, match="no candidate of the space"):  # 1e6 * 500 is the largest
        check(made(LARGE, size={"min": 5.1e8}, debt={"max": -499}))


def test_large_space_with_nothing_left_is_refused_with_the_count_that_was_looked_at():
    with pytest.raises(SpecError, match=r"size at most 1 \(of \d+ that were looked at\); the nearest has size 2"):
        check(made(LARGE, size={"max": 1.0}))


def test_limits_that_only_a_given_candidate_meets_are_accepted():
    spec = made(SMALL, size={"max": 5})
    with pytest.raises(SpecError, match="no candidate of the space"):
        check(spec, first=[Configuration({"width": 3, "depth": 2})])
    check(spec, first=[Configuration({"width": 1, "depth": 1})])


def test_excess_counts_each_limit_in_its_own_unit():
    spec = made(SMALL, size={"min": 10, "max": 20}, debt={"min": -2})
    known = known_costs(spec, None)
    assert excess(known, Configuration({"width": 5, "depth": 2})) == 0
    assert excess(known, Configuration({"width": 10, "depth": 4})) == pytest.approx(20 / 20 + 2 / 2)
