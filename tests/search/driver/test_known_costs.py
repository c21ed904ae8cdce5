"""What is known before a trial: expressions, functions and marked functions; mistakes in a sentence; whole runs."""

from pathlib import Path

import pytest

import results
from leni.errors import CandidateError, Impossible, SpecError
from search.driver.dry_run import plan
from search.driver.known_costs import changed_costs, known_costs
from search.driver.prepare import make_pruner, make_sampler
from search.driver.run_search import resume, run
from search.spec import Spec
from spaces import Candidate, Configuration

SPACE = {
    "parameters": {"kind": ["thick", "thin"], "width": {"low": 2, "high": 9}, "depth": {"low": 1, "high": 8}},
    "known": {"size": "width**2 * depth if kind == 'thick' else depth"},
}
OBJECTIVES = ("loss:min", "cells:min")


def spec(**keys) -> Spec:
    given = {"space": SPACE, "evaluator": "cost_functions:evaluate", "objectives": OBJECTIVES, "trials": 5}
    return Spec(**{**given, **keys})


def point(width, depth, kind="thick"):
    return Configuration({"kind": kind, "width": width, "depth": depth})


def test_expressions_and_functions_give_costs_by_column():
    known = known_costs(spec(costs="cost_functions:counted"), None)
    assert known(point(3, 4)) == {"size": 36, "cells": 9, "energy": 2.0}
    assert (set(known.columns), known.quick) == ({"size", "cells", "energy"}, False)
    with pytest.raises(Impossible, match="odd"):
        known(point(3, 5))


def test_none_refuses_a_configuration_as_impossible_does():
    with pytest.raises(Impossible, match="returns None for"):
        known_costs(spec(costs="cost_functions:even_or_none"), None)(point(3, 5))


def test_marked_functions_of_the_evaluators_module_give_costs():
    known = known_costs(spec(evaluator="marked_costs:evaluate"), None)
    assert known(point(3, 5)) == {"size": 45, "cells": 6, "halls": 5, "rooms": 3}


def test_cost_of_a_parameters_name_has_a_column_of_its_own():
    space = {**SPACE, "known": {"width": "width * 2", "state": "depth"}}
    assert known_costs(spec(space=space), None)(point(3, 5)) == {"metric:width": 6, "metric:state": 5}
    asked = known_costs(spec(space=space, objectives=("loss:min", "width:min")), None)
    assert asked(point(3, 5)) == {"width": 6, "metric:state": 5}


def test_networks_have_further_costs_beside_their_own():
    made = Spec(costs="cost_functions:networks")
    known = known_costs(made, lambda candidate: {"params": 10, "macs": 20})
    assert known(Candidate("resnet8", (4, 8, 16), "relu")) == {"params": 10, "macs": 20, "energy": 28}


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("raising", r"^costs 'cost_functions:raising' raised ZeroDivisionError: .*, for \{'depth'"),
        ("leaving", "raised SystemExit: 3"),
        ("a_text", "must give finite numbers, got cells='many'"),
        ("a_nan", "must give finite numbers, got cells=nan"),
        ("a_tensor", r"must give finite numbers, got cells=tensor\(\[1., 1.\]\)"),
        ("a_number", "must return a mapping of names to numbers, got 3"),
        ("other_names", "the same costs must be given for every configuration"),
        ("no_name", "the name of a cost must be a text"),
        ("differing", r"must depend on the configuration alone, got cells=\d+ and then \d+ for"),
        (
            "never",
            r"none of \d+ candidates is possible by what is known before a trial; the last because: .* returns None",
        ),
        ("no_such", "has no function no_such"),
    ],
)
def test_mistake_of_a_cost_function_is_one_sentence(function, sentence):
    here = Path.cwd()
    with pytest.raises(SpecError, match=sentence):
        known_costs(spec(costs=f"cost_functions:{function}"), None)
    assert Path.cwd() == here


def test_name_that_is_given_twice_is_refused():
    with pytest.raises(SpecError, match=r"cells is given twice, by costs .* and by marked_costs\.cells"):
        known_costs(spec(evaluator="marked_costs:evaluate", costs="cost_functions:counted"), None)


def test_expression_without_a_value_is_refused():
    space = {**SPACE, "known": {"size": "1 / (depth - depth)"}}
    with pytest.raises(SpecError, match=r"known\.size = '1 / \(depth - depth\)' has no value: division by zero"):
        known_costs(spec(space=space), None)


def test_costs_that_have_changed_since_the_run_began_are_said():
    known = known_costs(spec(costs="cost_functions:counted"), None)
    same = (7, point(3, 4), {"size": 36, "cells": 9, "energy": 2.0})
    assert changed_costs(known, [same]) == ""
    assert "cells of trial 8 was 10 and is 9 now" in changed_costs(known, [same, (8, point(3, 2), {"cells": 10})])
    assert "trial 9 would be refused now (odd)" in changed_costs(known, [(9, point(3, 5), {"cells": 9})])


def test_limits_are_of_what_is_known():
    known = known_costs(spec(limits={"size": {"min": 4, "max": 36}}), None)
    assert known.allowed(point(3, 4))["size"] == 36
    for refused in (point(3, 5), point(2, 3, "thin")):
        with pytest.raises(CandidateError, match=r"size is .*, outside of 4 to 36$"):
            known.allowed(refused)
    with pytest.raises(SpecError, match=r"limits must be of what is known .*, got 'sise'; did you mean 'size'"):
        known_costs(spec(limits={"sise": {"max": 3}}), None)


def test_sampler_and_pruner_know_the_known_objective():
    made = spec(costs="cost_functions:counted")
    known = known_costs(made, None)
    sampler = make_sampler(made, known)
    assert list(sampler.costs) == [1]
    assert sampler.costs[1]({"kind": "thin", "width": 4, "depth": 2}) == 16
    assert make_sampler(spec(objectives=("loss:min", "size:min")), known).counted is not None
    pruner = make_pruner(spec(costs="cost_functions:counted", pruner="learned"), known.columns)
    assert (pruner.evidence.count, pruner.evidence.others) == (1, 0)


def test_dry_run_shows_the_range_of_known_costs(capsys):
    shown = plan(
        spec(space={**SPACE, "parameters": {**SPACE["parameters"], "width": 3}}, objectives=("loss:min", "size:min"))
    )
    low, high = shown.known["size"]
    assert 1 <= low < high <= 72
    shown.show()
    assert f"size {low:,} to {high:,}" in " ".join(capsys.readouterr().out.split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, no_ray):
    folder = tmp_path_factory.mktemp("known") / "run"
    keys = {"costs": "cost_functions:counted", "limits": {"cells": {"max": 50}}, "trials": 12, "workers": 1}
    with no_ray():
        return run(spec(**keys, out=folder), quiet=True)


def test_known_costs_are_in_the_records_and_impossible_ones_cost_no_trial(finished):
    trials = finished.trials
    assert (len(trials), set(trials["state"])) == (12, {"completed"})
    assert (trials["cells"] == trials["width"] ** 2).all()
    assert (trials["depth"] % 2 == 0).all()
    assert trials["cells"].max() <= 50
    assert (trials["energy"] == trials["depth"] / 2).all()


def test_returned_value_that_differs_is_kept_beside_and_said_once(finished):
    wrong = finished.trials[finished.trials["width"] == 5]
    assert (wrong["measured_cells"] == 26).all()
    said = [note for note in finished.environment["notes"] if note.startswith("cells was known to be 25")]
    assert len(said) == min(1, len(wrong))


def test_resumed_run_goes_on_with_its_costs(finished, without_ray):
    longer = resume(finished.folder, add_trials=3, quiet=True)
    assert (len(longer.trials), longer.trials["cells"].notna().all()) == (15, True)
    assert list(results.front(longer.trials, objectives=longer.objectives)["number"]) == list(longer.front()["number"])
