"""A user's parameters, objectives and metrics may have any name and value: what a run with them leaves behind."""

import json

import pandas as pd
import pytest

import results
import search
from search.driver.run_search import resume

on_ray = pytest.mark.usefixtures("ray_session")

X = {"low": 0.0, "high": 1.0}
KEYS = {"workers": 1, "quiet": True, "objectives": ("error:min", "size:min")}
NAMES = {
    "x": X, "state": ["x", "y"], "number": [1, 2], "groups": ["a", "é"], "size": [1, 2], "accuracy": [0.5, 2],
    "decay": {"low": 1e-6, "high": 1e-2, "log": True}, "max_features": ["sqrt", 0.5, 1], "warm": [True, 1],
    "salt": [1, 2**64 - 1], "param:x": ["", "a\nb"], "epochs": [3, 4], "error": ["1", 1], "a:b, c": [1.0, 2.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def run(ray_session, tmp_path_factory) -> results.Run:
    space = {"name": "any", "parameters": NAMES}
    folder = tmp_path_factory.mktemp("names") / "run"
    return search.run(
        evaluator="plugin_evaluators:any_names", space=space, trials=12, out=folder, pruner="improvement", **KEYS
    )


def test_names_of_users_and_of_ours_have_columns_apart(run):
    trials = run.trials
    assert (trials["state"] == "completed").all()
    assert trials["number"].tolist() == list(range(12))
    assert trials["metric:error"].equals(trials["x"].rename("metric:error"))
    assert set(trials["param:state"]) == {"x", "y"}
    assert set(trials["param:size"]) == {1, 2}
    assert trials["size"].astype(float).tolist() == pytest.approx((2.0 - trials["x"].astype(float)).tolist())
    assert trials["param:decay"].between(1e-6, 1e-2).all()
    assert set(trials["salt"]) == {"1", str(2**64 - 1)}
    assert set(trials["max_features"]) == {"sqrt", "0.5", "1"}
    assert set(trials["warm"]) == {"true", "1"}
    assert set(trials["param:error"]) == {'"1"', "1"}
    assert run.objectives == {"metric:error": "minimize", "size": "minimize"}
    assert set(run.dimensions) == {column for column in trials if column in run.environment["chosen"]}


def test_metrics_of_any_type_and_name_are_kept_and_cost_no_trial(run):
    trials = run.trials
    assert (trials["metric:state"] == "fine").all()
    assert [json.loads(text) for text in trials["metric:seeds"]] == [[1, 2]] * 12
    assert (trials["metric:epochs"] == 2.5).all()
    assert (trials["epochs"] == 3).all()
    assert (trials["params"] == 1.5).all()
    assert trials["grad_norm"].isna().all()
    assert (trials["note"] == "caf\\xe9").all()
    assert any("returned 'model', which is not kept" in note for note in run.environment["notes"])


def test_pruner_that_was_asked_for_and_had_nothing_to_judge_by_is_named(run):
    assert (run.trials["state"] == "completed").all()
    sentence = "the pruner improvement had nothing to judge by: plugin_evaluators:any_names reported no 'error'"
    assert sentence in run.environment["notes"]
    assert run.curves.groupby("number").size().tolist() == [3] * 12


@pytest.mark.usefixtures("without_ray")
def test_run_with_any_names_is_resumed_and_reported(run, tmp_path):
    before = run.trials.set_index("number")
    more = resume(run.folder, add_trials=2, quiet=True)
    assert len(more.trials) == 14
    pd.testing.assert_frame_equal(more.trials.set_index("number").loc[before.index, before.columns], before)
    page = results.write_report(run.folder, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "error" in page


REASONS = {
    "parser": "SystemExit: 2",
    "interrupt": "KeyboardInterrupt: no message",
    "base": "BaseException: of its own",
    "surrogate": "ValueError: cannot open /data/caf\\xe9.csv",
    "fine": "",
}


@on_ray
def test_function_that_ends_otherwise_fails_its_trial_once_with_the_reason(tmp_path):
    space = {"name": "ends", "parameters": {"kind": list(REASONS)}}
    run = search.run(evaluator="plugin_evaluators:leaving", space=space, trials=5, out=tmp_path / "run", **KEYS)
    by_kind = run.trials.set_index("kind")
    assert by_kind["error"].fillna("").to_dict() == REASONS
    assert by_kind["state"].to_dict() == {**dict.fromkeys(REASONS, "failed"), "fine": "completed"}


@on_ray
def test_relative_path_means_the_folder_of_the_command_in_every_call(tmp_path, monkeypatch):
    (tmp_path / "rates.csv").write_text("0.25\n")
    monkeypatch.chdir(tmp_path)
    space = {"name": "paths", "parameters": {"x": X}}
    run = search.run(evaluator="plugin_evaluators:beside_the_command", space=space, trials=3, seeds=2, **KEYS)
    assert run.folder.parent == tmp_path / "runs"
    assert run.trials["metric:error"].tolist() == [0.25] * 3
    assert run.trials["size"].tolist() == [0] * 3
