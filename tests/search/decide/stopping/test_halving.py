"""Successive halving by rank, against brute force and the properties that it promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leni.errors import SpecError
from search.decide.stopping.halving import Halving, rungs, survives

GRID = st.integers(0, 4)  # few values, so that ties are common
ROWS = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[GRID] * width), min_size=1, max_size=25))


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def levels(rows: list[tuple[float, ...]]) -> list[int]:
    """Ranks by taking fronts away, one after the other."""
    found, left = [-1] * len(rows), set(range(len(rows)))
    level = 0
    while left:
        front = {i for i in left if not any(dominates(rows[j], rows[i]) for j in left)}
        for i in front:
            found[i] = level
        left -= front
        level += 1
    return found


def expected(rung: list[tuple[float, ...]], row: tuple[float, ...], factor: int) -> bool:
    """The rule of the module's docstring, by brute force."""
    cheaper = [other for other in rung if all(a <= b for a, b in zip(other[1:], row[1:], strict=True))]
    found = levels([*cheaper, row])
    if found[-1] == 0:
        return True
    limit = found[-1] if row in cheaper else found[-1] - 1
    return sum(level <= limit for level in found[:-1]) < (len(cheaper) + 1) // factor


def decide(rung: list[tuple[float, ...]], row: tuple[float, ...], factor: int = 3) -> bool:
    return survives(np.array(rung, dtype=float).reshape(len(rung), len(row)), np.array(row, dtype=float), factor=factor)


@given(ROWS, st.integers(2, 4))
def test_survives_any_rung_equals_brute_force(rows: list[tuple[float, ...]], factor: int) -> None:
    *rung, row = rows
    assert decide(rung, row, factor) == expected(rung, row, factor)


@given(ROWS, st.randoms())
def test_survives_other_order_of_arrival_same_decision(rows: list[tuple[float, ...]], random: object) -> None:
    *rung, row = rows
    shuffled = list(rung)
    random.shuffle(shuffled)
    assert decide(shuffled, row) == decide(rung, row)


@given(ROWS)
def test_survives_on_front_of_rung_always(rows: list[tuple[float, ...]]) -> None:
    *rung, row = rows
    if not any(dominates(other, row) for other in rung):
        assert decide(rung, row)


@given(ROWS)
def test_survives_copy_of_worst_never_once_rung_is_full(rows: list[tuple[float, ...]]) -> None:
    found = levels(rows)
    worst = max(found)
    for row, level in zip(rows, found, strict=True):
        if level == worst > 0 and len(rows) >= 3:
            assert not decide(rows, row)


@given(ROWS)
def test_survives_dearer_trials_argue_against_nobody(rows: list[tuple[float, ...]]) -> None:
    *rung, row = rows
    cheaper = [other for other in rung if all(a <= b for a, b in zip(other[1:], row[1:], strict=True))]
    assert decide(rung, row) == decide(cheaper, row)


def test_survives_ends_of_a_rank_before_equals() -> None:
    rung = [(0.0, 1.0), (5.0, 2.0), (6.0, 1.5), (7.0, 1.2), (8.0, 1.1)]  # one on the front, four of rank 1
    assert decide(rung, (4.0, 3.0))
    assert not decide([*rung, (4.0, 3.0)], (4.0, 3.0))


@pytest.mark.parametrize(
    ("epochs", "factor", "found"),
    [(27, 3, (1, 3, 9)), (28, 3, (1, 3, 9, 27)), (16, 2, (1, 2, 4, 8)), (2, 3, (1,)), (1, 3, ())],
)
def test_rungs_powers_below_the_last_epoch(epochs: int, factor: int, found: tuple[int, ...]) -> None:
    assert rungs(epochs, factor) == found


def feed(pruner: Halving, readings: list[float], cost: float = 1.0) -> list[bool]:
    answers = []
    for number, reading in enumerate(readings):
        pruner.begin(number, [cost] * pruner.count)
        answers.append(pruner.report(number, 1, reading))
    return answers


def test_halving_without_costs_keeps_the_best_third() -> None:
    readings = [0.5, 0.4, 0.6, 0.7, 0.55, 0.65, 0.1]
    kept = []
    for place, reading in enumerate(readings):
        better = sum(other > reading for other in readings[:place])
        kept.append(better == 0 or better < (place + 1) // 3)
    assert feed(Halving(9, costs=0), readings) == [not answer for answer in kept]


def test_halving_asha_stops_the_small_network_that_halving_keeps() -> None:
    for use_costs, stopped in ((True, False), (False, True)):
        pruner = Halving(27, use_costs=use_costs)
        feed(pruner, [0.9, 0.92, 0.91], cost=1000.0)
        pruner.begin(9, [10.0])
        assert pruner.report(9, 1, 0.7) is stopped


def test_halving_minimised_objective_turns_the_sign() -> None:
    pruner = Halving(27, costs=0, maximise=False)
    feed(pruner, [0.2, 0.3, 0.4])
    pruner.begin(7, [])
    assert not pruner.report(7, 1, 0.1)
    pruner.begin(8, [])
    assert pruner.report(8, 1, 0.5)


def test_halving_nan_reading_is_the_worst() -> None:
    pruner = Halving(27)
    feed(pruner, [0.2, -math.inf, 0.1])
    pruner.begin(7, [1.0])
    assert pruner.report(7, 1, math.nan)


def test_halving_failed_trial_is_forgotten() -> None:
    pruner, other = Halving(27), Halving(27)
    for one in (pruner, other):
        feed(one, [0.5, 0.6, 0.7])
    pruner.begin(5, [0.5])
    pruner.report(5, 1, 0.9)
    pruner.end(5, "failed")
    for one in (pruner, other):
        one.begin(6, [1.0])
    assert pruner.report(6, 1, 0.8) is other.report(6, 1, 0.8) is False


def test_halving_reading_told_twice_counts_once() -> None:
    pruner = Halving(27)
    feed(pruner, [0.5, 0.6, 0.7])
    assert [pruner.report(0, 1, 0.5) for _ in range(3)] == [True] * 3
    assert len(pruner.rungs[1].rows) == 3


@settings(max_examples=50)
@given(st.lists(st.tuples(GRID, GRID, st.booleans()), max_size=90))
def test_halving_many_trials_and_failures_keeps_every_row(trials: list[tuple[int, int, bool]]) -> None:
    pruner, kept = Halving(9), []
    for number, (reading, cost, fails) in enumerate(trials * 3):
        pruner.begin(number, [cost])
        pruner.report(number, 1, reading)
        if fails:
            pruner.end(number, "failed")
        else:
            kept.append((-reading, cost))
    assert sorted(map(tuple, pruner.rungs[1].rows.tolist())) == sorted(kept)


def test_halving_wrong_number_of_costs_is_refused() -> None:
    with pytest.raises(SpecError, match="trial 3 must have 1 known costs"):
        Halving(27).begin(3, [1.0, 2.0])


def test_halving_factor_below_two_is_refused() -> None:
    with pytest.raises(SpecError, match="factor of halving must be at least 2, got 1"):
        Halving(27, factor=1)


def test_steps_that_leave_a_rung_out_are_compared_at_the_first_reading_beyond_it() -> None:
    readings = [[0.9, 0.8], [0.2, 0.1], [0.5, 0.7], [0.1, 0.05], [0.4, 0.3], [0.95, 0.9], [0.3, 0.9]]
    by_epochs, by_steps = Halving(9, costs=0), Halving(9, costs=0)
    for number, (first, second) in enumerate(readings):
        for pruner in (by_epochs, by_steps):
            pruner.begin(number, [])
        expected = [by_epochs.report(number, 1, first), by_epochs.report(number, 3, second)]
        assert [by_steps.report(number, 2, first), by_steps.report(number, 5, second)] == expected
        assert not by_steps.report(number, 7, 0.0)
    assert not by_steps.report(6, 9, 0.0)
