"""Search spaces: suggesting, listing and finding parameters agree with a brute force over a trial's answers."""

import doctest
import importlib
import itertools

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from leni.errors import ActivationError, CandidateError, InfeasibleWidth, LeniSearchError, PlacementError, SpaceError
from spaces import BACKBONES, Candidate, SearchSpace
from spaces import space as find_space

FINITE = {
    "constants": SearchSpace("constants", "vgg16_bn", "gelu", "inner", 0.5, lr_factor=0.3),
    "relu alone": SearchSpace("relu", "resnet8", "relu", ["all", "inner"], [1.0, 0.5], lr_factor=[3, 1]),
    "orders": SearchSpace("orders", "resnet8", ["leni", "relu"], ["stem+inner", "inner+stem", "outer"]),
    "none": SearchSpace(
        "none", "resnet8", ["prelu", "leni"], ["inner", "none+none"], options={"leni": {"decay": [True, False]}}
    ),
    "near ratios": SearchSpace("near", "resnet8", "relu", width=[0.52, 0.5, 0.51]),
    "steps": SearchSpace("steps", "resnet8", ["prelu"], lr_factor={"low": 0.1, "high": 0.75, "step": 0.1}),
    "whole": SearchSpace(
        "whole",
        "resnet8",
        ["dynamic_relu_b", "leni"],
        lr_factor={"low": 1, "high": 3},
        options={
            "dynamic_relu_b": {"reduction": {"low": 1, "high": 4, "log": True}},
            "leni": {"kernel_size": {"low": 1, "high": 6, "step": 2}, "init_std": {"low": 0, "high": 1}},
        },
    ),
    "stages": SearchSpace(
        "stages", ["resnet8", "vgg16_bn"], ["leni", "relu"], "stem", {"low": 0.4, "high": 1.0, "step": 0.5}, "stage"
    ),
    "stages near": SearchSpace("stages near", "resnet8", "relu", width=[1.0, 0.51, 0.5], width_per="stage"),
}
CONTINUOUS = {
    "width": SearchSpace("width", ["resnet8", "vgg16_bn"], ["relu", "prelu"], width={"low": 0.2, "high": 0.9}),
    "log width": SearchSpace("log", "resnet20", "relu", width={"low": 0.34, "high": 0.36, "log": True}),
    "stage width": SearchSpace("stage", "resnet8", "crelu", "stem", {"low": 0.34, "high": 1.0}, "stage"),
    "factor": SearchSpace("factor", "resnet8", ["leni"], lr_factor={"low": 0.1, "high": 10.0, "log": True}),
    "option": SearchSpace("option", "resnet8", ["elu", "relu"], options={"elu": {"alpha": {"low": 0.5, "high": 2.0}}}),
}
ALL = {**FINITE, **CONTINUOUS}


class Path:
    """A trial that follows one path of answers, and notes the turnings after its end."""

    def __init__(self, answers):
        self.answers, self.asked, self.turnings = answers, [], ()

    def _answer(self, name, values):
        self.asked.append(name)
        if len(self.asked) <= len(self.answers):
            return self.answers[len(self.asked) - 1]
        self.turnings = self.turnings or tuple(values)
        return values[0]

    def suggest_categorical(self, name, choices):
        return self._answer(name, choices)

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return self._answer(name, range(low, high + 1, step))

    def suggest_float(self, name, low, high, *, step=None, log=False):
        assert step, f"{name} is continuous"
        return self._answer(name, [low + index * step for index in range(round((high - low) / step) + 1)])


def suggested(space):
    """Every candidate that suggestion can give, with the names that were asked on the way."""
    found, pending = [], [()]
    while pending:
        path = Path(pending.pop())
        candidate = space.suggest(path)
        if len(path.asked) == len(path.answers):
            found.append((candidate, tuple(path.asked)))
        else:
            pending.extend((*path.answers, value) for value in path.turnings)
    return found


def drawn(space, count, seed=0):
    """Trials of a random sampler, each with its candidate."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trials = [study.ask() for _ in range(count)]
    return [(trial, space.suggest(trial)) for trial in trials]


@pytest.mark.parametrize("name", FINITE)
def test_candidates_are_those_that_suggestion_gives_each_once(name):
    space = FINITE[name]
    listed = list(space.candidates())
    assert len(set(listed)) == len(listed) == space.size
    assert set(listed) == {candidate for candidate, _ in suggested(space)}
    assert {candidate for _, candidate in drawn(space, 60)} <= set(listed)


def test_candidates_are_the_product_where_nothing_is_conditional():
    space = SearchSpace("mine", "resnet8", ["leni", "prelu"], ["stem", "all"], [0.5, 1.0], lr_factor=[3, 1, 0.3])
    widths = {0.5: (8, 16, 32), 1.0: (16, 32, 64)}
    product = itertools.product([0.5, 1.0], ["leni", "prelu"], ["stem", "all"], [3.0, 1.0, 0.3])
    expected = [Candidate("resnet8", widths[ratio], name, place, (), factor) for ratio, name, place, factor in product]
    assert list(space.candidates()) == expected
    assert {candidate for _, candidate in drawn(space, 400)} == set(expected)


def test_candidates_of_a_continuous_space_are_refused():
    for name, dimension in (("width", "width"), ("stage width", "width.1"), ("option", "elu.alpha")):
        assert CONTINUOUS[name].size is None
        with pytest.raises(SpaceError, match=f"cannot be listed: {dimension}"):
            next(CONTINUOUS[name].candidates())


def test_suggest_asks_an_option_only_of_its_activation():
    space = SearchSpace(
        "mine", "resnet8", ["relu", "elu", "leni"], ["all", "stem", "none"],
        options={"leni": {"decay": [False, True], "init_std": 0.0}, "elu": {"alpha": [1.0, 2.0]}},
    )  # fmt: skip
    for candidate, asked in suggested(space):
        place = {"placement"} if candidate.activation != "relu" else set()
        own = {"leni": {"leni.decay"}, "elu": {"elu.alpha"}}.get(candidate.activation, set())
        assert set(asked) - ({"placement"} if candidate.activation == "relu" else set()) == {"activation"} | place | own
        if candidate.activation == "leni":
            assert dict(candidate.options)["init_std"] == 0.0
    relu = [asked for candidate, asked in suggested(space) if candidate.activation == "relu"]
    assert sorted(relu) == [("activation",), ("activation", "placement"), ("activation", "placement")]


def test_suggest_asks_as_many_widths_as_the_backbone_has_stages():
    space = FINITE["stages"]
    for candidate, asked in suggested(space):
        stages = len(BACKBONES[candidate.backbone].full_widths)
        assert [name for name in asked if name.startswith("width")] == [f"width.{n}" for n in range(1, stages + 1)]


@pytest.mark.parametrize("name", ALL)
def test_parameters_invert_suggest(name):
    space = ALL[name]
    for trial, candidate in drawn(space, 80):
        parameters, distributions = space.parameters(candidate)
        assert space.suggest(FixedTrial(parameters)) == candidate
        assert parameters.keys() == distributions.keys()
        for key in parameters.keys() & trial.distributions.keys():
            assert distributions[key] == trial.distributions[key]
        assert all(
            distributions[key]._contains(distributions[key].to_internal_repr(parameters[key])) for key in parameters
        )


@pytest.mark.parametrize("name", FINITE)
def test_parameters_exist_for_every_candidate(name):
    for candidate in FINITE[name].candidates():
        assert FINITE[name].suggest(FixedTrial(FINITE[name].parameters(candidate)[0])) == candidate


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "resnet20"},
        {"widths": (8, 16, 33)},
        {"widths": (9, 16, 32)},
        {"widths": (17, 34, 68)},
        {"activation": "prelu", "options": {}},
        {"placement": "outer"},
        {"placement": "none"},
        {"options": {"decay": True, "kernel_size": 5}},
        {"options": {"init_std": 0.3}},
        {"lr_factor": 0.9},
        {"activation": "relu", "placement": "stem", "options": {}},
    ],
    ids=str,
)
def test_parameters_of_a_candidate_outside_are_none(changes):
    space = SearchSpace(
        "mine", "resnet8", ["relu", "leni"], ["inner+stem", "all", "stem"], [1.0, 0.5], lr_factor=[1.0, 0.3],
        options={"leni": {"decay": [False, True]}},
    )  # fmt: skip
    inside = Candidate("resnet8", (8, 16, 32), "leni", "stem+inner", {"decay": True}, 0.3)
    parameters, _ = space.parameters(inside)
    expected = {"width": 0.5, "activation": "leni", "placement": "inner+stem", "leni.decay": True, "lr_factor": 0.3}
    assert parameters == expected
    assert space.parameters(Candidate(**{**inside.to_dict(), **changes})) is None


@pytest.mark.parametrize("name", ALL)
def test_toml_gives_an_equal_space(name, tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(ALL[name].to_toml(), encoding="utf-8")
    read = find_space(str(path))
    assert read == ALL[name]
    assert read.to_toml() == ALL[name].to_toml()
    assert repr(read) == repr(ALL[name])


def numbers(least, most):
    """A dimension of numbers in any form."""
    number = st.floats(least, most, allow_subnormal=False)
    ends = st.tuples(number, number).map(sorted)
    return st.one_of(
        number,
        st.lists(number, min_size=1, max_size=4, unique=True),
        ends.map(lambda pair: {"low": pair[0], "high": pair[1]}),
        ends.map(lambda pair: {"low": pair[0], "high": pair[1], "log": True}),
        st.builds(
            lambda ends, step: {"low": min(ends) / 1000, "high": max(ends) / 1000, "step": step / 100},
            st.tuples(*[st.integers(max(1, round(least * 1000)), most * 1000)] * 2),
            st.integers(1, 99),
        ),
    )


@st.composite
def spaces(draw):
    names = st.lists(st.sampled_from(["relu", "prelu", "gelu", "leni"]), min_size=1, max_size=3, unique=True)
    activation = draw(names)
    leni = {"init_std": numbers(1e-4, 1), "decay": st.lists(st.booleans(), min_size=1, unique=True)}
    options = {"leni": draw(st.fixed_dictionaries({}, optional=leni))} if "leni" in activation else {}
    return SearchSpace(
        draw(st.text(max_size=5).filter(lambda text: text.isprintable())),
        draw(st.lists(st.sampled_from(["resnet8", "vgg16_bn"]), min_size=1, unique=True)),
        activation,
        draw(st.lists(st.sampled_from(["all", "none", "inner+stem", "every:2"]), min_size=1, unique=True)),
        draw(numbers(0.05, 1)),
        draw(st.sampled_from(["network", "stage"])),
        draw(numbers(0.01, 10)),
        options,
        draw(st.text(max_size=5)),
    )


@settings(deadline=None, max_examples=60)
@given(spaces(), st.integers(0, 2**31))
def test_any_space_round_trips_and_inverts(space, seed):
    assert SearchSpace.from_dict(space.to_dict()) == space
    (trial, candidate), *_ = drawn(space, 1, seed)
    parameters, distributions = space.parameters(candidate)
    assert space.suggest(FixedTrial(parameters)) == candidate
    assert set(trial.params) <= set(space.dimensions())
    assert set(distributions) <= set(space.dimensions())
    assert set(candidate.columns()) <= set(space.columns())
    assert str(space).startswith(f"{space.name}: ")


def test_fix_holds_dimensions_constant():
    space = FINITE["none"].fix({"leni.decay": True, "lr_factor": 0.5, "leni.kernel_size": [1, 5], "width": 0.25})
    assert {candidate.lr_factor for candidate in space.candidates()} == {0.5}
    assert {candidate.widths for candidate in space.candidates()} == {(4, 8, 16)}
    options = [dict(found.options) for found in space.candidates() if found.activation == "leni"]
    assert [(own["decay"], own["kernel_size"]) for own in options] == [(True, 1), (True, 5)]
    assert FINITE["none"].fix({}) == FINITE["none"]
    assert "lr_factor" not in dict(space.parameters(next(space.candidates()))[1])


def test_fix_activation_drops_the_options_of_the_others():
    space = FINITE["whole"].fix({"activation": ["leni"]})
    assert set(space.options) == {"leni"}
    assert set(FINITE["whole"].options) == {"leni", "dynamic_relu_b"}
    assert space.size == 3 * 2 * 3


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        ({"lr_facto": 1.0}, SpaceError, "space 'stages' has no dimension 'lr_facto'; near names are lr_factor"),
        ({"name": "x"}, SpaceError, "has no dimension 'name'"),
        ({"elu.alpha": 1.0}, SpaceError, "has no dimension 'elu.alpha'"),
        ({"width.1": 0.5}, SpaceError, "width.1 cannot be fixed alone; fix width, for all stages"),
        ({"width": 1.5}, InfeasibleWidth, r"^width must be in \(0, 1\], got 1.5$"),
        ({"leni.kernel_size": 4}, ActivationError, "`kernel_size` must be an odd number"),
        ({"leni.kernel": 3}, ActivationError, "no option 'kernel'"),
        ({"backbone": "vgg"}, CandidateError, "there is no backbone 'vgg'; near names are vgg16_bn"),
        ({"placement": "outer"}, PlacementError, "'outer' matches none"),
        ({"lr_factor": 0}, SpaceError, "lr_factor must be a number above 0, got 0"),
    ],
    ids=str,
)
def test_fix_refuses_what_no_candidate_has(values, error, sentence):
    with pytest.raises(error, match=sentence):
        FINITE["stages"].fix(values)


def test_references_are_relu_and_leni_everywhere_at_full_width():
    space = SearchSpace(
        "mine", ["resnet20", "resnet8"], ["prelu", "leni"], "stem", [0.5, 0.25], lr_factor=[3.0, 0.2, 1.5],
        options={"leni": {"decay": [True, False], "init_std": 0.1, "kernel_size": [5]}},
    )  # fmt: skip
    relu, leni = space.references()
    assert relu == Candidate("resnet20", (16, 32, 64), "relu", "all", (), 1.5)
    assert leni == Candidate("resnet20", (16, 32, 64), "leni", "all", {"init_std": 0.1, "kernel_size": 5}, 1.5)


@pytest.mark.parametrize(("low", "high", "factor"), [(0.1, 10.0, 1.0), (2.0, 3.0, 2.0), (0.1, 0.5, 0.5)])
def test_references_take_the_nearest_rate_of_a_range(low, high, factor):
    space = CONTINUOUS["factor"].fix({"lr_factor": {"low": low, "high": high}})
    assert {reference.lr_factor for reference in space.references()} == {factor}


BASE = {"name": "x", "backbone": "resnet8", "activation": "leni"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": 3}, "name must be a text, got 3"),
        ({"description": ["x"]}, "description must be a text"),
        ({"width_per": "block"}, "width_per must be 'network', 'stage' or 'group', got 'block'"),
        ({"backbone": 8}, "backbone must be a name or a list of names, got 8"),
        ({"backbone": {"low": 1.0, "high": 2.0}}, "backbone must be a name or a list of names"),
        ({"activation": []}, "activation must have at least one choice"),
        ({"activation": "lenny"}, "no activation is called 'lenny'"),
        ({"placement": "midle"}, "cannot read 'midle'"),
        ({"placement": "midle", "activation": "relu"}, "cannot read 'midle'"),
        ({"placement": ["inner", "stage:9"]}, "'stage:9' matches none"),
        ({"width": 1.5}, r"width must be in \(0, 1\], got 1.5"),
        ({"width": [0.5, 0]}, r"width must be in \(0, 1\], got 0.0"),
        ({"width": {"low": 0.5, "high": 2.0}}, r"width must be in \(0, 1\], got 2.0"),
        ({"width": "half"}, r"width must be a number in \(0, 1\], got 'half'"),
        ({"width": 0.01}, "width 0.01 leaves stage 1 of resnet8 no channel"),
        ({"lr_factor": float("nan")}, "lr_factor must be finite, got nan"),
        ({"lr_factor": [1.0, -1.0]}, "lr_factor must be a number above 0, got -1.0"),
        ({"lr_factor": {"low": 0.0, "high": 1.0}}, "lr_factor must be a number above 0, got 0.0"),
        ({"options": ["leni"]}, "options must be tables by activation"),
        ({"options": {"leni": 3}}, "options must be tables by activation"),
        ({"options": {"elu": {"alpha": 1.0}}}, "options.elu: the space does not have this activation; it has leni"),
        ({"options": {"leni": {"decay": []}}}, "options.leni.decay must have at least one choice"),
        ({"options": {"leni": {"norm": ["none", "layer"]}}}, "`norm` must be one of none, batch, got 'layer'"),
        ({"options": {"leni": {"kernel_size": {"low": 1, "high": 5}}}}, "`kernel_size` must be an odd .*, got 2"),
        ({"colour": "red"}, "a search space has no key 'colour'; keys are name, backbone"),
        ({"widht": 1.0}, "a search space has no key 'widht'; did you mean 'width'?"),
    ],
    ids=str,
)
def test_space_that_cannot_be_is_refused(changes, sentence):
    with pytest.raises(LeniSearchError, match=f"{sentence}"):
        SearchSpace.from_dict({**BASE, **changes})


def test_from_dict_missing_keys_are_named():
    with pytest.raises(SpaceError, match=r"^a search space needs backbone and activation$"):
        SearchSpace.from_dict({})
    assert SearchSpace.from_dict({"backbone": "resnet8", "activation": "relu"}).name == "custom"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"backbone = ", "Invalid value"),
        (b"\xff", "codec can't decode"),
        (b"backbone = 'resnet8'\nactivation = 'relu'\nwidth = 1.5", r"width must be in \(0, 1\], got 1.5$"),
    ],
)
def test_from_toml_names_the_file(content, reason, tmp_path):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpaceError, match=rf"mine\.toml: .*{reason}"):
        find_space(str(path))


def test_space_prints_as_a_table():
    space = SearchSpace(
        "mine", ["resnet8", "vgg16_bn"], ["relu", "leni"], ["all", "stem"], [0.5, 1.0], "stage",
        options={"leni": {"decay": [False, True]}},
    )  # fmt: skip
    lines = [line.split("  ") for line in str(space).splitlines()]
    assert lines.pop(0) == [f"mine: {(2**3 + 2**5) * (1 + 2 * 2)} candidates"]
    rows = [tuple(cell.strip() for cell in line if cell.strip()) for line in lines]
    widths = [(f"width.{stage}", "0.5, 1.0") for stage in (1, 2, 3)]
    assert rows == [
        ("backbone", "resnet8, vgg16_bn"),
        *widths,
        ("width.4", "0.5, 1.0", "if backbone is vgg16_bn"),
        ("width.5", "0.5, 1.0", "if backbone is vgg16_bn"),
        ("activation", "relu, leni"),
        ("placement", "all, stem", "if activation is not relu"),
        ("leni.decay", "False, True", "if activation is leni"),
        ("lr_factor", "1.0"),
    ]
    assert str(CONTINUOUS["factor"]).startswith("factor: continuous\n")


def test_dimensions_leave_out_a_placement_that_nothing_has():
    assert list(FINITE["relu alone"].dimensions()) == ["backbone", "width", "activation", "lr_factor"]
    assert list(FINITE["none"].dimensions())[-3:] == ["placement", "leni.decay", "lr_factor"]


def test_examples_in_the_docstrings_are_true():
    ran = doctest.testmod(importlib.import_module("spaces.search_space"))
    assert ran.attempted > 0
    assert ran.failed == 0
