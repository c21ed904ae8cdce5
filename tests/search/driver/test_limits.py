import re
from contextlib import suppress
from itertools import pairwise

import pytest

from leni.errors import CandidateError, InfeasibleWidth, SpecError
from search.driver.limits import check_limits
from search.spec import Spec
from spaces import Candidate, cost


def count(candidate):
    return vars(cost(candidate, input_shape=(1, 8, 8), classes=10))


def mine(**changes):
    """A space in which the smallest and the largest network are neither the first nor the last of their dimensions."""
    return {
        "backbone": ["resnet20", "resnet8"],
        "activation": ["leni", "crelu", "relu", "prelu"],
        "placement": ["inner", "all", "stem"],
        "width": [0.5, 0.25, 0.75],
        "options": {"leni": {"kernel_size": [1, 3], "compression": ["grouped", "dense"]}},
        **changes,
    }


@pytest.fixture(scope="module")
def costs():
    """Every candidate's, by counting them all; CReLU doubles channels, which not every placement takes."""
    found = []
    for candidate in Spec(space=mine()).search_space().candidates():
        with suppress(CandidateError):
            found.append(count(candidate))
    return found


@pytest.mark.parametrize("name", ["params", "macs"])
@pytest.mark.parametrize("side", ["min", "max"])
def test_limit_that_admits_nothing_names_the_nearest_there_is(costs, name, side):
    known = sorted(each[name] for each in costs)
    end, limit = (known[0], known[0] - 1) if side == "max" else (known[-1], known[-1] + 1)
    with pytest.raises(
        SpecError, match=rf"^{side}_{name} is {limit:,}, but the .* has {end:,} .* --{side}-{name} to {end:,} at"
    ):
        check_limits(Spec(space=mine(), **{f"{side}_{name}": limit}), count)
    check_limits(Spec(space=mine(), **{f"{side}_{name}": end}), count)


def test_limits_between_two_sizes_are_refused_with_the_nearest_size():
    small = mine(options={}, activation=["relu", "leni"], placement=["all", "inner"], backbone="resnet8")
    params = sorted({count(each)["params"] for each in Spec(space=small).search_space().candidates()})
    low, high = next(pair for pair in pairwise(params) if pair[1] - pair[0] > 2)
    with pytest.raises(SpecError, match=r"is within min_params [\d,]+, max_params [\d,]+ at once; the nearest has"):
        check_limits(Spec(space=small, min_params=low + 1, max_params=high - 1), count)


def test_limits_that_only_a_given_candidate_meets_are_accepted():
    tiny = Candidate("resnet8", (2, 4, 8), "relu")
    limit = count(tiny)["params"]
    with pytest.raises(SpecError, match=f"max_params is {limit:,}"):
        check_limits(Spec(space=mine(), max_params=limit), count)
    check_limits(Spec(space=mine(), max_params=limit), count, first=[tiny])


def test_limits_know_of_widths_that_cannot_be_built():
    def counted(candidate):
        if min(candidate.widths) < 8:
            raise InfeasibleWidth("too narrow")
        return count(candidate)

    with pytest.raises(SpecError, match=r"\(resnet8, widths 8-16-32, crelu at inner\)"):
        check_limits(Spec(space=mine(), max_params=10), counted)


def test_limits_of_the_whole_preset_are_found_by_counting_few_networks():
    counted = []

    def noted(candidate):
        counted.append(candidate)
        return count(candidate)

    with pytest.raises(SpecError, match=re.escape("has 1,161 parameters (resnet8, widths 2-4-8, crelu at stem+inner)")):
        check_limits(Spec(space="full", max_params=10), noted)
    assert len(counted) < 250


def test_no_limits_count_nothing():
    check_limits(Spec(), lambda _: pytest.fail("counted"))
