"""Surfaces against brute force."""

import math

import moocore
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analyses.attainment import attained, attainment
from results.errors import ObjectiveError, ResultsError
from results.fronts import front

BOTH = {"accuracy": "maximize", "params": "minimize"}
COSTS = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}


def brute_surface(runs, share, objectives):
    """Corners of what at least the share of runs attains, over the grid of all values."""
    signs = np.array([-1.0 if way == "maximize" else 1.0 for way in objectives.values()])
    sets = [run[list(objectives)].dropna().to_numpy() * signs for run in runs]
    grid = np.stack(np.meshgrid(*[np.unique(column) for column in np.vstack(sets).T]), -1).reshape(-1, len(objectives))
    counts = sum(np.array([(each <= point).all(axis=1).any() for point in grid]).astype(int) for each in sets)
    inside = pd.DataFrame(grid[counts >= math.ceil(share * len(runs) - 1e-9)] * signs, columns=list(objectives))
    return front(inside, objectives=objectives)


@pytest.mark.parametrize("objectives", [BOTH, COSTS])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_attainment_equals_brute_force_with_ties_duplicates_and_nan(objectives, count):
    rng = np.random.default_rng(count)
    for _ in range(12):
        runs = [pd.DataFrame(rng.choice([1.0, 2, 3, 4, 5, np.nan], (rng.integers(1, 7), len(objectives))),
                             columns=list(objectives)) for _ in range(count)]  # fmt: skip
        if any(run.dropna().empty for run in runs):
            continue
        found = attainment(runs, objectives=objectives)
        for share in (0.25, 0.5, 0.75):
            part = found.loc[found["share"] == share, list(objectives)]
            expected = brute_surface(runs, share, objectives)
            np.testing.assert_array_equal(part.to_numpy(), expected.to_numpy())


def test_attainment_counts_runs_that_found_nothing():
    good = pd.DataFrame({"accuracy": [0.9], "params": [10.0]})
    nothing = good.assign(state="failed")
    assert attainment([good, nothing])["share"].tolist() == [0.25, 0.5]
    assert attainment([nothing]).empty
    with pytest.raises(ResultsError, match="needs a run"):
        attainment([])
    with pytest.raises(ObjectiveError, match="two or three objectives"):
        attainment([good], objectives={"accuracy": "maximize"})


def test_attained_is_the_best_of_what_is_affordable():
    rng = np.random.default_rng(3)
    for _ in range(40):
        size = int(rng.integers(0, 9))
        records = pd.DataFrame({"accuracy": rng.choice([0.1, 0.2, 0.3, np.nan], size),
                                "params": rng.choice([1.0, 2.0, 3.0, np.nan], size)})  # fmt: skip
        costs = np.array([2.5, 0.5, 1.0, 3.0])
        best = [records.loc[records["params"] <= cost, "accuracy"].max() for cost in costs]
        np.testing.assert_array_equal(attained(records, costs), np.array(best, dtype=float))


def test_attained_where_more_is_better_on_both_axes():
    records = pd.DataFrame({"error": [0.3, 0.1, 0.2], "speed": [30.0, 10.0, 20.0]})
    found = attained(records, [15.0, 30.0, 31.0], objectives={"error": "minimize", "speed": "maximize"})
    np.testing.assert_array_equal(found, [0.2, 0.3, np.nan])
    with pytest.raises(ObjectiveError, match="two objectives"):
        attained(records, [1.0], objectives={"error": "minimize"})


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6), min_size=1, max_size=6),
    st.floats(0.01, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_attainment_of_any_runs_is_reached_by_so_many_and_by_none_fewer(sets, share):
    objectives = {"size": "minimize", "error": "minimize"}
    runs = [pd.DataFrame(points, columns=list(objectives), dtype=float) for points in sets]
    surface = attainment(runs, objectives=objectives, shares=[share])
    expected = brute_surface(runs, share, objectives)
    np.testing.assert_array_equal(surface[list(objectives)].to_numpy(), expected.to_numpy())
    sets_of = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    wanted = math.ceil(share * len(runs) - 1e-9)
    reference = moocore.eaf(np.vstack([run.to_numpy() for run in runs]), sets_of,
                            percentiles=[100 * (wanted - 0.5) / len(runs)])  # fmt: skip
    assert {tuple(row) for row in surface[list(objectives)].to_numpy()} == {tuple(row[:2]) for row in reference}
