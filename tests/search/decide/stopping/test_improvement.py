"""Expected improvement: the closed form, whom a trial is measured against, what stops and what does not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from leni.errors import SpecError
from search.decide.stopping.improvement import Improvement, expected_gain

EPOCHS = 9


def curve(final: float, *, start: float = 0.3) -> list[float]:
    """An accuracy that approaches its final value."""
    return [final - (final - start) * 0.6**epoch for epoch in range(1, EPOCHS)] + [final]


def train(stopper: Improvement, number: int, costs: list[float], readings: list[float]) -> int:
    """Epochs until it was stopped or done."""
    stopper.begin(number, costs)
    for epoch, reading in enumerate(readings, start=1):
        if stopper.report(number, epoch, reading):
            stopper.end(number, "stopped")
            return epoch
    stopper.end(number, "completed")
    return len(readings)


def force(stopper: Improvement, number: int, costs: list[float], readings: list[float]) -> None:
    """A completed trial, whatever the stopper says."""
    stopper.begin(number, costs)
    for epoch, reading in enumerate(readings, start=1):
        stopper.report(number, epoch, reading)
    stopper.end(number, "completed")


def experienced(costs: int = 1, **options: object) -> Improvement:
    """A stopper that has seen twelve trainings, best 0.9 at a cost of 100, dearer ones no better."""
    stopper = Improvement(EPOCHS, costs=costs, bounds=(0.0, 1.0), **options)
    for number in range(12):
        force(stopper, number, [100.0 + number] * costs, curve(0.9 - 0.02 * number))
    return stopper


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 3))
def test_expected_gain_equals_the_integral(best: float, mean: float, sd: float) -> None:
    low = min(best, mean) - 12 * sd
    integral, _ = (
        quad(lambda y: (best - y) * norm.pdf(y, mean, sd), low, best, points=[mean], limit=200)
        if best > (low)
        else (0.0, 0.0)
    )
    assert expected_gain(best, mean, sd) == pytest.approx(max(integral, 0.0), abs=1e-6)


def test_improvement_hopeless_trial_stops_early() -> None:
    assert train(experienced(), 99, [150.0], curve(0.5)) <= 2


def test_improvement_better_trial_trains_to_the_end() -> None:
    assert train(experienced(), 99, [150.0], curve(0.99)) == EPOCHS


def test_improvement_copy_of_worst_is_stopped() -> None:
    assert train(experienced(), 99, [111.0], curve(0.9 - 0.02 * 11)) < EPOCHS


def test_improvement_cheaper_than_all_is_never_stopped() -> None:
    assert train(experienced(), 99, [99.0], curve(0.4)) == EPOCHS


def test_improvement_cheaper_in_one_of_two_costs_is_never_stopped() -> None:
    assert train(experienced(costs=2), 99, [99.0, 500.0], curve(0.4)) == EPOCHS
    assert train(experienced(costs=2), 99, [500.0, 500.0], curve(0.4)) < EPOCHS


def test_improvement_without_costs_stops_by_the_objective_alone() -> None:
    assert train(experienced(costs=0), 99, [], curve(0.5)) < EPOCHS
    assert train(experienced(costs=0), 98, [], curve(0.99)) == EPOCHS


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(100, 1000), st.floats(0.5, 1.0)), min_size=3, max_size=12), st.floats(0.1, 1.0))
def test_improvement_only_dearer_trials_never_stops(dearer: list[tuple[float, float]], final: float) -> None:
    stopper = Improvement(EPOCHS, bounds=(0.0, 1.0))
    for number, (cost, accuracy) in enumerate(dearer):
        force(stopper, number, [cost], curve(accuracy))
    assert train(stopper, 99, [99.0], curve(final)) == EPOCHS


def test_improvement_incumbent_is_the_best_that_costs_no_more() -> None:
    stopper = Improvement(EPOCHS, costs=2)
    for number, (costs, final) in enumerate([([2, 2], 0.7), ([1, 3], 0.8), ([3, 1], 0.9), ([1, 1], 0.5)]):
        force(stopper, number, costs, curve(final))
    stopper.begin(9, [2.0, 2.5])
    assert stopper._incumbent(stopper.rows[9]) == pytest.approx(-0.7)
    stopper.begin(10, [0.5, 9.0])
    assert stopper._incumbent(stopper.rows[10]) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=4, max_size=20))
def test_improvement_on_front_of_its_rung_goes_on(trials: list[tuple[int, int]]) -> None:
    stopper = Improvement(EPOCHS, bounds=(0.0, 1.0))
    for number, (cost, step) in enumerate(trials):
        stopper.begin(number, [float(cost)])
        stopped = stopper.report(number, 1, step / 10)
        earlier = trials[:number]
        if not any(c <= cost and s >= step and (c, s) != (cost, step) for c, s in earlier):
            assert not stopped
        for epoch in range(2, EPOCHS + 1):
            stopper.report(number, epoch, step / 10)
        stopper.end(number, "completed")


def test_improvement_nan_reading_stops_where_another_was_completed() -> None:
    stopper = experienced()
    stopper.begin(99, [150.0])
    assert stopper.report(99, 1, math.nan)
    stopper.end(99, "stopped")
    assert train(stopper, 100, [150.0], curve(0.99)) == EPOCHS


def test_improvement_nan_at_the_last_epoch_does_not_stop() -> None:
    stopper = experienced()
    stopper.begin(99, [150.0])
    assert not any(stopper.report(99, epoch, value) for epoch, value in enumerate(curve(0.99)[:-1], start=1))
    assert stopper.report(99, EPOCHS, math.nan) is False


def test_improvement_nan_at_the_end_is_no_result() -> None:
    stopper = Improvement(EPOCHS, bounds=(0.0, 1.0))
    force(stopper, 0, [1.0], [*curve(0.9)[:-1], math.nan])
    stopper.begin(1, [2.0])
    assert stopper._incumbent(stopper.rows[1]) is None


def test_improvement_minimised_objective_turns_the_sign() -> None:
    stopper = Improvement(EPOCHS, costs=0, maximise=False, bounds=(0.0, 1.0))
    for number in range(12):
        force(stopper, number, [], [1 - value for value in curve(0.9 - 0.02 * number)])
    assert train(stopper, 99, [], [1 - value for value in curve(0.5)]) < EPOCHS
    assert train(stopper, 98, [], [1 - value for value in curve(0.99)]) == EPOCHS


def test_improvement_failed_trials_leave_no_trace() -> None:
    answers = []
    for failing in (False, True):
        stopper = experienced()
        if failing:
            stopper.begin(50, [0.001])
            stopper.report(50, 1, 0.99)
            stopper.end(50, "failed")
        stopper.begin(99, [150.0])
        answers.append([stopper.report(99, epoch, value) for epoch, value in enumerate(curve(0.85), start=1)])
        answers.append(list(stopper.forecasts.values()))
    assert answers[0] == answers[2]
    assert answers[1] == answers[3]


def test_improvement_other_unit_same_decisions() -> None:
    epochs = []
    for unit in (1.0, 1e-5):
        stopper = Improvement(EPOCHS)
        generator, counted = np.random.default_rng(0), []
        for number in range(40):
            readings = [unit * value for value in curve(generator.uniform(0.5, 0.95))]
            counted.append(train(stopper, number, [unit * generator.integers(1, 20)], readings))
        epochs.append(counted)
    assert epochs[0] == epochs[1]
    assert min(epochs[0]) < EPOCHS


def test_improvement_cost_that_may_be_zero_is_linear() -> None:
    stopper = Improvement(EPOCHS, costs=1)
    for number, cost in enumerate((0.0, 5.0, 10.0)):
        stopper.begin(number, [cost])
    assert stopper._positions(np.arange(3)).tolist() == [[0.0], [0.5], [1.0]]


def test_improvement_unknown_cost_neither_stops_nor_counts() -> None:
    answers = []
    for others in (0, 3):
        stopper = experienced()
        for number in range(others):
            assert train(stopper, 50 + number, [math.nan], curve(0.2 + number / 10)) == EPOCHS
        stopper.begin(99, [150.0])
        for epoch, value in enumerate(curve(0.6), start=1):
            stopper.report(99, epoch, value)
        answers.append(list(stopper.forecasts.values()))
    stopper.begin(60, [math.nan])
    stopper.end(60, "failed")
    assert answers[0] == answers[1]
    assert stopper.limits.tolist() == [[100.0], [150.0]]


def test_improvement_trial_that_begins_again_starts_anew() -> None:
    stopper = Improvement(EPOCHS)
    force(stopper, 0, [1.0], curve(0.9))
    stopper.begin(0, [1.0])
    stopper.begin(1, [2.0])
    assert stopper._incumbent(stopper.rows[1]) is None
    force(stopper, 0, [1.0], curve(0.6))
    assert stopper._incumbent(stopper.rows[1]) == pytest.approx(-0.6)


def test_improvement_readings_beyond_the_last_epoch_are_let_pass() -> None:
    stopper = experienced()
    stopper.begin(99, [150.0])
    assert stopper.report(99, EPOCHS + 1, 0.1) is False


def test_improvement_wrong_number_of_costs_is_refused() -> None:
    with pytest.raises(SpecError, match="trial 3 must have 1 known costs"):
        Improvement(EPOCHS).begin(3, [])
