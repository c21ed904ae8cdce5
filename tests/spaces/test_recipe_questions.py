import json
from dataclasses import replace

import optuna
import pytest

from leni.errors import CandidateError, SpaceError
from spaces import Candidate, SearchSpace, cost
from spaces.recipe_questions import RecipeQuestions

TABLE = {
    "optimizer": ["sgd", "adamw", "rmsprop"],
    "lr": {"low": 0.001, "high": 0.1, "log": True},
    "momentum": [0.8, 0.9],
    "beta2": [0.99, 0.999],
    "label_smoothing": [0.0, 0.1],
    "adamw": {"lr": [0.001, 0.003, 0.01]},
}


def space(training: dict, **given) -> SearchSpace:
    return SearchSpace("mine", "resnet8", "relu", width=0.25, training=training, **given)


def test_recipe_dimensions_exist_only_beside_their_optimizer():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    seen = set()
    for _ in range(60):
        trial = study.ask()
        chosen = dict(space(TABLE).suggest(trial).training)
        assert chosen.keys() == {"optimizer", "lr", "label_smoothing"} | {
            "sgd": {"momentum"}, "adamw": {"beta2"}, "rmsprop": {"momentum"},
        }[chosen["optimizer"]]  # fmt: skip
        assert (
            ("training.adamw.lr" in trial.params) == (chosen["optimizer"] == "adamw") != ("training.lr" in trial.params)
        )
        assert chosen["optimizer"] != "adamw" or chosen["lr"] in (0.001, 0.003, 0.01)
        seen.add(chosen["optimizer"])
    assert seen == {"sgd", "adamw", "rmsprop"}


def test_recipe_dimensions_are_counted_as_they_are_listed():
    finite = space({**TABLE, "lr": [0.1, 0.2]}, lr_factor=[0.5, 1.0])
    assert finite.size == len(set(finite.candidates())) == 2 * (2 * 2 * 2 + 3 * 2 * 2 + 2 * 2 * 2)
    assert space(TABLE).size is None


def test_candidate_with_a_recipe_leads_back_to_its_answers():
    where = space(TABLE)
    for training in ({"optimizer": "sgd", "lr": 0.03, "momentum": 0.9, "label_smoothing": 0.1},
                     {"optimizer": "adamw", "lr": 0.003, "beta2": 0.99, "label_smoothing": 0.0}):  # fmt: skip
        candidate = Candidate("resnet8", (4, 8, 16), "relu", training=training)
        parameters, distributions = where.parameters(candidate)
        trial = optuna.trial.create_trial(params=parameters, distributions=distributions, value=1.0)
        assert where.suggest(optuna.trial.FixedTrial(trial.params)) == candidate
    assert where.parameters(Candidate("resnet8", (4, 8, 16), "relu")) is None
    foreign = {"optimizer": "adamw", "lr": 0.002, "beta2": 0.99, "label_smoothing": 0.0}
    assert where.parameters(Candidate("resnet8", (4, 8, 16), "relu", training=foreign)) is None


def test_references_have_first_choices_and_middles_and_are_of_the_space():
    where = replace(space(TABLE), width=1.0)
    first, second = where.references()
    assert dict(first.training) == {
        "optimizer": "sgd",
        "lr": pytest.approx(0.01),
        "momentum": 0.8,
        "label_smoothing": 0.0,
    }
    assert second.training == first.training
    assert where.parameters(first) is not None


def test_space_with_a_recipe_goes_through_toml_and_can_be_fixed():
    where = space(TABLE)
    assert SearchSpace.from_dict(json.loads(json.dumps(where.to_dict()))) == where
    fixed = where.fix({"training.optimizer": "adamw", "training.adamw.lr": 0.003, "training.label_smoothing": 0.2})
    assert {dict(each.training)["beta2"] for each in fixed.candidates()} == {0.99, 0.999}
    assert {each.training[1:] for each in fixed.candidates()} == {
        (("label_smoothing", 0.2), ("lr", 0.003), ("optimizer", "adamw"))
    }
    with pytest.raises(SpaceError, match=r"no dimension 'training.lrr'; near names are training.lr"):
        where.fix({"training.lrr": 1.0})


def test_columns_and_conditions_name_the_recipe():
    where = space(TABLE)
    (candidate,) = [each for each in where.references() if each.activation == "relu"]
    assert set(candidate.columns()) <= set(where.columns())
    assert {name for name in where.columns() if name.startswith("training_")} == {
        "training_optimizer", "training_lr", "training_momentum", "training_beta2", "training_label_smoothing",
    }  # fmt: skip
    conditions = {name: condition for name, _, condition in where.rows()}
    assert conditions["training.momentum"] == "optimizer sgd, rmsprop"
    assert conditions["training.lr"] == "optimizer sgd, rmsprop"
    assert conditions["training.adamw.lr"] == "optimizer adamw"
    assert conditions["training.label_smoothing"] == ""
    assert where.deciders() >= {"training.optimizer"}


WRONG = [
    ({"lrr": [0.1]}, "training.lrr: the recipe has no key 'lrr' that can be searched"),
    ({"epochs": [3]}, "no key 'epochs'"),
    ({"optimizer": ["adam"]}, "training.optimizer must be of sgd, adamw, rmsprop, nadam, muon, got 'adam'"),
    ({"optimizer": ["sgd"], "beta1": [0.9]}, "training.beta1 belongs to adamw, nadam, muon, and the space has none"),
    ({"adamw": {"lr": [0.1]}}, "training.adamw needs 'adamw' among the choices of training.optimizer"),
    ({"optimizer": ["sgd", "adamw"], "adamw": {"momentum": [0.9]}}, "adamw has no option 'momentum'"),
    ({"lr": {"low": 1.0, "high": 0.1}}, "training.lr: low must not be above high"),
    ("lr", "training must be a table"),
]


@pytest.mark.parametrize(("table", "sentence"), WRONG)
def test_recipe_dimensions_that_cannot_be_are_refused(table, sentence):
    with pytest.raises(SpaceError, match=sentence):
        RecipeQuestions.of(table)


def test_candidate_carries_its_recipe_through_json_and_columns_and_old_json_loads():
    candidate = Candidate("resnet8", (4, 8, 16), "leni", training={"lr": 0.1, "batch_size": 64, "nesterov": False})
    assert candidate.training == (("batch_size", 64), ("lr", 0.1), ("nesterov", False))
    assert Candidate.from_json(candidate.to_json()) == Candidate.from_columns(candidate.columns()) == candidate
    plain = Candidate("resnet8", (4, 8, 16), "leni")
    assert "training" not in plain.to_dict()
    assert plain != candidate
    sizes = {cost(each, input_shape=(1, 8, 8), classes=10) for each in (plain, candidate)}
    assert len(sizes) == 1


@pytest.mark.parametrize("training", [{"epochs": 3}, {"lr": float("nan")}, {"lr": [1]}, "lr", 3])
def test_candidate_refuses_a_recipe_that_cannot_be(training):
    with pytest.raises(CandidateError, match=r"^training"):
        Candidate("resnet8", (4, 8, 16), "relu", training=training)
