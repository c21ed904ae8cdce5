import itertools
import math

import pytest

from leni.errors import CandidateError
from spaces import Candidate
from spaces.recipes import other_recipes

RELU = Candidate("resnet8", (4, 8, 16), "relu", lr_factor=2.0)
LENI = Candidate("resnet8", (4, 8, 16), "leni", "inner", {"kernel_size": 5, "decay": True})


def test_other_recipes_begin_with_the_candidates_own_and_change_nothing_else():
    found = other_recipes(LENI, 12)
    assert found[0] == LENI
    assert len(set(found)) == 12
    for each in found:
        assert (each.activation, each.placement, each.widths) == ("leni", "inner", LENI.widths)
        assert dict(each.options)["kernel_size"] == 5
    assert {dict(each.options)["init_std"] for each in found} == {0.0, 0.01, 0.1}
    assert {dict(each.options)["decay"] for each in found} == {True, False}


def test_other_recipes_spread_the_rate_evenly_about_the_own_one():
    logs = sorted(math.log(each.lr_factor / 2.0, 9.0) for each in other_recipes(RELU, 8))
    assert logs[0] < -0.7
    assert logs[-1] > 0.7
    assert max(b - a for a, b in itertools.pairwise(logs)) < 0.4


def test_other_recipes_hold_what_a_plan_varies():
    found = other_recipes(LENI, 20, held=("lr_factor", "init_std"))
    assert {each.lr_factor for each in found} == {1.0}
    assert len(found) == 2  # decay alone is left
    assert other_recipes(RELU, 5, held=("lr_factor",)) == (RELU,)


def test_other_recipes_of_none_are_refused():
    with pytest.raises(CandidateError, match="at least one"):
        other_recipes(RELU, 0)
