"""Pruners by name, and what all of them promise."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leni.errors import SpecError
from search.decide.stopping.rules import PRUNERS, Pruner, default_pruner, pruner

EPOCHS = 6
ACTIVE = [name for name in PRUNERS if name != "none"]
READING = st.one_of(st.integers(0, 6).map(lambda value: value / 6), st.just(math.nan))
TRIAL = st.tuples(st.integers(1, 4), st.lists(READING, min_size=EPOCHS, max_size=EPOCHS))
TRIALS = st.lists(TRIAL, max_size=14)
Trial = tuple[int, Sequence[float]]


def made(name: str, **options: object) -> Pruner:
    found = pruner(name, epochs=EPOCHS, bounds=(0.0, 1.0), **options)
    assert found is not None
    return found


def run(judge: Pruner, trials: Sequence[Trial], *, first: int = 0) -> list[tuple]:
    """Every call, with what report answered, one trial after the other."""
    calls: list[tuple] = []
    for number, (cost, readings) in enumerate(trials, start=first):
        judge.begin(number, [float(cost)])
        calls.append(("begin", number, [float(cost)]))
        stopped = False
        for epoch, reading in enumerate(readings, start=1):
            stopped = judge.report(number, epoch, reading)
            calls.append(("report", number, epoch, reading, stopped))
            if stopped:
                break
        state = "stopped" if stopped else "failed" if number % 5 == 4 else "completed"
        judge.end(number, state)
        calls.append(("end", number, state))
    return calls


@pytest.mark.parametrize("name", ACTIVE)
@settings(max_examples=40, deadline=None)
@given(trials=TRIALS)
def test_pruner_last_epoch_never_stops(name: str, trials: list[Trial]) -> None:
    for call in run(made(name), trials):
        if call[0] == "report" and call[2] == EPOCHS:
            assert call[4] is False


@pytest.mark.parametrize("name", ACTIVE)
@settings(max_examples=40, deadline=None)
@given(before=TRIALS, after=TRIALS)
def test_pruner_replayed_decides_the_same(name: str, before: list[Trial], after: list[Trial]) -> None:
    live, again = made(name), made(name)
    for kind, *arguments in run(live, before):
        getattr(again, kind)(*(arguments[:3] if kind == "report" else arguments))
    assert [call[-1] for call in run(live, after, first=50)] == [call[-1] for call in run(again, after, first=50)]


@pytest.mark.parametrize("name", ACTIVE)
@settings(max_examples=40, deadline=None)
@given(trials=TRIALS, equal=TRIAL, newcomer=TRIAL, data=st.data())
def test_pruner_order_of_equals_does_not_matter(
    name: str, trials: list[Trial], equal: Trial, newcomer: Trial, data: st.DataObject
) -> None:
    """Three equal trials among others, wherever among them each came, leave the newcomer's fate as it is."""
    arrivals = [*enumerate(trials), *((50 + copy, equal) for copy in range(3))]
    decisions = []
    for order in (arrivals, [*arrivals[: len(trials)], *data.draw(st.permutations(arrivals[len(trials) :]))]):
        judge = made(name)
        for number, (cost, readings) in order:
            judge.begin(number, [float(cost)])
            for epoch, reading in enumerate(readings, start=1):
                judge.report(number, epoch, reading)
            judge.end(number, "completed")
        decisions.append([call[-1] for call in run(judge, [newcomer], first=90)])
    assert decisions[0] == decisions[1]


@pytest.mark.parametrize("name", ["improvement", "halving"])
@settings(max_examples=40, deadline=None)
@given(trials=TRIALS, newcomer=st.lists(READING, min_size=EPOCHS, max_size=EPOCHS))
def test_pruner_nothing_as_cheap_never_stops(name: str, trials: list[Trial], newcomer: list[float]) -> None:
    judge = made(name)
    run(judge, trials)
    assert not any(call[-1] is True for call in run(judge, [(0.5, newcomer)], first=90))


@pytest.mark.parametrize("name", ACTIVE)
def test_pruner_saves_epochs_and_keeps_the_best(name: str) -> None:
    generator, judge, epochs = np.random.default_rng(0), made(name), []
    finals = generator.uniform(0.3, 0.9, 60)
    for number, final in enumerate(finals):
        readings = [final * (1 - 0.5**epoch) for epoch in range(1, EPOCHS + 1)]
        epochs.append(sum(call[0] == "report" for call in run(judge, [(2, readings)], first=number)))
    assert sum(epochs) < 0.6 * 60 * EPOCHS
    assert epochs[int(finals.argmax())] == EPOCHS


def test_pruner_none_is_none() -> None:
    assert pruner("none", epochs=27) is None


def test_pruner_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no pruner 'halfing'; did you mean 'halving'"):
        pruner("halfing", epochs=27)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": 9, "costs": -1}])
def test_pruner_impossible_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="at least 1 epoch"):
        pruner("halving", **options)


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_pruner_impossible_bounds_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(SpecError, match="bounds of a pruner must be finite"):
        pruner("improvement", epochs=9, bounds=bounds)


def test_default_pruner_from_nine_epochs() -> None:
    assert [default_pruner(epochs) for epochs in (1, 8, 9, 100)] == ["none", "none", *[default_pruner(27)] * 2]
    assert default_pruner(27) in ACTIVE
