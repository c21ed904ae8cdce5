"""Spaces of named parameters: conditions, listing, TOML, refusals."""

import tomllib

import optuna
import pytest

from leni.errors import CandidateError, SpaceError
from spaces import Configuration, ParameterSpace, space

TABLE = {
    "name": "forest",
    "parameters": {
        "kind": ["extra", "random", "boosted"],
        "depth": {"low": 1, "high": 4},
        "bootstrap": [True, False],
        "rate": {"low": 0.1, "high": 0.3, "step": 0.1},
    },
    "when": {"bootstrap": {"kind": "random"}, "rate": {"kind": ["boosted"], "depth": [1, 2]}},
}


def by_hand():
    """All points of TABLE, with loops."""
    points = set()
    for depth in range(1, 5):
        points.add(Configuration({"kind": "extra", "depth": depth}))
        points |= {Configuration({"kind": "random", "depth": depth, "bootstrap": flag}) for flag in (True, False)}
        boosted = {"kind": "boosted", "depth": depth}
        points |= {Configuration({**boosted, "rate": r}) for r in (0.1, 0.2, 0.3)} if depth < 3 else {
            Configuration(boosted)
        }  # fmt: skip
    return points


def test_candidates_are_those_of_nested_loops():
    forest = space(TABLE)
    listed = list(forest.candidates())
    assert set(listed) == by_hand()
    assert len(listed) == len(set(listed)) == forest.size


def test_suggest_asks_only_what_the_conditions_allow():
    forest = space(TABLE)
    point = forest.suggest(optuna.trial.FixedTrial({"kind": "boosted", "depth": 4}))
    assert point == Configuration({"depth": 4, "kind": "boosted"})


def test_parameters_lead_back_to_the_point():
    forest = space(TABLE)
    for point in by_hand():
        parameters, distributions = forest.parameters(point)
        assert forest.suggest(optuna.trial.FixedTrial(parameters)) == point
        assert list(parameters) == list(distributions)
    assert forest.parameters(Configuration({"kind": "extra", "depth": 9})) is None
    assert forest.parameters(Configuration({"kind": "extra", "depth": 1, "bootstrap": True})) is None


def test_toml_gives_an_equal_space(tmp_path):
    path = tmp_path / "forest.toml"
    path.write_text(space(TABLE).to_toml())
    assert space(str(path)) == space(TABLE)


def test_fix_drops_what_can_no_longer_be_asked():
    fixed = space(TABLE).fix({"kind": "random"})
    assert set(fixed.candidates()) == {point for point in by_hand() if dict(point.values)["kind"] == "random"}
    assert "rate" not in fixed.dimensions()


def test_size_is_none_where_there_is_no_end():
    assert ParameterSpace("s", {"x": {"low": 0.0, "high": 1.0}}).size is None
    assert ParameterSpace("s", {"x": {"low": 0, "high": 9}, "y": [1, 2]}).size == 20


def test_configuration_tells_true_from_one_and_round_trips():
    assert Configuration({"a": True}) != Configuration({"a": 1})
    assert hash(Configuration({"a": 1, "b": "x"})) == hash(Configuration((("b", "x"), ("a", 1))))
    point = Configuration({"b": "x", "a": 0.5})
    assert Configuration.from_dict(point.to_dict()) == point
    assert point.columns() == {"a": 0.5, "b": "x"}


@pytest.mark.parametrize("values", [{"a": None}, {"a": float("nan")}, {1: 2}])
def test_configuration_that_no_record_can_hold_is_refused(values):
    with pytest.raises(CandidateError):
        Configuration(values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"parameters": {}}, "at least one parameter"),
        ({"parameters": {"x": []}}, "x must have at least one choice"),
        ({"when": {"depht": {"kind": "random"}}}, r"when.depht: .*did you mean 'depth'"),
        ({"when": {"kind": {"depth": 1}}}, "must be a parameter that stands before kind"),
        ({"when": {"depth": {"kind": "extr"}}}, "kind cannot be 'extr'"),
        ({"wen": {}}, "did you mean 'when'"),
    ],
)
def test_space_that_cannot_be_is_refused(change, sentence):
    with pytest.raises(SpaceError, match=sentence):
        space({**TABLE, **change})


@pytest.mark.parametrize(("values", "sentence"), [({"deep": 1}, "no dimension 'deep'"), ({"depth": 9}, "cannot be 9")])
def test_fix_of_what_cannot_be_is_refused(values, sentence):
    with pytest.raises(SpaceError, match=sentence):
        space(TABLE).fix(values)


KNOWN = {
    "nodes": "2**depth if kind == 'extra' else 3 * depth",
    "heads": "depth * (1 + bootstrap) if kind == 'random' else 0",
}


def test_known_expressions_round_trip_and_outlive_a_fixed_parameter():
    made = space({**TABLE, "known": KNOWN})
    assert space(made.to_dict()) == made
    assert [made.known["nodes"]({"kind": kind, "depth": 3}) for kind in ("extra", "random")] == [8, 9]
    assert made.fix({"kind": "extra"}).known["heads"]({"kind": "extra", "depth": 3}) == 0


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"nodes": "depht * 2"}, "known.nodes asks for 'depht', which there is not; did you mean 'depth'"),
        ({"nodes": "depth.real"}, "known.nodes may hold numbers"),
        ({"nodes": [1]}, "known.nodes must be a text"),
        ({" ": "1"}, "a name in known must be a text"),
        ("nodes", "known must be a table of expressions"),
    ],
)
def test_known_that_cannot_be_read_is_refused(known, sentence):
    with pytest.raises(SpaceError, match=sentence):
        space({**TABLE, "known": known})


def test_parameters_keep_their_order_through_toml():
    given = {
        "parameters": {"n": {"low": 1, "high": 3}, "x": [1, 2], "y": {"low": 0.0, "high": 1.0}},
        "when": {"x": {"n": 1}},
    }
    made = space(given)
    read = space(tomllib.loads(made.to_toml()))
    assert (read, list(read.asked)) == (made, ["n", "x", "y"])


@pytest.mark.parametrize("order", [["n"], ["n", "n"], "n", ["n", "z"]])
def test_order_that_is_not_of_the_parameters_is_refused(order):
    with pytest.raises(SpaceError, match="order must be a list of the parameters, each once"):
        space({"parameters": {"n": [1, 2], "x": [1, 2]}, "order": order})
