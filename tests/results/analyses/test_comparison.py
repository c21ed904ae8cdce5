"""Runs against each other; moocore and arithmetic are the truth."""

import moocore
import numpy as np
import pandas as pd
import pytest

from results.analyses.comparison import compare, epsilon
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
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sides = [[run(level + rng.normal(0, 0.01, 1), params=(1,)) for _ in range(6)] for level in (0.9, 0.88)]
        row = compare({"a": sides[0], "b": sides[1]}, seed=seed).measures.iloc[0]
        covered.append(row["low"] <= 0.02 <= row["high"])  # one parameter: the hypervolume is the accuracy
    assert 0.90 <= np.mean(covered) <= 0.995


def test_compare_single_runs_have_no_interval_and_say_why():
    spread = {"accuracy_std": 0.01, "seeds": 4}
    for more in ({}, spread):
        found = compare({"a": [run([0.90, 0.92, 0.93], **more)], "b": [run([0.89, 0.92, 0.90], **spread)]})
        assert set(found.measures["over"]) == set(found.differences["over"]) == {"nothing"}
        assert found.measures[["low", "high"]].isna().all(axis=None)
        assert found.measures["difference"].notna().all()
        assert "a single run each cannot tell" in found.sentences[0]


def test_compare_mistakes_are_said_in_a_sentence():
    with pytest.raises(ResultsError, match="a run of b has no completed trial"):
        compare({"a": [run([0.9])], "b": [run([0.9], state="failed")]})
    with pytest.raises(ResultsError, match="level must be"):
        compare({"a": [run([0.9])], "b": [run([0.9])]}, level=95)
    for runs in ({"a": [run([0.9])]}, {"a": [run([0.9])], "b": []}, {"a": [run([0.9])], "b": [run([0.9])] * 2}):
        with pytest.raises(ResultsError, match="two names or more"):
            compare(runs)


def test_compare_differences_are_of_what_is_attained_at_each_cost():
    first = [run([0.80, 0.90, 0.95]), run([0.82, 0.88, 0.97])]
    second = [run([0.70, 0.91], params=(1500, 2000)), run([0.72, 0.93], params=(1500, 3000))]
    rows = compare({"a": first, "b": second}).differences.set_index("params")
    assert rows.index.tolist() == [1500, 2000, 3000, 4000]
    by_hand = {1500: 0.81 - 0.71, 2000: 0.89 - (0.91 + 0.72) / 2, 3000: 0.89 - 0.92, 4000: 0.96 - 0.92}
    assert rows["difference"].to_dict() == pytest.approx(by_hand)
    assert (rows["low"] < rows["difference"]).all()
    assert (rows["difference"] < rows["high"]).all()


def test_compare_where_less_is_better_turns_the_sign_of_the_difference_alone():
    objectives = {"error": "minimize", "size": "minimize"}
    sides = {name: [pd.DataFrame({"error": [error], "size": [10.0]})] for name, error in (("a", 0.1), ("b", 0.3))}
    row = compare(sides, objectives=objectives).differences.iloc[0]
    assert (row["first_value"], row["second_value"]) == pytest.approx((0.1, 0.3))
    assert row["difference"] == pytest.approx(0.2)


def test_compare_by_three_objectives_has_measures_and_no_differences():
    objectives = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}
    sides = {name: [run([0.8, at], macs=[5, 7])] for name, at in (("a", 0.9), ("b", 0.85))}
    found = compare(sides, objectives=objectives)
    assert found.differences.empty
    assert found.measures.set_index("measure").loc["hypervolume", "difference"] > 0
    assert found.figure().to_dict()["vconcat"]


def test_compare_leaves_its_records_unchanged():
    runs = {"a": [run([0.9, 0.8])], "b": [run([0.7, 0.95])]}
    before = {name: [each.copy() for each in parts] for name, parts in runs.items()}
    compare(runs)
    for name, parts in before.items():
        pd.testing.assert_frame_equal(runs[name][0], parts[0])


def test_compare_has_no_growth_over_hours_where_a_run_has_none():
    timed, plain = run([0.9, 0.95], wall_s=60.0), run([0.8, 0.9])
    assert set(compare({"a": [timed], "b": [plain]}).growth["over"]) == {"trials"}
    assert set(compare({"a": [timed], "b": [timed]}).growth["over"]) == {"trials", "hours"}
