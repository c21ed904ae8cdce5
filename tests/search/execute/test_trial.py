import math

import pytest

from search.execute import trial
from search.execute.trial import TrialActor, TrialSettings
from search.training.data import load
from search.training.recipe import Recipe
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 8), "relu")


def actor(candidate: Candidate, *, epochs: int = 3, evaluator: str | None = None) -> TrialActor:
    """An actor as Ray would make it, in this process."""
    settings = TrialSettings(Recipe(epochs=epochs, batch_size=64), seed=0, threads=1, gpu=False, evaluator=evaluator)
    made = TrialActor.__new__(TrialActor)
    arrays = None if evaluator else load("digits", train_size=200).to_arrays()
    made.setup(config(candidate), settings=settings, arrays=arrays)
    return made


def config(candidate: Candidate) -> dict:
    return {"number": 0, "candidate": candidate.to_dict()}


def to_the_end(made: TrialActor) -> list[dict]:
    reports = [made.step()]
    while not reports[-1]["done"]:
        reports.append(made.step())
    return reports


@pytest.fixture
def every_epoch(monkeypatch):
    monkeypatch.setattr(trial, "SLICE_S", 1e-9)


def test_step_reports_each_epoch_once_and_the_metrics_at_the_end(every_epoch):
    reports = to_the_end(actor(SMALL))
    assert [point["epoch"] for report in reports for point in report["curve"]] == [1, 2, 3]
    metrics = dict(reports[-1]["metrics"])
    assert metrics["accuracy"] == reports[-2]["curve"][0]["accuracy"]
    assert (metrics["epochs"], metrics["seeds"], metrics["device"]) == (3, 1, "cpu")
    assert not any("metrics" in report for report in reports[:-1])


def test_step_gathers_quick_epochs_into_one_report(monkeypatch):
    monkeypatch.setattr(trial, "SLICE_S", 1000.0)
    (report,) = to_the_end(actor(SMALL))
    assert len(report["curve"]) == 3


def test_a_reused_actor_trains_as_a_new_one():
    other = Candidate("resnet8", (2, 4, 8), "leni")
    reused = actor(SMALL)
    to_the_end(reused)
    assert reused.reset_config(config(other))
    again, fresh = to_the_end(reused), to_the_end(actor(other))
    curves = [[point["loss"] for report in reports for point in report["curve"]] for reports in (again, fresh)]
    assert curves[0] == curves[1]
    assert all(map(math.isfinite, curves[0]))


def test_a_failure_is_a_report_and_the_actor_lives_on():
    made = actor(Candidate("resnet8", (2, 4, 8), "leni"), evaluator="plugin_evaluators:failing")
    (report,) = to_the_end(made)
    assert report["error"] == "RuntimeError: no such luck"
    made.reset_config(config(SMALL))
    assert dict(to_the_end(made)[-1]["metrics"])["accuracy"] == pytest.approx(1 - 1 / 15)
