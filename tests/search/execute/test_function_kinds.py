"""Ray Tune's trainables and Optuna's objectives, unchanged, under our search."""

import json

import numpy as np
import optuna
import pytest

import results
import search
from leni.errors import SpecError

pytestmark = pytest.mark.usefixtures("ray_session")
SPACE = {"name": "foreign", "parameters": {"a": [1.0, 4.0, 2.0], "b": [0.5, 0.25]}}
KEYS = {"workers": 1, "references": False, "quiet": True, "sampler": "random", "pruner": "none"}


def test_function_that_reports_to_tune_runs_as_it_is(tmp_path):
    run = search.run(
        evaluator="foreign_evaluators:tune_function", space=SPACE, objectives=["score:max", "size:min"], trials=6,
        epochs=8, out=tmp_path / "run", **KEYS,
    )  # fmt: skip
    assert list(run.trials["state"]) == ["completed"] * 6
    np.testing.assert_allclose(run.trials["score"], run.trials["a"] * (1 - 0.5**8) - run.trials["b"])
    assert list(run.curves.groupby("number")["epoch"].max()) == [8] * 6


def test_function_that_reports_to_tune_goes_on_from_its_checkpoint(tmp_path):
    (tmp_path / "marks").mkdir()
    space = {"name": "foreign", "parameters": {"a": [1.0, 3.0], "marks": str(tmp_path / "marks")}}
    run = search.run(
        evaluator="foreign_evaluators:tune_checkpoints", space=space, objectives=["score:max"], trials=2, epochs=6,
        checkpoint_s=0.0, out=tmp_path / "run", **KEYS,
    )  # fmt: skip
    assert list(run.trials["state"]) == ["completed"] * 2
    np.testing.assert_array_equal(run.trials["score"], 21 * run.trials["a"])
    assert (run.trials["started"] > 0).all()
    assert len(list((tmp_path / "marks").iterdir())) == 2


def test_class_trainable_is_stepped_until_it_is_done_or_its_epochs_are_over(tmp_path):
    run = search.run(
        evaluator="foreign_evaluators:Stepper", space={"name": "s", "parameters": {"a": [1.0, 4.0, 2.0]}},
        objectives=["score:max"], trials=3, epochs=6, out=tmp_path / "run", **KEYS,
    )  # fmt: skip
    found = run.trials.set_index("a")["score"].to_dict()
    assert found == {1.0: 6.0, 4.0: 12.0, 2.0: 10.0}


def test_objective_of_optuna_gives_the_values_that_optuna_gives(tmp_path):
    import foreign_evaluators

    run = search.run(
        evaluator="foreign_evaluators:objective", objectives=["value:min"], trials=12, seed=5, out=tmp_path / "run",
        **KEYS,
    )  # fmt: skip
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    study.optimize(foreign_evaluators.objective, n_trials=12)
    np.testing.assert_array_equal(run.trials["value"], [trial.value for trial in study.trials])
    for row, trial in zip(run.trials.to_dict("records"), study.trials, strict=True):
        assert {name: row[name] for name in trial.params} == trial.params
    assert len(run.front()) == 1
    assert set(run.environment["chosen"]) == {"x", "kind", "factor"}


def test_objective_of_optuna_is_pruned_in_two_objectives_and_resumed(tmp_path):
    keys = {"evaluator": "foreign_evaluators:two_objectives", "objectives": ["f:min", "g:min"], "epochs": 6}
    run = search.run(trials=10, out=tmp_path / "run", **{**KEYS, **keys, "pruner": "halving"})
    states = run.trials["state"].value_counts()
    assert states["stopped"] >= 1
    assert states["completed"] >= 1
    done = run.trials[run.trials["state"] == "completed"]
    np.testing.assert_allclose(done["f"], 4 * done["x"] ** 2 + 4 * done["y"] ** 2)
    np.testing.assert_allclose(done["sum"], done["x"] + done["y"])
    longer = search.resume(tmp_path / "run", add_trials=3, quiet=True)
    assert len(longer.trials) == 13
    assert longer.trials["x"][:10].equals(run.trials["x"])
    assert longer.trials["x"].nunique() == 13


def test_objective_that_prunes_itself_is_stopped(tmp_path):
    run = search.run(
        evaluator="foreign_evaluators:prunes_itself", objectives=["value:min"], trials=10, seed=1,
        out=tmp_path / "run", **KEYS,
    )  # fmt: skip
    assert set(run.trials["state"]) == {"completed", "stopped"}
    assert (run.trials["state"].eq("stopped") == (run.trials["n"] % 2 == 1)).all()


@pytest.mark.parametrize(
    "keys", [{"sampler": "known-cost"}, {"costs": "foreign_evaluators:objective"}, {"duplicates": "reseed"}]
)
def test_what_needs_a_known_space_is_refused_for_one_that_is_declared(tmp_path, keys):
    with pytest.raises(SpecError, match="needs a space that is known before the trials"):
        search.run(
            evaluator="foreign_evaluators:objective", objectives=["value:min"], out=tmp_path / "run",
            **{**KEYS, **keys},
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_objective_beside_another_space_is_refused(tmp_path):
    with pytest.raises(SpecError, match="declares its parameters itself"):
        search.run(
            evaluator="foreign_evaluators:objective", space=SPACE, objectives=["value:min"], out=tmp_path / "run",
            **KEYS,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_declared_parameters_are_in_the_records_and_the_spec(tmp_path):
    search.run(
        evaluator="foreign_evaluators:objective", objectives=["value:min"], trials=2, out=tmp_path / "run", **KEYS
    )
    records = results.load(tmp_path / "run").trials
    assert json.loads(records["candidate"][0])["parameters"]["x"] == records["x"][0]
    assert 'space = "define-by-run"' in (tmp_path / "run" / "spec.toml").read_text()
