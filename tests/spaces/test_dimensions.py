"""Choices and ranges: their values, what Optuna is told of them, and what cannot be read."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from leni.errors import SpaceError
from spaces import Choice, Range
from spaces.dimensions import dimension

FORMS = [
    0.5,
    True,
    "all",
    ["b", "a", "c"],
    [3, 1, 5],
    [False, True],
    {"low": 0.1, "high": 10.0, "log": True},
    {"low": 1, "high": 16, "log": True},
    {"low": 1, "high": 4},
    {"low": 1, "high": 6, "step": 2},
    {"low": 0.1, "high": 0.75, "step": 0.1},
    {"low": 2, "high": 2},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_dimension_reads_what_it_writes(form):
    read = dimension(form, "x")
    assert repr(read.to_toml()) == repr(form)
    assert repr(dimension(read.to_toml(), "x")) == repr(read)
    assert dimension(read, "x") == read


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"low": 1, "high": 4}, (1, 2, 3, 4)),
        ({"low": 1, "high": 6, "step": 2}, (1, 3, 5)),
        ({"low": 1, "high": 4, "log": True}, (1, 2, 3, 4)),
        ({"low": 0.1, "high": 0.75, "step": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, (0.0, 0.1, 0.2, 0.3)),
        ({"low": 0.125, "high": 1.0, "step": 0.125}, tuple(index / 8 for index in range(1, 9))),
        ({"low": 1, "high": 2, "step": 0.5}, (1.0, 1.5, 2.0)),
        ({"low": 0.5, "high": 0.75, "step": 1.0}, (0.5,)),
        ({"low": 2, "high": 2}, (2,)),
        ({"low": 0.1, "high": 1.0}, None),
        ({"low": 0.1, "high": 1.0, "log": True}, None),
        ({"low": 1, "high": 1.5}, None),
        (["b", "a"], ("b", "a")),
        (0.5, (0.5,)),
    ],
    ids=str,
)
def test_values_are_those_of_the_form(form, values):
    read = dimension(form, "x")
    assert read.values() == values
    for value in values or ():
        assert read.contains(value)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_suggest_gives_exactly_the_values(form):
    read, study = dimension(form, "x"), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(150)]
    drawn = [read.suggest(trial, "x") for trial in trials]
    assert all(map(read.contains, drawn))
    if read.values() is not None:
        assert {repr(value) for value in drawn} == {repr(value) for value in read.values()}
    asked = {trial.number: trial.distributions.get("x") for trial in trials}
    assert set(asked.values()) == {read.distribution()}


def test_distribution_ends_at_the_last_step():
    assert dimension({"low": 1, "high": 6, "step": 2}, "x").distribution() == IntDistribution(1, 5, step=2)
    assert dimension({"low": 0.1, "high": 0.75, "step": 0.1}, "x").distribution() == FloatDistribution(
        0.1, 0.7, step=0.1
    )
    assert dimension({"low": 0.5, "high": 0.75, "step": 1.0}, "x").distribution() is None
    assert dimension({"low": 1, "high": 8, "log": True}, "x").distribution() == IntDistribution(1, 8, log=True)
    assert dimension(["b", "a"], "x").distribution() == CategoricalDistribution(("b", "a"))
    assert dimension(["b"], "x").distribution() is None


def test_suggest_puts_a_number_back_on_its_step():
    read = dimension({"low": 0.1, "high": 1.0, "step": 0.1}, "x")
    assert 0.1 + 2 * 0.1 != 0.3
    assert read.suggest(FixedTrial({"x": 0.1 + 2 * 0.1}), "x") == 0.3


@pytest.mark.parametrize(
    ("form", "value", "held"),
    [
        ({"low": 1, "high": 6, "step": 2}, 3.0, True),
        ({"low": 1, "high": 6, "step": 2}, 4, False),
        ({"low": 1, "high": 6, "step": 2}, 6, False),
        ({"low": 1, "high": 6, "step": 2}, 7, False),
        ({"low": 1, "high": 6}, True, False),
        ({"low": 0.1, "high": 1.0, "step": 0.1}, 0.1 + 2 * 0.1, True),
        ({"low": 0.1, "high": 1.0, "step": 0.1}, 0.35, False),
        ({"low": 0.0, "high": 0.2999999999999, "step": 0.1}, 0.2999999999999, False),
        ({"low": 0.1, "high": 1.0}, 0.35, True),
        ({"low": 0.1, "high": 1.0}, 0.0999, False),
        ({"low": 0.1, "high": 1.0}, math.nan, False),
        ({"low": 0.1, "high": 1.0}, "0.5", False),
        ([1, 2], True, False),
        ([False, True], 1, False),
        ([False, True], True, True),
        ([1, 2], 2.0, True),
        (["a"], "b", False),
    ],
    ids=str,
)
def test_contains_knows_steps_and_types(form, value, held):
    assert dimension(form, "x").contains(value) is held


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ([], "x must have at least one choice, got an empty list"),
        (None, "x must be a value, a list of values or a table with low and high, got None"),
        ([[1]], "x must be a value, a list of values or a table"),
        ([1, 2, 1.0], r"x has the same choice twice: \[1, 2, 1.0\]"),
        (["a", "a"], "x has the same choice twice"),
        (math.nan, "x must be finite, got nan"),
        ([1.0, math.inf], "x must be finite, got inf"),
        ({}, "x: low, high and step must be numbers, got {}"),
        ({"low": 1}, "x: low, high and step must be numbers"),
        ({"low": "1", "high": 2}, "x: low, high and step must be numbers"),
        ({"low": True, "high": 2}, "x: low, high and step must be numbers"),
        ({"low": 1, "high": 2, "size": 3}, "x: a range has low, high, step and log, got size"),
        ({"low": 1, "high": 2, "log": 1}, "x: log must be true or false, got 1"),
        ({"low": 2, "high": 1}, "x: low must not be above high, got 2 and 1"),
        ({"low": 1, "high": 2, "step": 0}, "x: step must be above 0, got 0"),
        ({"low": 1.0, "high": math.inf}, "x: low, high and step must be finite"),
        ({"low": 1, "high": 10**400}, "x: low, high and step must be finite"),
        ({"low": 1.0, "high": 2.0, "step": math.nan}, "x: low, high and step must be finite"),
        ({"low": 0.0, "high": 1.0, "log": True}, "x: a log range needs low above 0 and no step"),
        ({"low": 1, "high": 9, "step": 2, "log": True}, "x: a log range needs low above 0 and no step"),
        ({"low": 0, "high": 10**12}, "x: a range may have 100,000 steps at most, got 1,000,000,000,001"),
        ({"low": 1.0, "high": 2.0, "step": 0.3079340486980141}, "x: step must have 12 digits at most"),
        (Range(2.0, 1.0), "x: low must not be above high"),
        (Choice(()), "x must have at least one choice"),
    ],
    ids=str,
)
def test_dimension_that_cannot_be_read_is_refused(form, sentence):
    with pytest.raises(SpaceError, match=f"^{sentence}"):
        dimension(form, "x")


def test_dimensions_print_as_they_are_read():
    assert str(dimension(["b", "a"], "x")) == "b, a"
    assert str(dimension({"low": 0.125, "high": 1.0, "step": 0.125}, "x")) == "0.125 to 1 in steps of 0.125"
    assert str(dimension({"low": 0.1, "high": 10.0, "log": True}, "x")) == "0.1 to 10, log"
