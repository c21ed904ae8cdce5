"""Plans around a candidate: which networks they hold, and what a fraction keeps apart."""

import itertools

import numpy as np
import pytest

from leni.errors import CandidateError
from spaces import Candidate
from spaces.factorial import factorial, factors

BASE = Candidate("resnet8", (8, 16, 32), "leni", "stem+inner", {"kernel_size": 5})


def changed(plan):
    """What of the base is different in each cell."""
    own = plan.base.columns()
    return [{name: value for name, value in cell.candidate.columns().items() if value != own.get(name)}
            for cell in plan.cells]  # fmt: skip


def test_one_at_a_time_changes_one_thing_in_each_cell():
    wanted = ["kernel", "frozen", "norm=batch", "stem", "outer", "width", "lr=0.5", "start=0.2"]
    plan = factorial(BASE, factors(BASE, wanted))
    assert changed(plan) == [
        {}, {"kernel_size": 1}, {"kernel_size": 3}, {"frozen": True}, {"norm": "batch"}, {"placement": "inner"},
        {"placement": "all"}, {"widths": "4-8-16"}, {"lr_factor": 0.5}, {"init_std": 0.2},
    ]  # fmt: skip
    assert plan.cells[0].levels == {"kernel": "5", "frozen": "no", "norm": "none", "stem": "on", "outer": "off",
                                    "width": "1", "lr": "1", "start": "0.01"}  # fmt: skip


def test_branch_off_and_no_site_left_are_relu():
    plan = factorial(BASE, factors(BASE, ["branch"]))
    assert plan.cells[1].candidate == Candidate("resnet8", (8, 16, 32), "relu")
    inner = Candidate("resnet8", (8, 16, 32), "leni", "inner")
    assert factorial(inner, factors(inner, ["inner"])).cells[1].candidate.activation == "relu"


def test_sites_of_part_of_a_group_are_kept_by_name():
    base = Candidate("resnet8", (8, 16, 32), "leni", "stage:1")
    off = factorial(base, factors(base, ["inner"])).cells[1].candidate
    assert off.placement == "sites:stages.0.0.outer"


def test_full_plan_has_every_combination_once():
    plan = factorial(BASE, factors(BASE, ["kernel=1,3", "norm", "branch"]), design="full")
    levels = [tuple(cell.levels.values()) for cell in plan.cells]
    assert levels == list(itertools.product(("5", "1", "3"), ("none", "batch"), ("on", "off")))
    assert plan.cells[0].candidate == BASE
    off = [cell.candidate for cell in plan.cells if cell.levels["branch"] == "off"]
    assert set(off) == {Candidate("resnet8", (8, 16, 32), "relu")}


@pytest.mark.parametrize("count", range(2, 9))
def test_fraction_keeps_main_effects_clear_of_two_way_interactions(count):
    names = ["kernel", "norm", "stem", "inner", "outer", "width", "lr", "start"][:count]
    plan = factorial(BASE, factors(BASE, names), design="fractional")
    own = plan.cells[0].levels
    signs = np.array([[1 if cell.levels[name] != own[name] else -1 for name in names] for cell in plan.cells])
    assert plan.cells[0].candidate == BASE
    assert len({tuple(row) for row in signs}) == len(signs) <= 2**count
    np.testing.assert_array_equal(signs.T @ signs, len(signs) * np.eye(count))
    for a, b in itertools.combinations(range(count), 2):
        assert not (signs[:, a] * signs[:, b] @ signs).any()
    assert len(signs) == {2: 4, 3: 8, 4: 8}.get(count, 16)


def test_recipe_factor_is_told_beside_the_candidate():
    plan = factorial(BASE, factors(BASE, ["recipe.weight_decay=0,0.001", "recipe.amp=false"]))
    assert [dict(cell.recipe) for cell in plan.cells] == [
        {},
        {"weight_decay": 0},
        {"weight_decay": 0.001},
        {"amp": False},
    ]
    assert all(cell.candidate == BASE for cell in plan.cells)


@pytest.mark.parametrize("activation", ["relu", "prelu", "leni"])
def test_usual_factors_make_a_plan_for_any_base(activation):
    base = Candidate("vgg16_bn", (8, 8, 8, 8, 8), activation)
    plan = factorial(base, factors(base))
    assert len({part.name for part in plan.factors}) == len(plan.factors)
    assert len(plan.cells) == 1 + sum(len(part.levels) - 1 for part in plan.factors)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (["kernal"], "no factor 'kernal'; did you mean 'kernel'"),
        (["kernel=2"], "`kernel_size` must be an odd number"),
        (["kernel=x"], "levels of kernel must be numbers, got 'x'"),
        (["kernel=5"], "no level beside the base's, which is 5"),
        (["kernel=1,"], "must be NAME or NAME=LEVEL,LEVEL"),
        (["stem=maybe"], "levels of stem are on and off"),
        (["stem=on"], "no level beside the base's, which is on"),
        (["kernel", "kernel=1"], "given twice"),
        (["recipe.lr"], "needs its levels"),
        ([], "at least one factor"),
    ],
)
def test_factors_that_cannot_be_are_refused_in_a_sentence(wanted, sentence):
    with pytest.raises((CandidateError, ValueError), match=sentence):
        factors(BASE, wanted)


def test_parts_of_leni_are_refused_for_another_base():
    relu = Candidate("resnet8", (8, 16, 32), "relu")
    with pytest.raises(CandidateError, match="is a part of LENI, and the base has relu"):
        factors(relu, ["kernel"])
    with pytest.raises(CandidateError, match="design must be one of one, full, fractional"):
        factorial(relu, factors(relu), design="half")
