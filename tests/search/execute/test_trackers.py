"""Trackers have a run a trial with its curve, and the front in a parent."""

import pandas as pd
import pytest
from rich.console import Console

import search
from leni.errors import SpecError
from search.execute import trackers
from search.execute.trackers import check_trackers

KEYS = {"trials": 2, "epochs": 3, "workers": 1, "quiet": True, "evaluator": "plugin_evaluators:by_width"}


@pytest.mark.usefixtures("ray_session")
def test_tensorboard_has_each_trial_and_the_front(tmp_path):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = search.run(**KEYS, loggers=("tensorboard",), out=tmp_path / "run")
    read = events.EventAccumulator(str(run.folder / "ray" / "trial-000001"))
    read.Reload()
    assert read.Scalars("ray/tune/accuracy")[-1].value == pytest.approx(float(run.trials["accuracy"][1]))
    front = events.EventAccumulator(str(run.folder / "ray" / "front"), size_guidance={"images": 0, "tensors": 0})
    front.Reload()
    assert front.Tags()["images"] == ["front"]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_run_a_trial_below_one_with_the_front(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = search.run(**KEYS, loggers=("mlflow",), out=tmp_path / "run")
    client = mlflow.MlflowClient(f"sqlite:///{run.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("run")
    found = client.search_runs([experiment.experiment_id])
    parents = [each for each in found if "mlflow.parentRunId" not in each.data.tags]
    children = [each for each in found if each.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert (len(parents), len(children)) == (1, 2)
    assert all(each.info.status == "FINISHED" for each in found)
    last = sorted(each.data.metrics["accuracy"] for each in children)
    assert last == pytest.approx(sorted(run.trials["accuracy"].astype(float)))
    assert sorted(each.data.metrics["params"] for each in children) == sorted(run.trials["params"])
    assert {each.data.params["activation"] for each in children} == set(run.trials["activation"])
    path = client.download_artifacts(parents[0].info.run_id, "front.csv", str(tmp_path))
    assert pd.read_csv(path).equals(pd.read_csv(run.folder / "front.csv"))


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_an_evaluators_objectives_metrics_and_parameters(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    space = {"name": "own", "parameters": {"x": {"low": 0.0, "high": 1.0}, "state": ["a", "b"]}}
    keys = {**KEYS, "evaluator": "plugin_evaluators:any_names", "space": space, "objectives": ("error:min", "size:min")}
    run = search.run(**keys, loggers=("mlflow",), out=tmp_path / "run")
    client = mlflow.MlflowClient(f"sqlite:///{run.folder / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("run").experiment_id])
    told = {float(each.data.params["x"]): each.data for each in found if "x" in each.data.params}
    for row in run.trials.to_dict("records"):
        data = told[row["x"]]
        assert (data.metrics["error"], data.metrics["size"]) == (row["metric:error"], row["size"])
        assert (data.metrics["params"], data.params["state"]) == (1.5, row["param:state"])


def test_tracker_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"the logger wandb needs wandb: pip install 'leni-search\[trackers\]'"):
        check_trackers(["wandb"])


def test_tracker_that_fails_at_the_end_costs_a_line(capsys):
    class Broken:
        callback = None

        def finish(self):
            raise ConnectionError("no\nserver")

    trackers.finish([Broken()], Console())
    assert capsys.readouterr().out == "Broken did not take the front: no server\n"
