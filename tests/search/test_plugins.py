"""Any function over any space: the engine is plain Optuna where it adds nothing, and says what is wrong."""

import optuna
import pandas as pd
import plugin_evaluators
import pytest

import results
import search
from leni.errors import SpecError
from results.indicators import hypervolume
from search.decide.samplers import sampler
from search.spec import Spec
from spaces import space

UNIT = {"name": "unit", "parameters": {f"x{index}": {"low": 0.0, "high": 1.0} for index in range(5)}}
MIXED = {
    "name": "mixed",
    "parameters": {
        "kind": ["a", "b", "c"], "count": {"low": 1, "high": 6}, "x0": {"low": 0.0, "high": 1.0},
        "extra": {"low": 0.01, "high": 1.0, "log": True},
    },
    "when": {"extra": {"kind": ["b", "c"]}},
}  # fmt: skip
PROBLEMS = {"zdt1": UNIT, "zdt2": UNIT, "dtlz2": UNIT, "mixed": MIXED}
OBJECTIVES = ("f1:min", "f2:min")
without_ray = pytest.mark.usefixtures("without_ray")  # test_same_as_run.py has the same of a run on Ray


def ours(name: str, trials: int, workers: int, folder, seed=3, **keys) -> results.Run:
    return search.run(
        evaluator=f"plugin_evaluators:{name}", space=PROBLEMS[name], objectives=OBJECTIVES, trials=trials,
        workers=workers, seed=seed, out=folder, quiet=True, **keys,
    )  # fmt: skip


def plain(name: str, trials: int, which: str, seed: int = 3, at_once: int = 1) -> list[list[float]]:
    """Optuna as its documentation writes it; `at_once` trials are asked for before the first of them is told."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler(which, seed=seed))
    waiting: list[tuple[optuna.Trial, dict[str, float]]] = []
    for index in range(trials + at_once - 1):
        if index < trials:
            trial = study.ask()
            point = space(PROBLEMS[name]).suggest(trial)
            waiting.append((trial, getattr(plugin_evaluators, name)(dict(point.values), None)))
        if index >= at_once - 1:
            trial, found = waiting.pop(0)
            study.tell(trial, [found["f1"], found["f2"]])
    return [trial.values for trial in study.trials]


@without_ray
@pytest.mark.parametrize(("name", "which"), [("zdt1", "tpe"), ("zdt2", "nsga2"), ("dtlz2", "random"), ("mixed", "tpe")])
def test_one_worker_is_plain_optuna_trial_for_trial(name, which, tmp_path):
    run = ours(name, 40, 1, tmp_path / "run", sampler=which, duplicates="allow")
    expected = plain(name, 40, which)
    assert run.trials[["f1", "f2"]].astype(float).to_numpy().tolist() == expected
    assert hypervolume(run.trials[["f1", "f2"]].astype(float), [3.0, 8.0]) == hypervolume(expected, [3.0, 8.0])


@pytest.mark.usefixtures("ray_session")
def test_run_of_a_users_space_has_its_parameters_as_columns_and_a_front(tmp_path):
    run = ours("mixed", 12, 2, tmp_path / "run", seeds=2)
    assert set(run.trials.loc[run.trials["extra"].isna(), "kind"]) <= {"a"}
    assert run.objectives == {"f1": "minimize", "f2": "minimize"}
    assert set(run.dimensions) == {"kind", "count", "x0", "extra"}
    assert run.trials["work"].notna().all()
    front = pd.read_csv(run.folder / "front.csv")
    values = run.trials[["f1", "f2"]].astype(float).to_numpy()
    dominated = [any((o <= v).all() and (o < v).any() for o in values) for v in values]
    assert set(front["number"]) == {number for number, below in enumerate(dominated) if not below}
    assert (run.trials["seeds"] == 2).all()


@without_ray
def test_enqueued_configurations_come_first(tmp_path):
    listed = tmp_path / "first.jsonl"
    listed.write_text('{"kind": "a", "count": 2, "x0": 0.25}\n\n{"parameters": {"kind": "c", "count": 9, "x0": 0.5}}\n')
    run = ours("mixed", 3, 1, tmp_path / "run", enqueue=listed)
    assert run.trials["count"].tolist()[:2] == [2, 9]


@without_ray
def test_warm_start_takes_over_completed_trials(tmp_path):
    first = ours("zdt1", 6, 1, tmp_path / "one", sampler="tpe")
    second = ours("zdt1", 4, 1, tmp_path / "two", warm_start=first.folder)
    assert len(second.trials) == 10
    assert second.trials["f1"].tolist()[:6] == first.trials["f1"].tolist()
    with pytest.raises(SpecError, match=r"different: evaluator 'plugin_evaluators:zdt1' there"):
        ours("zdt2", 4, 1, tmp_path / "three", warm_start=first.folder)


@without_ray
def test_run_ends_when_the_front_no_longer_grows(tmp_path):
    run = ours("mixed", 300, 1, tmp_path / "run", until_stable=10, stable_threshold=0.5, sampler="random")
    assert run.environment["ended"] == "stable"
    assert 10 < len(run.trials) < 300


@pytest.mark.parametrize(
    ("keys", "error", "sentence"),
    [
        ({"evaluator": None}, SpecError, "needs an evaluator"),
        ({"objectives": ("f1",)}, SpecError, "objective f1 needs a direction"),
        ({"objectives": ("f1:up", "f2:min")}, SpecError, "must be NAME:max or NAME:min"),
        ({"objectives": ("f1:min", "f1:max")}, SpecError, "each once"),
        ({"fix": {"knd": "a"}}, SpecError, "did you mean 'kind'"),
    ],
)
def test_what_makes_no_sense_is_refused(keys, error, sentence):
    with pytest.raises(error, match=sentence):
        Spec(**{"evaluator": "plugin_evaluators:mixed", "space": MIXED, "objectives": OBJECTIVES, **keys})


def test_limit_of_what_nobody_knows_before_a_trial_is_refused(tmp_path):
    with pytest.raises(SpecError, match="got 'params'; nothing is known here"):
        ours("mixed", 2, 1, tmp_path / "run", max_params=5)
    assert not (tmp_path / "run").exists()


@without_ray
def test_missing_objective_fails_its_trial_with_a_reason(tmp_path):
    keys = {"evaluator": "plugin_evaluators:zdt1", "space": UNIT, "objectives": ("f1:min", "f3:max")}
    run = search.run(**keys, trials=2, workers=1, out=tmp_path / "run", quiet=True)
    assert (run.trials["state"] == "failed").all()
    assert run.trials["error"].str.contains("'f3'").all()


def test_an_earlier_run_of_another_function_over_the_same_space_is_a_prior(tmp_path):
    first = ours("zdt1", 12, 1, tmp_path / "one", sampler="random")
    run = ours("zdt2", 6, 1, tmp_path / "two", prior=(first.folder,))
    plain = ours("zdt2", 6, 1, tmp_path / "three", sampler="gp")
    assert len(run.trials) == 6  # nothing of the earlier run is taken over
    assert run.trials["x0"].tolist() != plain.trials["x0"].tolist()
    again = Spec.read(run.folder / "spec.toml")
    assert again.prior == (first.folder.resolve(),)
