import math

import pytest

from search.decide.known_cost.history import READING, VARIANCE
from search.decide.samplers import sampler
from search.engine.asker import Asker
from search.engine.budget import Budget
from search.engine.core import Engine
from search.engine.needs import Capacity, Needs
from spaces import ParameterSpace

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


class Kept:
    """A ledger in memory."""

    def __init__(self, objectives=OBJECTIVES) -> None:
        self.objectives, self.outcomes, self.count = dict(objectives), {}, 0

    def begin(self, *_, **__) -> int:
        self.count += 1
        return self.count - 1

    def end(self, number, outcome) -> None:
        assert number not in self.outcomes
        self.outcomes[number] = outcome


class Stopping:
    """A pruner that stops at an epoch, and writes down what it is told."""

    def __init__(self, at: int) -> None:
        self.at, self.told, self.recipes = at, [], []

    def begin(self, number, costs, recipe) -> None:
        self.told.append(("begin", number, costs))
        self.recipes.append(recipe)

    def report(self, number, epoch, value) -> bool:
        self.told.append(("report", number, epoch, value))
        return epoch == self.at

    def end(self, number, state, values=None) -> None:
        self.told.append(("end", number, state))
        self.values = values


def engine_of(objectives=OBJECTIVES, **how) -> Engine:
    """Eight points, whose cost is known."""
    space = ParameterSpace("tiny", {"x": [1, 2, 3, 4, 5, 6, 7, 8]})
    asker = Asker(space, sampler("random", seed=0), directions=list(objectives.values()), seed=0, check=lambda _: None)
    how = {"budget": Budget(4), "slots": 2, "costs": lambda point: {"params": 10 * dict(point.values)["x"]}, **how}
    return Engine(asker, Kept(objectives), **how)


def test_next_gives_a_trial_for_each_slot_and_none_beyond_the_budget():
    engine = engine_of()
    first, second = engine.next(0.0), engine.next(0.0)
    assert engine.next(0.0) is None
    assert not engine.finished
    for task in (first, second):
        engine.complete(task.number, {"accuracy": 0.5}, 1.0)
        assert engine.next(1.0) is not None
    engine.complete(2, {"accuracy": 0.5}, 2.0)
    assert engine.next(2.0) is None
    assert engine.finished
    assert engine.why == "complete"


def test_known_costs_reach_the_pruner_with_larger_as_worse():
    objectives = {"accuracy": "maximize", "speed": "maximize", "params": "minimize"}
    pruner = Stopping(at=9)
    engine = engine_of(objectives, pruner=pruner, costs=lambda _: {"speed": 3.0, "params": 7.0, "macs": 1.0})
    engine.next(0.0)
    assert pruner.told == [("begin", 0, (-3.0, 7.0))]


def test_stopped_trial_is_evidence_of_what_it_reached_and_no_result():
    pruner = Stopping(at=2)
    engine = engine_of(pruner=pruner)
    task = engine.next(0.0)
    assert not engine.report(0, [{"epoch": 1, "accuracy": 0.25}])
    assert engine.report(0, [{"epoch": 1, "accuracy": 0.25}, {"epoch": 2, "accuracy": 0.375}])
    outcome = engine.stop(0, 1.0)
    assert (outcome.state, outcome.metrics["epochs"], outcome.metrics["accuracy"]) == ("stopped", 2, 0.375)
    (told,) = engine.asker.study.trials
    assert (told.state.name, told.values) == ("PRUNED", None)
    assert told.user_attrs == {READING: [0.375, task.costs["params"]]}
    assert engine.completed == []


@pytest.mark.parametrize("reading", [math.nan, None])
def test_stopped_trial_without_a_reading_says_nothing(reading):
    engine = engine_of(pruner=Stopping(at=1))
    engine.next(0.0)
    assert engine.report(0, [{"epoch": 1, "accuracy": reading}])
    engine.stop(0, 1.0)
    assert engine.asker.study.trials[0].user_attrs == {}


def test_variance_between_the_seeds_reaches_the_sampler():
    engine = engine_of(seeds=(0, 1, 2))
    engine.next(0.0)
    engine.complete(0, {"accuracy": 0.5, "accuracies": [0.4, 0.5, 0.6]}, 1.0)
    mean, none = engine.asker.study.trials[0].user_attrs[VARIANCE]
    assert (mean, none) == (pytest.approx(0.01 / 3), 0.0)


@pytest.mark.parametrize("metrics", [{}, {"accuracies": [0.5]}])
def test_one_seed_tells_no_variance(metrics):
    engine = engine_of()
    engine.next(0.0)
    engine.complete(0, {"accuracy": 0.5, **metrics}, 1.0)
    assert engine.asker.study.trials[0].user_attrs == {}


def test_curve_may_be_of_any_objective():
    objectives = {"loss": "minimize", "params": "minimize"}
    pruner = Stopping(at=1)
    engine = engine_of(objectives, pruner=pruner, curve="loss")
    engine.next(0.0)
    assert engine.report(0, [{"epoch": 1, "loss": 2.5}])
    assert pruner.told[-1] == ("report", 0, 1, 2.5)
    assert engine.stop(0, 1.0).metrics["loss"] == 2.5


def sizes(point) -> Needs:
    """As many CPUs as the point's x, up to four."""
    return Needs(min(4, dict(point.values)["x"]))


def test_trials_of_different_sizes_never_need_more_than_there_is_and_begin_in_order():
    engine = engine_of(budget=Budget(8), slots=9, needs=sizes, capacity=Capacity((Needs(4), Needs(3))))
    begun, now = [], 0.0
    while not engine.finished:
        while (task := engine.next(now)) is not None:
            begun.append(task.number)
        assert engine.live, "nothing runs, and nothing begins"
        assert sum(task.needs.cpus for task in engine.live.values()) <= 7
        assert engine.begun - len(begun) <= 1, "more was asked for than fits"
        now += 1.0
        engine.complete(max(engine.live), {"accuracy": 0.5}, now)  # the last to begin is over first
    assert begun == list(range(8))


def test_trial_that_no_machine_holds_any_more_is_kept_for_a_larger_one():
    engine = engine_of(slots=2, needs=lambda _: Needs(8), capacity=Capacity((Needs(4),)))
    assert engine.next(0.0) is None
    outcome = engine.ledger.outcomes[0]
    assert (outcome.state, outcome.interrupted, outcome.error) == (
        "failed",
        True,
        "no machine has the 8 CPUs that it needs",
    )
    assert not engine.live


def test_gpu_time_is_that_of_each_trial():
    engine = engine_of(budget=Budget(8, gpu_s=5.0), needs=lambda point: Needs(1, dict(point.values)["x"]))
    first, second = engine.next(0.0), engine.next(0.0)
    engine.complete(second.number, {"accuracy": 0.5}, 0.5)
    assert engine.gpu_s == 0.5 * second.needs.gpus
    assert first.needs.gpus != second.needs.gpus
    assert engine.next(5.0) is None
    assert engine.why == "gpu-hours"
