import math
import pickle

import numpy as np
import optuna
import pytest
from optuna.trial import FixedTrial

from leni.errors import CandidateError
from search.decide.known_cost.knowledge import LISTED, SpaceConditions, SpaceCost, knowledge_of
from search.decide.known_cost.proposals import draw
from search.decide.samplers import sampler
from spaces import ParameterSpace, SearchSpace

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


RATE = {"low": 0.1, "high": 1.0, "log": True}
TWO_CONDITIONS = ParameterSpace(
    "optimizer",
    {"kind": ["sgd", "adam"], "nesterov": [True, 1, 0.5], "rate": RATE, "momentum": RATE, "depth": [1, 2, 3]},
    {"nesterov": {"kind": "sgd"}, "momentum": {"kind": "sgd", "nesterov": True}, "depth": {"kind": "adam"}},
)
NETWORKS = SearchSpace(
    "networks", ["resnet8", "vgg16_bn"], ["relu", "leni", "prelu"], ["none", "inner"],
    {"low": 0.3, "high": 1.0}, "stage",
    lr_factor=RATE, options={"leni": {"kernel_size": [1, 3]}},
)  # fmt: skip


@pytest.mark.parametrize("space", [TWO_CONDITIONS, NETWORKS], ids=lambda space: space.name)
def test_conditions_are_those_of_the_spaces_own_walk(space):
    knowledge = knowledge_of(space, ["loss"], known=[], count=lambda _: {})
    generator, patterns = np.random.default_rng(0), set()
    conditions = pickle.loads(pickle.dumps(knowledge.conditions))
    for _ in range(200):
        full = {name: draw(one, generator) for name, one in knowledge.distributions.items()}
        trial = FixedTrial(full)
        space.suggest(trial)
        assert conditions(full) == trial.params
        patterns.add(frozenset(trial.params))
    assert len(patterns) == {"optimizer": 3, "networks": 6}[space.name]


def test_conditions_of_values_that_are_not_all_there_reach_as_far_as_they_go():
    assert SpaceConditions(TWO_CONDITIONS)({"kind": "sgd", "rate": 0.5, "depth": 1}) == {"kind": "sgd"}
    assert SpaceConditions(TWO_CONDITIONS)({"kind": "adam", "rate": 0.5}) == {"kind": "adam", "rate": 0.5}


def test_space_without_conditions_has_none():
    flat = ParameterSpace("flat", {"x": RATE, "y": RATE})
    assert knowledge_of(flat, ["loss"], known=[], count=lambda _: {}).conditions is None


@pytest.mark.parametrize("name", ["known-cost", "gp"])
def test_sampler_asks_for_what_exists_from_the_first_trial_on(monkeypatch, name):
    made = sampler(name, seed=3, knowledge=knowledge_of(TWO_CONDITIONS, ["loss"], known=[], count=lambda _: {}))
    unforeseen = []
    monkeypatch.setattr(type(made), "sample_independent", lambda *given: unforeseen.append(given[3]) or 0.5)
    relative = type(made).sample_relative
    asked = []
    monkeypatch.setattr(type(made), "sample_relative", lambda *given: asked.append(relative(*given)) or asked[-1])
    study = optuna.create_study(sampler=made)
    for _ in range(14):
        trial = study.ask()
        point = TWO_CONDITIONS.suggest(trial)
        study.tell(trial, len(point.values) + trial.params["rate"])
    assert unforeseen == []
    assert [set(one) for one in asked] == [set(trial.params) for trial in study.trials]
