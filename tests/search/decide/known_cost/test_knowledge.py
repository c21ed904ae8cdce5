import math

import pytest

from leni.errors import CandidateError
from search.decide.known_cost.knowledge import LISTED, SpaceCost, knowledge_of
from spaces import SearchSpace

SIX = SearchSpace("six", "resnet8", ["relu", "leni"], ["all", "inner"], [0.5, 1.0], lr_factor=1.0)
ENDLESS = SearchSpace("endless", "resnet8", ["relu"], width={"low": 0.3, "high": 1.0})


def count(candidate):
    if candidate.activation == "leni" and candidate.placement == "inner":
        raise CandidateError("refused")
    return {"params": float(sum(candidate.widths)), "macs": 2.0 * candidate.widths[0]}


def test_listed_space_gives_every_candidate_with_its_costs():
    knowledge = knowledge_of(SIX, ["accuracy", "macs", "params"], known=("params", "macs"), count=count)
    assert len(knowledge.candidates) == 6
    assert sorted(knowledge.costs) == [1, 2]
    for parameters in knowledge.candidates:
        widths = 16 if parameters["width"] == 1.0 else 8
        refused = parameters.get("placement") == "inner"
        assert knowledge.costs[1](parameters) == pytest.approx(2.0 * widths, nan_ok=True) or refused
        assert math.isnan(knowledge.costs[1](parameters)) == refused
    assert set(knowledge.distributions) == {"activation", "placement", "width"}


def test_endless_space_is_not_listed():
    knowledge = knowledge_of(ENDLESS, ["accuracy", "params"], known=["params"], count=count)
    assert knowledge.candidates is None
    assert knowledge.costs[1]({"width": 0.5}) > 0
    assert LISTED > 1_000


def test_bounds_go_by_the_place_of_their_objective():
    knowledge = knowledge_of(
        SIX, ["params", "accuracy"], known=["params"], count=count, bounds={"accuracy": (0.5, 1.0), "loss": (0.0, 1.0)}
    )
    assert knowledge.bounds == {1: (0.5, 1.0)}
    assert list(knowledge.costs) == [0]


def test_cost_of_parameters_that_make_no_candidate_is_nan():
    assert math.isnan(SpaceCost(SIX, count, "params")({"width": 0.5}))
    assert math.isnan(SpaceCost(SIX, count, "params")({"width": 0.123, "activation": "relu"}))
