"""Random candidates of a spec's space."""

from leni.errors import CandidateError
from search.driver.sample import random_candidates
from search.spec import Spec


def test_candidates_differ_and_are_the_same_again():
    found = list(random_candidates(Spec(), 6))
    assert len(set(found)) == 6
    assert list(random_candidates(Spec(), 6)) == found
    assert list(random_candidates(Spec(seed=1), 6)) != found


def test_refused_candidates_are_left_out_and_a_small_space_ends():
    def check(candidate):
        if candidate.values[0][1] == "b":
            raise CandidateError("b")

    spec = Spec(space={"parameters": {"kind": ["c", "b", "a"]}}, evaluator="any:any", objectives=("loss:min",))
    assert {one.values[0][1] for one in random_candidates(spec, 9, check=check)} == {"a", "c"}


def test_fixed_list_is_its_own_sample():
    found = list(random_candidates(Spec(), 3))
    fixed = Spec(candidates=tuple(one.to_json() for one in found), trials=3)
    assert list(random_candidates(fixed, 2)) == found[:2]
