"""What ends a search, and what does not."""

import pytest

from leni.errors import SpecError
from search.engine.budget import Budget

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


def spent(budget, *, begun=3, elapsed_s=0.0, gpu_s=0.0, completed=()):
    return budget.spent(begun=begun, elapsed_s=elapsed_s, gpu_s=gpu_s, completed=completed, objectives=OBJECTIVES)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        ({"begun": 4}, "complete"),
        ({"elapsed_s": 59.9, "gpu_s": 9.9}, ""),
        ({"elapsed_s": 60.0}, "time"),
        ({"gpu_s": 10.0}, "gpu-hours"),
    ],
)
def test_first_limit_ends_it(facts, reason):
    assert spent(Budget(4, wall_s=60.0, gpu_s=10.0), **facts) == reason


def points(*accuracies):
    return [{"accuracy": accuracy, "params": 1000.0} for accuracy in accuracies]


def test_front_that_no_longer_grows_ends_it():
    budget = Budget(100, stable_trials=3)
    growing = points(0.5, 0.6, 0.7, 0.8)
    assert spent(budget, completed=growing) == ""
    assert spent(budget, completed=[*growing, *points(0.8, 0.1)]) == ""
    assert spent(budget, completed=[*growing, *points(0.8, 0.1, 0.2)]) == "stable"
    assert spent(budget, completed=[*growing, *points(0.8, 0.1, 0.9)]) == ""


def test_few_trials_are_never_stable():
    assert spent(Budget(100, stable_trials=3), completed=points(0.5, 0.5, 0.5)) == ""


def test_objectives_without_a_scale_of_their_own_count_too():
    budget, objectives = Budget(100, stable_trials=2), {"f1": "minimize", "f2": "minimize"}
    same = [{"f1": 1.0, "f2": 3.0}] * 4
    assert budget.is_stable([*same[:2], {"f1": 2.0, "f2": 2.0}, *same[:1]], objectives) is False
    assert budget.is_stable([{"f1": 2.0, "f2": 4.0}, *same], objectives) is True


@pytest.mark.parametrize("limits", [{"wall_s": 0.0}, {"gpu_s": -1.0}, {"stable_trials": 0}, {"stable_threshold": 0.0}])
def test_limit_that_ends_it_before_it_begins_is_refused(limits):
    with pytest.raises(SpecError, match="must be above 0"):
        Budget(4, **limits)


def test_trial_is_overdue_by_its_own_limit_and_by_the_search_after_its_grace():
    budget = Budget(5, wall_s=1000.0, trial_s=30.0)
    assert budget.overdue(running_s=29.9, elapsed_s=1049.9) == ""
    assert "max_trial_hours" in budget.overdue(running_s=30.0, elapsed_s=0.0)
    assert "max_hours) were over for 50 s" in budget.overdue(running_s=0.0, elapsed_s=1050.0)
    assert Budget(5, wall_s=1.0).overdue(running_s=0.0, elapsed_s=10.9) == ""
    assert Budget(5, wall_s=1.0, grace_s=0.0).overdue(running_s=0.0, elapsed_s=1.0)
    assert not Budget(5).limits_trials
    assert Budget(5).overdue(running_s=1e9, elapsed_s=1e9) == ""
