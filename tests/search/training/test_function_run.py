import io
import math
import threading

import numpy as np
import pytest
import torch

from leni.errors import EvaluationError
from search.store.checkpoints import Checkpoints
from search.training.evaluation import Evaluation
from search.training.function_run import FunctionEvaluator, FunctionRun
from search.training.recipe import Recipe
from search.training.reporter import TrialStopped, get_checkpoint
from spaces import Candidate, Configuration

SMALL = Candidate("resnet8", (2, 4, 8), "relu")
RECIPE = Recipe(epochs=2, batch_size=50)


def calling(monkeypatch, function, **keys: object) -> FunctionEvaluator:
    import plugin_evaluators

    monkeypatch.setattr(plugin_evaluators, "given", function, raising=False)
    recipe = Recipe(epochs=keys.pop("epochs", 2), batch_size=50)
    return FunctionEvaluator("plugin_evaluators:given", recipe, **{"seeds": (0,), **keys})


def returning(monkeypatch, value: object, **keys: object) -> FunctionEvaluator:
    return calling(monkeypatch, lambda config, report: value, **keys)


def to_the_end(run: FunctionRun) -> Evaluation:
    while not run.advance(0.0):
        pass
    return run.evaluation


def stopped(monkeypatch, function, **keys: object) -> FunctionRun:
    """A run whose function has been told at its second report that it is to stop, to its end."""
    reported = threading.Event()

    def reporting(config, report):
        report(0.1)
        assert reported.wait(60)
        return function(config, report)

    run = calling(monkeypatch, reporting, **keys).start(SMALL)
    assert not run.advance(0.0)
    run.stop()
    reported.set()
    to_the_end(run)
    return run


def test_a_function_reports_its_curve_and_gets_the_candidate():
    evaluator = FunctionEvaluator("plugin_evaluators:by_width", RECIPE, seeds=(5,))
    run = evaluator.start(SMALL)
    evaluation = to_the_end(run)
    accuracy = 1 - 1 / 15
    assert [point["accuracy"] for point in evaluation.curve] == [accuracy / 2, accuracy]
    assert evaluation.curve[0]["seeds"] == [{"seed": 5, "epoch": 1, "accuracy": accuracy / 2}]
    assert evaluation.metrics == {"accuracy": accuracy}


def test_a_function_is_called_with_each_seed_and_its_metrics_averaged(monkeypatch):
    def function(config, report):
        for epoch in range(config["seed"]):
            report(0.1 * config["seed"] + 0.01 * epoch)
        return {"accuracy": 0.1 * config["seed"], "latency": 2.0 + config["seed"], "params": 40}

    evaluation = calling(monkeypatch, function, seeds=(3, 1)).evaluate(SMALL)
    metrics = evaluation.metrics
    assert metrics["accuracies"] == pytest.approx([0.3, 0.1])
    assert (metrics["accuracy"], metrics["accuracy_std"]) == (pytest.approx(0.2), pytest.approx(math.sqrt(0.02)))
    assert (metrics["latency"], metrics["params"], metrics["seeds"]) == (4.0, 40, 2)
    told = [(point.get("seed"), point["epoch"], round(point["accuracy"], 9)) for point in evaluation.curve]
    assert told == [(None, 1, 0.3), (None, 2, 0.31), (None, 3, 0.32), (1, 1, 0.1)]
    assert [[row["seed"] for row in point["seeds"]] for point in evaluation.curve] == [[3], [3], [3], [1]]


def test_a_function_whose_seeds_do_not_agree_in_what_they_count_is_refused(monkeypatch):
    def function(config, report):
        return {"accuracy": 0.5, "params": 40 + config["seed"]}

    with pytest.raises(EvaluationError, match="the same metrics and counts with each seed"):
        calling(monkeypatch, function, seeds=(3, 1)).evaluate(SMALL)


def test_a_function_of_a_space_of_its_own_gets_its_values_and_gives_its_objectives(monkeypatch):
    def function(config, report):
        return {"loss": 0.5 * config["depth"], "cost": config["seed"]}

    point = Configuration({"depth": 3})
    evaluation = calling(monkeypatch, function, seeds=(7,), objectives=("cost",)).evaluate(point)
    assert evaluation.metrics == {"loss": 1.5, "cost": 7}
    with pytest.raises(EvaluationError, match="must return a mapping with 'time'"):
        returning(monkeypatch, {"cost": 1}, objectives=("cost", "time")).evaluate(point)
    taken = {"objectives": ("cost",), "taken": ("depth",)}
    evaluation = returning(monkeypatch, {"depth": 1, "cost": 2}, **taken).evaluate(point)
    assert evaluation.metrics == {"cost": 2, "metric:depth": 1}


@pytest.mark.parametrize("value", [None, 0.5, {}, {"accuracy": math.nan}, {"accuracy": "high"}, {"accuracy": True}])
def test_a_function_must_return_a_finite_accuracy(monkeypatch, value):
    with pytest.raises(EvaluationError, match="must return"):
        returning(monkeypatch, value).evaluate(SMALL)


def test_a_function_need_not_return_what_is_known_of_a_network(monkeypatch):
    evaluator = returning(monkeypatch, {"accuracy": 0.25}, objectives=("accuracy", "params", "macs"))
    evaluation = evaluator.evaluate(SMALL)
    assert evaluation.metrics == {"accuracy": 0.25}


def test_advance_returns_what_is_reported_while_the_function_runs(monkeypatch):
    go_on = threading.Event()

    def function(config, report):
        report({"accuracy": 0.25, "loss": 2})
        assert go_on.wait(60)
        return {"accuracy": 0.5}

    run = calling(monkeypatch, function).start(SMALL)
    assert not run.advance(0.0)
    (point,) = run.evaluation.curve
    assert (point["epoch"], point["accuracy"], point["loss"], run.evaluation.metrics) == (1, 0.25, 2.0, {})
    go_on.set()
    assert to_the_end(run).metrics == {"accuracy": 0.5}


def test_a_function_that_looks_is_told_once_and_ends_as_it_likes(monkeypatch):
    seen = []

    def function(config, report):
        seen.append(report(0.2))
        return {"accuracy": 0.9}

    run = stopped(monkeypatch, function, epochs=9)
    assert (seen, run.stopped, run.evaluation.metrics) == ([True], True, {})


def test_a_function_that_does_not_look_is_ended_at_its_next_report_and_unwound(monkeypatch):
    trace = []

    def function(config, report):
        try:
            report(0.2)
            trace.append("went on")
        except Exception:  # noqa: BLE001 - what users write
            trace.append("caught")
        finally:
            trace.append("unwound")

    run = stopped(monkeypatch, function, epochs=9)
    assert (trace, run.stopped) == (["unwound"], True)


def test_a_function_that_goes_on_after_it_was_told_is_ended(monkeypatch):
    def function(config, report):
        while True:
            stops = report(0.2)
            assert stops

    run = stopped(monkeypatch, function, epochs=9)
    assert (run.stopped, len(run.evaluation.curve)) == (True, 3)


def test_a_generator_is_closed_when_its_trial_is_to_stop(monkeypatch):
    reported, trace = threading.Event(), []

    def function(config, report):
        try:
            yield 0.1
            assert reported.wait(60)
            yield {"accuracy": 0.2}
            trace.append("went on")
        finally:
            trace.append("closed")

    run = calling(monkeypatch, function, epochs=9).start(SMALL)
    assert not run.advance(0.0)
    run.stop()
    reported.set()
    to_the_end(run)
    assert (trace, run.stopped, [point["accuracy"] for point in run.evaluation.curve]) == (["closed"], True, [0.1, 0.2])


def test_a_generator_may_return_its_result_or_let_the_last_yield_count(monkeypatch):
    def returning_one(config, report):
        yield 0.1
        return {"accuracy": 0.3}

    def yielding(config, report):
        yield {"accuracy": 0.1, "loss": 2.0}
        yield {"accuracy": 0.2}

    assert calling(monkeypatch, returning_one).evaluate(SMALL).metrics == {"accuracy": 0.3}
    assert calling(monkeypatch, yielding).evaluate(SMALL).metrics == {"accuracy": 0.2, "loss": 2.0}


def test_a_function_that_has_come_to_its_last_epoch_is_complete_whatever_it_was_told(monkeypatch):
    def function(config, report):
        assert report(0.2)  # the second of two epochs
        return {"accuracy": 0.9}

    run = stopped(monkeypatch, function, epochs=2)
    assert (run.stopped, run.evaluation.metrics) == (False, {"accuracy": 0.9})


def test_a_function_that_returns_without_having_been_told_is_complete(monkeypatch):
    run = stopped(monkeypatch, lambda config, report: {"accuracy": 0.9}, epochs=9)
    assert (run.stopped, run.evaluation.metrics) == (False, {"accuracy": 0.9})


def test_a_function_may_end_its_trial_by_itself(monkeypatch):
    def function(config, report):
        report(0.2)
        raise TrialStopped

    run = calling(monkeypatch, function).start(SMALL)
    to_the_end(run)
    assert (run.stopped, len(run.evaluation.curve)) == (True, 1)


def test_a_function_that_does_not_end_within_the_grace_time_is_hung(monkeypatch):
    let_go = threading.Event()
    run = calling(monkeypatch, lambda config, report: [report(0.1), let_go.wait(60)], grace_s=0.0).start(SMALL)
    assert not run.advance(0.0)
    run.stop()
    run._deadline = 0.0  # the grace time is over
    assert not run.advance(math.inf)
    assert run.hung
    let_go.set()


def test_what_a_thread_reports_after_the_function_has_returned_is_left_out(monkeypatch):
    returned, answers = threading.Event(), []

    def function(config, report):
        def late() -> None:
            assert returned.wait(60)
            answers.append(report(0.9))

        threading.Thread(target=late).start()
        return {"accuracy": 0.5}

    run = calling(monkeypatch, function).start(SMALL)
    to_the_end(run)
    returned.set()
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-"):
            thread.join(60)
    assert (answers, run.evaluation.curve) == ([True], [])


def cut_off(monkeypatch, function, after: int, **keys: object) -> dict:
    """The last state that a run has kept when it had reported so often, as it comes back from a file."""
    states = []

    def cutting(config, report):
        def reporting(*given, **more):
            report(*given, **more)
            if len(states) == after:
                raise SystemExit

        return function(config, reporting)

    def keep(state) -> None:
        torch.save(state, stored := io.BytesIO())
        stored.seek(0)
        states.append(torch.load(stored, weights_only=True))

    run = calling(monkeypatch, cutting, checkpoint_s=0.0, **keys).start(SMALL, keep=keep)
    with pytest.raises(SystemExit):
        to_the_end(run)
    return states[-1]


def counting(config, report):
    state = get_checkpoint() or {"count": 0, "noise": np.array([0.5, 0.25])}
    for count in range(state["count"] + 1, 6):
        noise = state["noise"] * count / 8
        report({"accuracy": count / 10 + config["seed"] / 100}, checkpoint={"count": count, "noise": noise})
        state = {"count": count, "noise": noise}
    return {"accuracy": float(state["noise"].sum())}


@pytest.mark.parametrize(("seeds", "after"), [((3,), 1), ((3,), 4), ((3, 1), 2), ((3, 1), 5), ((3, 1), 7), ((3, 1), 9)])
def test_a_function_goes_on_from_its_checkpoint_and_ends_as_if_nothing_had_been(monkeypatch, seeds, after):
    whole = calling(monkeypatch, counting, seeds=seeds).evaluate(SMALL)
    state = cut_off(monkeypatch, counting, after, seeds=seeds)
    run = calling(monkeypatch, counting, seeds=seeds).start(SMALL, state)
    assert 0 < len(run.evaluation.curve) < len(whole.curve)
    assert to_the_end(run) == whole


def test_a_checkpoint_that_cannot_be_kept_is_named_and_costs_no_training(monkeypatch, tmp_path):
    def function(config, report):
        report(0.1, checkpoint={"model": object()})
        report(0.2, checkpoint=tmp_path / "missing")
        report(0.3, checkpoint=7)
        return {"accuracy": 0.5}

    keep = Checkpoints(str(tmp_path))
    run = calling(monkeypatch, function, checkpoint_s=0.0).start(SMALL, keep=lambda state: keep.save(0, state))
    assert to_the_end(run).metrics == {"accuracy": 0.5}
    start = "plugin_evaluators:given: its checkpoint could not be kept: "
    assert run.evaluation.notes == [
        f"{start}a state must hold tensors, numbers and texts, got object",
        f"{start}a checkpoint is the path of a folder or a mapping, and {tmp_path / 'missing'} is no folder",
        f"{start}a checkpoint is the path of a folder or a mapping, got a int",
    ]


def test_there_is_a_checkpoint_only_while_a_function_runs(monkeypatch):
    state = cut_off(monkeypatch, counting, 2)
    seen = []

    def function(config, report):
        seen.append(get_checkpoint()["count"])
        return {"accuracy": 0.5}

    to_the_end(calling(monkeypatch, function).start(SMALL, state))
    assert seen == [2]
    assert get_checkpoint() is None
