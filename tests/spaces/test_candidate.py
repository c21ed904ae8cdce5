"""Candidates: frozen, canonical, there and back through JSON, and what they refuse."""

import dataclasses
import doctest
import importlib
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leni.errors import ActivationError, CandidateError, PlacementError
from spaces import BACKBONES, Candidate

PLACEMENTS = ["all", "none", "stem", "inner+stem", "first", "every:3", "stage:2-3", "stage:1+stem"]
OPTIONS = {
    "relu": st.just({}),
    "prelu": st.fixed_dictionaries({}, optional={"per": st.sampled_from(["channel", "network"])}),
    "elu": st.fixed_dictionaries({}, optional={"alpha": st.floats(-3, 3) | st.integers(-3, 3)}),
    "leni": st.fixed_dictionaries(
        {},
        optional={
            "init_std": st.floats(0, 2),
            "decay": st.booleans(),
            "kernel_size": st.sampled_from([1, 3, 7]),
            "transform": st.sampled_from(["depthwise", "scale", "grouped", "dense"]),
            "groups": st.none() | st.integers(1, 9),
        },
    ),
}


@st.composite
def candidates(draw):
    row = draw(st.sampled_from(list(BACKBONES.values())))
    widths = draw(st.tuples(*[st.integers(1, 10**6)] * len(row.full_widths)))
    activation = draw(st.sampled_from(list(OPTIONS)))
    factor = draw(st.floats(1e-6, 1e6) | st.integers(1, 9))
    return Candidate(row.name, widths, activation, draw(st.sampled_from(PLACEMENTS)), draw(OPTIONS[activation]), factor)


def made(**changes):
    return Candidate(**{"backbone": "resnet8", "widths": (4, 8, 16), "activation": "leni", **changes})


def fields_of(**changes):
    return {**made().to_dict(), **changes}


@settings(deadline=None, max_examples=60)
@given(candidates())
def test_candidate_round_trips_through_json_and_pickle(candidate):
    for copy in (Candidate.from_json(candidate.to_json()), pickle.loads(pickle.dumps(candidate))):
        assert copy == candidate
        assert hash(copy) == hash(candidate)
        assert copy.to_json() == candidate.to_json()
    assert len({candidate, Candidate.from_dict(candidate.to_dict())}) == 1
    assert "\n" not in candidate.to_json()


def test_candidate_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().activation = "relu"


def test_candidate_fields_are_canonical():
    candidate = made(widths=[4, 8, 16], placement="inner + stem", options={"init_slope": 1, "decay": True}, lr_factor=2)
    assert candidate.widths == (4, 8, 16)
    assert candidate.placement == "stem+inner"
    assert type(candidate.lr_factor) is float
    names = [name for name, _ in candidate.options]
    assert names == sorted(names)
    assert len(names) == 9
    assert type(dict(candidate.options)["init_slope"]) is float
    assert dict(candidate.options)["kernel_size"] == 3


def test_candidate_equality_fills_defaults_and_ignores_order():
    assert made() == made(options={"kernel_size": 3, "transform": "depthwise"})
    assert made(options=(("norm", "batch"), ("decay", True))) == made(options={"decay": True, "norm": "batch"})
    assert made(options={"init_std": 1}).to_json() == made(options={"init_std": 1.0}).to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "resnet20"},
        {"widths": (4, 8, 17)},
        {"activation": "prelu"},
        {"placement": "stem"},
        {"options": {"decay": True}},
        {"lr_factor": 0.3},
    ],
)
def test_candidate_differs_where_a_field_does(changes):
    assert made(**changes) != made()
    assert len({made(**changes), made(), made(**changes)}) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"backbone": "resnet9"}, "there is no backbone 'resnet9'; near names are .*resnet8"),
        ({"backbone": 8}, "backbone must be a name, got 8"),
        ({"backbone": ["resnet8"]}, r"backbone must be a name, got \['resnet8'\]"),
        ({"activation": None}, "activation must be a name, got None"),
        ({"activation": ["relu"]}, r"activation must be a name, got \['relu'\]"),
        ({"widths": (4, 8)}, r"widths must be 3 numbers for resnet8, got \(4, 8\)"),
        ({"widths": 4}, "widths must be 3 numbers for resnet8, got 4"),
        ({"widths": "abc"}, "widths must be 3 numbers for resnet8, got 'abc'"),
        ({"widths": (4, 8, 0)}, r"widths must be whole numbers of at least 1, got \(4, 8, 0\)"),
        ({"widths": (4, 8.0, 16)}, "widths must be whole numbers of at least 1"),
        ({"widths": (4, True, 16)}, "widths must be whole numbers of at least 1"),
        ({"placement": None}, "placement must be a text such as 'all' or 'stem.inner', got None"),
        ({"options": ""}, "options must be names with values, got ''"),
        ({"options": 3}, "options must be names with values, got 3"),
        ({"options": {3: 1}}, "options must be names with values, got {3: 1}"),
        ({"options": [[["x"], 1]]}, "options must be names with values"),
        ({"lr_factor": "1"}, "lr_factor must be a number, got '1'"),
        ({"lr_factor": True}, "lr_factor must be a number, got True"),
        ({"lr_factor": 0}, "lr_factor must be above 0 and finite, got 0"),
        ({"lr_factor": -0.5}, "lr_factor must be above 0 and finite, got -0.5"),
        ({"lr_factor": float("nan")}, "lr_factor must be above 0 and finite, got nan"),
        ({"lr_factor": float("inf")}, "lr_factor must be above 0 and finite, got inf"),
        ({"lr_factor": 10**400}, "lr_factor must be above 0 and finite, got 1000"),
    ],
)
def test_candidate_bad_field_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(CandidateError, match=f"^{sentence}") as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"activation": "lenny"}, ActivationError, "no activation is called 'lenny' .*leni"),
        ({"options": {"kernel": 3}}, ActivationError, "no option 'kernel' .*kernel_size"),
        ({"options": {"kernel_size": 2}}, ActivationError, "`kernel_size` must be an odd number of at least 1, got 2"),
        ({"options": {"decay": 1}}, ActivationError, "`decay` must be True or False, got 1"),
        ({"placement": "middle"}, PlacementError, "cannot read 'middle' at column 1"),
        ({"placement": "stage:4"}, PlacementError, "'stage:4' matches none"),
    ],
)
def test_candidate_passes_on_what_its_parts_refuse(changes, error, sentence):
    with pytest.raises(error, match=sentence):
        made(**changes)


def test_from_dict_unknown_and_missing_fields_are_named():
    table = fields_of(depth=8)
    del table["placement"], table["lr_factor"]
    with pytest.raises(CandidateError, match=r"fields are backbone, .*unknown: depth; missing: placement, lr_factor"):
        Candidate.from_dict(table)


def test_from_dict_unknown_field_alone_is_refused():
    with pytest.raises(CandidateError, match=r"lr_factor; unknown: depth, epochs$"):
        Candidate.from_dict(fields_of(depth=8, epochs=3))


def test_from_dict_missing_option_is_named():
    table = fields_of()
    del table["options"]["norm"], table["options"]["decay"]
    with pytest.raises(CandidateError, match="options of leni are missing: decay, norm"):
        Candidate.from_dict(table)


def test_from_dict_of_before_there_was_an_option_has_its_default():
    table = fields_of()
    del table["options"]["frozen"]
    assert dict(Candidate.from_dict(table).options)["frozen"] is False


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a candidate must be a JSON object: "),
        ("{", "a candidate must be a JSON object: "),
        ("1" * 5000, "a candidate must be a JSON object: "),
        ("[]", r"a candidate must be an object with named fields, got \[\]"),
        ("null", "a candidate must be an object with named fields, got None"),
        (json.dumps(fields_of(options=[["decay", True]])), r"options must be an object, got \[\['decay', True\]\]"),
        (json.dumps(fields_of(lr_factor=float("nan"))), "lr_factor must be above 0 and finite, got nan"),
        (json.dumps(fields_of(widths="4-8-16")), "widths must be 3 numbers for resnet8, got '4-8-16'"),
    ],
)
def test_from_json_other_text_is_refused(text, sentence):
    with pytest.raises(CandidateError, match=f"^{sentence}"):
        Candidate.from_json(text)


def test_columns_are_flat():
    columns = made(activation="prelu", placement="inner+stem").columns()
    assert columns == {
        "backbone": "resnet8",
        "widths": "4-8-16",
        "activation": "prelu",
        "placement": "stem+inner",
        "lr_factor": 1.0,
        "per": "channel",
        "init": 0.25,
    }


def test_examples_in_the_docstrings_are_true():
    ran = doctest.testmod(importlib.import_module("spaces.candidate"))
    assert ran.attempted > 0
    assert ran.failed == 0
