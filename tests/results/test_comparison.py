"""Runs against each other; moocore and arithmetic are the truth."""

import moocore
import numpy as np
import pandas as pd
import pytest

from results.comparison import compare, epsilon, hypervolume_cost
from results.errors import ResultsError
from results.indicators import hypervolume_of


def run(accuracies, params=(1000, 2000, 4000), **columns):
    return pd.DataFrame({"number": range(len(accuracies)), "accuracy": accuracies, "params": params[: len(accuracies)],
                         **columns})  # fmt: skip


def test_epsilon_equals_moocores_with_ties_and_duplicates():
    rng = np.random.default_rng(0)
    for size in (2, 3):
        for _ in range(50):
            first, second = (rng.integers(0, 6, (rng.integers(1, 9), size)).astype(float) for _ in range(2))
            assert epsilon(first, second) == pytest.approx(moocore.epsilon_additive(first, ref=second))


def test_epsilon_of_nothing_and_of_nan():
    some, none = np.array([[0.5, np.nan], [0.2, 0.3]]), np.empty((0, 2))
    assert epsilon(none, some) == np.inf
    assert epsilon(some, none) == -np.inf
    assert epsilon(some, np.array([[0.0, 0.0]])) == pytest.approx(0.3)


def test_compare_repeated_runs_equals_their_means():
    good = [run([0.90 + 0.001 * at, 0.95, 0.96]) for at in range(5)]
    poor = [run([0.80, 0.85 + 0.002 * at, 0.86]) for at in range(6)]
    found = compare({"good": good, "poor": poor})
    row = found.measures.set_index("measure").loc["hypervolume"]
    expected = np.mean([hypervolume_of(each) for each in good]) - np.mean([hypervolume_of(each) for each in poor])
    assert row["difference"] == pytest.approx(expected)
    assert row["low"] <= expected <= row["high"]
    assert row["low"] > 0
    assert (row["over"], row["n"]) == ("runs", 5)
    assert found.measures.set_index("measure").loc["epsilon", "high"] < 0
    assert set(found.attainment["name"]) == {"good", "poor"}


def test_compare_intervals_cover_the_truth_over_runs():
    covered = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sides = [[run(level + rng.normal(0, 0.01, 1), params=(1,)) for _ in range(6)] for level in (0.9, 0.88)]
        row = compare({"a": sides[0], "b": sides[1]}, seed=seed).measures.iloc[0]
        covered.append(row["low"] <= 0.02 <= row["high"])  # one parameter: the hypervolume is the accuracy
    assert 0.90 <= np.mean(covered) <= 0.995


def test_compare_single_runs_is_over_seeds():
    spread = {"accuracy_std": 0.01, "seeds": 4}
    found = compare({"a": [run([0.90, 0.92, 0.93], **spread)], "b": [run([0.89, 0.92, 0.90], **spread)]})
    row = found.measures.iloc[0]
    assert row["over"] == "seeds"
    assert row["low"] < row["difference"] < row["high"]
    same = compare({"a": [run([0.9])], "b": [run([0.8])]}).measures.iloc[0]
    assert same["low"] == same["high"] == pytest.approx(same["difference"])


def test_compare_mistakes_are_said_in_a_sentence():
    for runs in ({"a": [run([0.9])]}, {"a": [run([0.9])], "b": []}, {"a": [run([0.9])], "b": [run([0.9])] * 2}):
        with pytest.raises(ResultsError, match="two names or more"):
            compare(runs)


def test_hypervolume_cost_counts_failed_trials_hours():
    trials = run([0.5, 0.7, 0.9], wall_s=[3600.0, 1800.0, 1800.0], state=["completed", "failed", "completed"])
    shuffled = trials.iloc[[2, 0, 1]]
    found = hypervolume_cost(shuffled, gpus=0.5)
    assert found["number"].tolist() == [0, 1, 2]
    assert found["hours"].tolist() == [0.5, 0.75, 1.0]
    first = hypervolume_of(trials.iloc[:1])
    assert found["hypervolume"].tolist() == pytest.approx([first, first, hypervolume_of(trials)])
