"""CPUs and GPUs by configuration: expressions and functions, mistakes in a sentence, and a run under Ray."""

import pytest

from leni.errors import CandidateError, SpecError
from search.driver.dry_run import plan
from search.driver.known_costs import known_costs
from search.driver.run_search import run
from search.driver.trial_resources import trial_resources
from search.engine.needs import Capacity, Needs
from search.spec import Spec
from spaces import Candidate, Configuration, cost

SPACE = {"parameters": {"width": {"low": 1, "high": 9}, "kind": ["b", "a"]}, "known": {"size": "width * 10"}}


def made(resources, **keys) -> Spec:
    given = {"space": SPACE, "evaluator": "sized_evaluators:evaluate", "objectives": ("loss:min", "size:min"), **keys}
    return Spec(**given, resources=resources)


def rule(spec, gpus=0.0):
    return trial_resources(spec, known_costs(spec, None), gpus=gpus)


def point(width, kind="a"):
    return Configuration({"kind": kind, "width": width})


def test_expressions_see_parameters_and_known_costs():
    needs = rule(made({"cpus": "2 if size > 40 else 0.5", "gpus": "4 if kind == 'b' else 0"}))
    assert [needs(point(4)), needs(point(5, "b"))] == [Needs(0.5, 0), Needs(2, 4)]


def test_what_is_not_said_is_as_for_all_trials():
    assert rule(made({"gpus": "width"}, cpus_per_trial=3.0))(point(2)) == Needs(3, 2)
    assert rule(made({"cpus": 2}), gpus=0.25)(point(2)) == Needs(2, 0.25)
    assert rule(made(None, cpus_per_trial=3.0), gpus=1.0)(point(2)) == Needs(3, 1)


def test_function_may_use_rays_names():
    assert rule(made("sized_evaluators:in_rays_words"))(point(7)) == Needs(7, 1)


def test_networks_have_their_fields_and_counts_in_the_expression():
    spec = Spec(resources={"cpus": "2 if params > 2000 and max(widths) >= 16 and activation != 'relu' else 1"})
    known = known_costs(spec, lambda one: vars(cost(one, input_shape=(1, 8, 8), classes=10)))
    needs = trial_resources(spec, known, gpus=0.0)
    assert [needs(Candidate("resnet8", (4, 8, 16), name)).cpus for name in ("leni", "relu")] == [2, 1]


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ({"cpus": "width -"}, "resources.cpus is no expression"),
        ({"cpus": "widht"}, r"resources\.cpus = 'widht' asks for 'widht', which this candidate does not have"),
        ({"cpus": 0}, "cpus must be a finite number above 0, got 0"),
        ({"gpus": "-1"}, "gpus must be a finite number at least 0, got -1"),
        ({"gpus": 1.5}, "gpus above 1 must be a whole number, got 1.5"),
        ({"cpus": "'many'"}, "cpus must be a finite number above 0, got 'many'"),
        ({"memory": 1}, "resources must be a table with cpus, gpus or both, got 'memory'"),
        ({}, "resources must be a table with cpus, gpus or both"),
        ("sized_evaluators:raising", r"resources 'sized_evaluators:raising' raised KeyError: 'heads'"),
        ("sized_evaluators:nothing", "must return a mapping with cpus, gpus or both, got None"),
        ("sized_evaluators:differing", "must depend on the configuration alone, got 1 CPU and then 2 CPUs"),
        ("sized_evaluators:missing", "has no function missing"),
    ],
)
def test_mistake_is_one_sentence(resources, sentence):
    with pytest.raises(SpecError, match=sentence):
        rule(made(resources))


def test_candidate_that_no_machine_holds_is_refused_and_said():
    needs = rule(made({"cpus": "width"}))
    needs.check(point(4), Capacity((Needs(4),)))
    with pytest.raises(CandidateError, match=r"\[resources\] asks for 5 CPUs, and no machine has as much"):
        needs.check(point(5), Capacity((Needs(4), Needs(4))))
    assert list(needs.mistakes) == ["candidates are refused: [resources] asks for 5 CPUs, and no machine has as much"]


def test_dry_run_shows_what_trials_need():
    assert plan(made({"cpus": "1 if width < 9 else 2"}, seed=3)).needs == "1 CPU to 2 CPUs, of some candidates"


def test_trials_have_the_cpus_of_their_configuration_and_none_waits_for_ever(tmp_path, ray_session):
    import ray

    most = int(ray.cluster_resources()["CPU"])
    text = f"{most} if kind == 'b' else (1 if width < 8 else {most + 1})"
    finished = run(made({"cpus": text}, trials=8, out=tmp_path / "run", sampler="random"), quiet=True)
    trials = finished.trials
    assert (len(trials), set(trials["state"])) == (8, {"completed"})
    assert set(trials["cpus"]) == {1.0, float(most)}
    assert (trials["cpus"] == trials["kind"].map({"a": 1, "b": most})).all()
    assert (trials["threads"] == trials["cpus"]).all()
    assert not ((trials["kind"] == "a") & (trials["width"] >= 8)).any()


def test_run_of_which_nothing_fits_is_refused(tmp_path, ray_session):
    with pytest.raises(
        SpecError, match=r"\[resources\] asks for 4096 CPUs at least, but no machine of Ray's has as much"
    ):
        run(made({"cpus": 4096}, out=tmp_path / "run"), quiet=True)
    assert not (tmp_path / "run").exists()
