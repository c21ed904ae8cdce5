"""The pruner learned: what it stops and what it never stops, on which evidence, and what it says of it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leni.errors import SpecError
from search.decide.stopping.learned import SLOTS, START, Learned

EPOCHS = 9


def curve(final: float, *, start: float = 0.3) -> list[float]:
    """An accuracy that approaches its final value."""
    return [final - (final - start) * 0.6**epoch for epoch in range(1, EPOCHS)] + [final]


def train(judge: Learned, number: int, costs: list[float], readings: list[float], **told: object) -> int:
    """Epochs until it was stopped or done."""
    values = told.pop("values", None)
    judge.begin(number, costs, told)
    for epoch, reading in enumerate(readings, start=1):
        if judge.report(number, epoch, reading):
            judge.end(number, "stopped")
            return epoch
    judge.end(number, "completed", values)
    return len(readings)


def experienced(trials: int = 24, *, costs: int = 1, seed: int = 0, **options: object) -> Learned:
    """A pruner that has completed trainings whose curves tell how they end, of costs from 100 to 1000."""
    judge = Learned(EPOCHS, costs=costs, bounds=(0.0, 1.0), **options)
    generator = np.random.default_rng(seed)
    for number in range(trials):
        cost = float(generator.uniform(100, 1000))
        judge.begin(number, [cost] * costs)
        for epoch, reading in enumerate(curve(generator.uniform(0.5, 0.95)), start=1):
            judge.report(number, epoch, reading)
        judge.end(number, "completed")
    train(judge, trials, [100.0] * costs, curve(0.95))
    return judge


def searched(judge: Learned, *, noise: float, trials: int = 80, lr: bool = False, scale: float = 1.0) -> list[int]:
    """Epochs of each trial of a search; with noise 1 the curve says nothing of the end until the last epoch."""
    generator, epochs = np.random.default_rng(3), []
    for number in range(trials):
        factor = float(generator.choice([0.1, 1.0, 10.0]))
        final = generator.uniform(0.88, 0.95) - (0.3 * abs(math.log10(factor)) if lr else 0.0)
        shown = (1 - noise) * final + noise * generator.uniform(0.5, 0.95)
        readings = [scale * value for value in [*curve(shown)[:-1], final]]
        epochs.append(train(judge, number, [float(generator.integers(100, 1000))], readings, lr=factor))
    return epochs


def test_learned_stops_nothing_before_there_is_evidence() -> None:
    judge = Learned(EPOCHS, bounds=(0.0, 1.0))
    for number in range(START):
        assert train(judge, number, [100.0 + number], curve(0.9 - 0.1 * number % 0.5)) == EPOCHS


def test_learned_hopeless_trial_stops_and_a_better_one_trains_to_the_end() -> None:
    assert train(experienced(), 99, [900.0], curve(0.5)) < EPOCHS
    assert train(experienced(), 99, [900.0], curve(0.99)) == EPOCHS


@pytest.mark.parametrize("final", [0.4, 0.6])
def test_learned_cheaper_than_all_is_never_stopped(final: float) -> None:
    assert train(experienced(), 99, [20.0], curve(final)) == EPOCHS
    assert train(experienced(costs=2), 99, [20.0, 900.0], curve(final)) == EPOCHS


def test_learned_curves_that_tell_nothing_are_not_used() -> None:
    telling = searched(Learned(EPOCHS, bounds=(0.0, 1.0)), noise=0.0)
    blind = searched(Learned(EPOCHS, bounds=(0.88, 0.95)), noise=1.0)
    assert np.mean(telling) < 0.6 * EPOCHS
    assert np.mean(blind) > 1.5 * np.mean(telling)


def test_learned_recipe_tells_where_the_curve_does_not() -> None:
    judge = Learned(EPOCHS, bounds=(0.0, 1.0))
    assert np.mean(searched(judge, noise=1.0, lr=True)) < 0.75 * EPOCHS


def test_learned_keep_one_stops_nothing_and_less_stops_more() -> None:
    spent = [sum(searched(Learned(EPOCHS, bounds=(0.0, 1.0), keep=keep), noise=0.5)) for keep in (1.0, 0.999, 0.9)]
    assert spent[0] == 80 * EPOCHS
    assert spent[0] >= spent[1] > spent[2]


def test_learned_says_what_it_gave_away_within_what_it_may() -> None:
    judge = Learned(EPOCHS, bounds=(0.0, 1.0), keep=0.99)
    searched(judge, noise=0.5)
    assert 0.0 < judge.given_away() < 0.02
    assert Learned(EPOCHS).given_away() == 0.0


@pytest.mark.parametrize(("scale", "maximise"), [(1e6, True), (-1.0, False), (-1e-4, False)])
def test_learned_other_unit_and_direction_same_decisions(scale: float, maximise: bool) -> None:
    usual = searched(Learned(EPOCHS), noise=0.3)
    assert searched(Learned(EPOCHS, maximise=maximise), noise=0.3, scale=scale) == usual
    assert min(usual) < EPOCHS


@pytest.mark.parametrize("costs", [0, 1, 2, 3])
def test_learned_any_number_of_known_costs(costs: int) -> None:
    judge, generator, epochs = Learned(EPOCHS, costs=costs, bounds=(0.0, 1.0)), np.random.default_rng(1), []
    for number in range(40):
        tried = [float(generator.integers(1, 4))] * costs
        epochs.append(train(judge, number, tried, curve(generator.uniform(0.3, 0.9))))
    assert sum(epochs) < 0.95 * 40 * EPOCHS


def test_learned_other_uncertain_objective_that_nothing_tells_prevents_pruning() -> None:
    spent = []
    for spread in (0.0, 1.0):
        judge, generator, total = Learned(EPOCHS, costs=0, others=1, bounds=(0.0, 1.0)), np.random.default_rng(1), 0
        for number in range(40):
            final = generator.uniform(0.3, 0.9)
            values = [final, spread * generator.uniform() + (1 - spread) * (1 - final)]
            total += train(judge, number, [], curve(final), values=values)
        spent.append(total / (40 * EPOCHS))
    assert spent[0] < 0.8
    assert spent[1] > 0.95


def test_learned_nan_and_constant_and_tied_values_never_raise() -> None:
    judge = Learned(EPOCHS)
    for number in range(30):
        readings = [math.nan if (number + epoch) % 4 == 0 else 0.5 for epoch in range(1, EPOCHS)] + [0.5]
        train(judge, number, [1.0 + number % 2], readings, lr=1.0, act=f"a{number}")
    assert 0.0 <= judge.given_away() <= 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 8, 32]))
def test_learned_replayed_answers_the_same(seed: int, workers: int) -> None:
    generator, live, told = np.random.default_rng(seed), {}, []
    judge, again = Learned(EPOCHS), Learned(EPOCHS)
    waiting = list(range(50))
    while waiting or live:
        while waiting and len(live) < workers:
            number = waiting.pop(0)
            live[number] = curve(generator.uniform(0.3, 0.9))
            told.append(("begin", number, [float(generator.integers(1, 5))], {"lr": float(generator.integers(1, 4))}))
            judge.begin(*told[-1][1:])
        number = int(generator.choice(list(live)))
        epoch = EPOCHS + 1 - len(live[number])
        told.append(("report", number, epoch, live[number].pop(0)))
        if stopped := judge.report(*told[-1][1:]):
            live[number] = []
        told[-1] = (*told[-1], stopped)
        if not live[number]:
            del live[number]
            told.append(("end", number, "stopped" if stopped else "failed" if number % 7 == 6 else "completed"))
            judge.end(*told[-1][1:])
    for kind, *arguments in told:
        answer = getattr(again, kind)(*arguments[: 3 if kind != "end" else 2])
        assert kind != "report" or answer == arguments[3]
    assert again.given_away() == judge.given_away()


def test_learned_failed_trials_leave_no_trace() -> None:
    answers = []
    for failing in (False, True):
        judge = experienced()
        if failing:
            judge.begin(50, [0.001], {"lr": 5.0})
            judge.report(50, 1, 0.99)
            judge.end(50, "failed")
        judge.begin(99, [500.0])
        answers.append([judge.report(99, epoch, value) for epoch, value in enumerate(curve(0.7), start=1)])
    assert answers[0] == answers[1]


def test_learned_unknown_cost_is_never_stopped() -> None:
    judge = experienced()
    assert train(judge, 50, [math.nan], curve(0.3)) == EPOCHS
    assert 50 not in judge.evidence.completed


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.5, math.nan])
def test_learned_impossible_keep_is_refused(keep: float) -> None:
    with pytest.raises(SpecError, match="keep must be above 0 and at most 1"):
        Learned(EPOCHS, keep=keep)


def test_learned_wrong_numbers_of_objectives_are_refused() -> None:
    with pytest.raises(SpecError, match="trial 3 must have 1 known costs"):
        Learned(EPOCHS).begin(3, [])
    judge = Learned(EPOCHS, others=1)
    judge.begin(4, [1.0])
    with pytest.raises(SpecError, match="trial 4 must have 2 final values"):
        judge.end(4, "completed", [0.5])


def test_learned_counts_many_steps_by_few_places_and_still_stops_what_is_hopeless() -> None:
    steps = 1_000_000
    judge = Learned(EPOCHS * steps, bounds=(0.0, 1.0))
    generator = np.random.default_rng(0)
    told = {}
    for number in range(26):
        final = 0.95 if number == 24 else 0.4 if number == 25 else float(generator.uniform(0.5, 0.95))
        judge.begin(number, [100.0 if number == 24 else 900.0])
        told[number] = [judge.report(number, at * steps, value) for at, value in enumerate(curve(final), start=1)]
        judge.end(number, "completed")
    assert any(told[25][:-1])
    assert not any(told[24])
    assert judge.evidence.curves.shape[1] == SLOTS
