import math

import pytest
import torch

from search.execute.trial import TrialActor, TrialSettings
from search.training.data import load
from search.training.recipe import Recipe
from search.training.replicas import Replicas
from search.training.train import Lockstep, Training
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 8), "relu")


def actor(candidate: Candidate, *, epochs: int = 3, evaluator: str | None = None, **more: object) -> TrialActor:
    """An actor as Ray would make it, in this process."""
    recipe = Recipe(epochs=epochs, batch_size=64)
    settings = TrialSettings(recipe, threads=1, gpu=False, evaluator=evaluator, **more)
    made = TrialActor.__new__(TrialActor)
    arrays = None if evaluator else load("digits", train_size=200).to_arrays()
    made.setup(config(candidate), settings=settings, arrays=arrays)
    return made


def config(candidate: Candidate, *seeds: int) -> dict:
    return {"number": 0, "candidate": candidate.to_dict(), "seeds": list(seeds) or [0]}


def to_the_end(made: TrialActor) -> list[dict]:
    reports = [made.step()]
    while not reports[-1]["done"]:
        reports.append(made.step())
    return reports


def test_step_reports_each_epoch_once_and_the_metrics_at_the_end():
    reports = to_the_end(actor(SMALL, slice_s=0.0))
    assert [point["epoch"] for report in reports for point in report["curve"]] == [1, 2, 3]
    metrics = dict(reports[-1]["metrics"])
    assert metrics["accuracy"] == reports[-2]["curve"][0]["accuracy"]
    assert (metrics["epochs"], metrics["seeds"], metrics["device"]) == (3, 1, "cpu")
    assert not any("metrics" in report for report in reports[:-1])


def test_step_gathers_quick_epochs_into_one_report():
    (report,) = to_the_end(actor(SMALL, slice_s=1000.0))
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
    assert "in failing" in report["traceback"]
    made.reset_config(config(SMALL))
    assert dict(to_the_end(made)[-1]["metrics"])["accuracy"] == pytest.approx(1 - 1 / 15)


def curve(reports: list[dict]) -> list[tuple]:
    return [(point["epoch"], point["accuracy"], point["loss"]) for report in reports for point in report["curve"]]


REHEARSE = Lockstep.rehearse


def slower(factor: float):
    """A rehearsal whose times are made up: so many times a step of one seed a fused one takes."""
    return lambda self: ((1.0 if self.count == 1 else factor), REHEARSE(self)[1])


@pytest.mark.parametrize("seeds", [(0,), (3, 4)])
def test_trial_goes_on_from_its_last_state_with_the_numbers_of_an_undisturbed_one(tmp_path, monkeypatch, seeds):
    keep = {"slice_s": 0.0, "checkpoints": str(tmp_path), "checkpoint_s": 0.0}
    monkeypatch.setattr(Lockstep, "rehearse", slower(1.0))
    whole = actor(SMALL, epochs=4)
    whole.reset_config(config(SMALL, *seeds))
    expected = to_the_end(whole)
    cut = actor(SMALL, epochs=4, **keep)
    cut.reset_config(config(SMALL, *seeds))
    cut.step(), cut.step()
    monkeypatch.setattr(Lockstep, "rehearse", slower(9.0))  # the first choice is kept
    again = actor(SMALL, epochs=4, **keep)
    again.reset_config(config(SMALL, *seeds))
    reports = to_the_end(again)
    assert curve(reports) == curve(expected)
    assert [point["epoch"] for point in reports[0]["curve"]] == [1, 2, 3]  # two it tells again, one is new
    metrics = dict(reports[-1]["metrics"])
    assert metrics["accuracies"] == dict(expected[-1]["metrics"])["accuracies"]


def test_state_that_cannot_be_read_means_to_start_again(tmp_path):
    keep = {"checkpoints": str(tmp_path), "checkpoint_s": 0.0}
    (tmp_path / "000000.pt").write_bytes(b"half a fi")
    assert curve(to_the_end(actor(SMALL, **keep))) == curve(to_the_end(actor(SMALL)))


def test_states_that_cannot_be_written_cost_no_trial(tmp_path):
    keep = {"slice_s": 0.0, "checkpoints": str(tmp_path / "states"), "checkpoint_s": 0.0}
    (tmp_path / "states").write_text("a file where the folder should be")
    assert "metrics" in to_the_end(actor(SMALL, **keep))[-1]


def test_configuration_reaches_a_users_function_as_plain_values():
    made = actor(SMALL, evaluator="plugin_evaluators:zdt1", objectives=("f1", "f2"))
    values = {f"x{index}": 0.0 for index in range(4)}
    made.reset_config({"number": 1, "candidate": {"parameters": {**values, "x0": 0.25}}, "seeds": [0]})
    metrics = dict(to_the_end(made)[-1]["metrics"])
    assert (metrics["f1"], metrics["f2"]) == (0.25, pytest.approx(1 - math.sqrt(0.25)))


def test_test_split_is_measured_at_the_end_where_it_is_asked_for():
    made = actor(SMALL, test=True, slice_s=0.0)
    made.reset_config(config(SMALL, 3, 4))
    made.step()
    assert "test_accuracy" not in made.evaluation.metrics
    metrics = dict(to_the_end(made)[-1]["metrics"])
    data = load("digits", train_size=200)
    replicas = Replicas(SMALL, data, Recipe(epochs=3, batch_size=64), seeds=(3, 4), how=metrics["replicas"])
    *_, last = replicas
    assert metrics["test_accuracies"] == replicas.accuracies(data.test) != list(last.accuracies)
    assert metrics["test_accuracy"] == pytest.approx(sum(metrics["test_accuracies"]) / 2)
    assert "test_accuracy" not in dict(to_the_end(actor(SMALL))[-1]["metrics"])


def test_networks_of_all_seeds_are_kept_where_they_are_asked_for(tmp_path):
    made = actor(SMALL, weights=str(tmp_path))
    made.reset_config({**config(SMALL, 3, 4), "number": 12})
    to_the_end(made)
    kept = torch.load(tmp_path / "000012.pt")
    assert (kept["candidate"], kept["seeds"], len(kept["states"])) == (SMALL.to_dict(), [3, 4], 2)
    again = Training(SMALL, load("digits", train_size=200), Recipe(epochs=3, batch_size=64), seed=4)
    list(again)
    for name, value in again.network.state_dict().items():
        torch.testing.assert_close(kept["states"][1][name], value, rtol=1e-3, atol=1e-4)


def test_weights_that_cannot_be_kept_fail_the_trial_with_a_reason(tmp_path):
    (tmp_path / "weights").write_text("a file where the folder should be")
    (*_, report) = to_the_end(actor(SMALL, weights=str(tmp_path / "weights")))
    assert "metrics" not in report
    assert "Error" in report["error"]
