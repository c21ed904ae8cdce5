"""Claims of non-inferiority whose truth is known."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from results.analyses.noninferiority import narrowest, untried_recipes


def test_narrowest_is_false_in_at_most_one_of_twenty():
    """Every LENI network is worse than ReLU at full width by the margin exactly."""
    false = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        rows = [("relu", 1000, 0.9)] + [("leni", count, 0.898) for count in (900, 700, 500, 300)]
        records = []
        for activation, params, level in rows:
            values = level + rng.normal(0, 0.003, 5)
            records.append({"activation": activation, "params": params, "accuracy": values.mean(),
                            "accuracies": json.dumps(values.tolist())})  # fmt: skip
        false += bool(narrowest(pd.DataFrame(records), margin=0.002)["holds"].any())
    assert false <= 12  # 6 and two and a half standard errors


def test_without_single_seeds_values_means_and_deviations_are_compared():
    rows = [("relu", 1000, 0.9), ("leni", 500, 0.9), ("leni", 300, 0.5)]
    records = pd.DataFrame([
        {"activation": name, "params": params, "accuracy": level, "accuracy_std": 0.001, "seeds": 8}
        for name, params, level in rows
    ])  # fmt: skip
    table = narrowest(records, margin=0.002)
    assert set(table["method"]) == {"welch"}
    assert table["holds"].tolist() == [True, False]
    one = narrowest(records.assign(seeds=1), margin=0.002)
    assert not one["holds"].any()
    assert (one["bound"] == -math.inf).all()


def records(rows):
    """(activation, params, accuracies, further columns)."""
    return pd.DataFrame([
        {"activation": name, "params": params, "accuracy": np.mean(values),
         "accuracies": json.dumps([float(value) for value in values]), **more}
        for name, params, values, more in rows
    ])  # fmt: skip


def test_equal_differences_prove_nothing():
    base = np.array([355, 356, 354]) / 359
    rows = [("relu", 1000, base, {})] + [("leni", count, base - 1 / 359, {}) for count in (900, 800, 700)]
    table = narrowest(records(rows), margin=0.002)
    assert (table["p"] > 0.1).all()
    assert not table["holds"].any()


def test_a_candidate_at_a_recipe_that_the_reference_lacks_is_not_claimed():
    rng = np.random.default_rng(3)
    values = {name: 0.9 + 0.0005 * rng.standard_normal(6) for name in ("a", "b", "c")}
    rows = [("relu", 1000, values["a"] - 0.02, {"lr_factor": 1.0}), ("leni", 800, values["b"], {"lr_factor": 3.0}),
            ("leni", 600, values["c"], {"lr_factor": 1.0}), ("relu", 500, values["a"], {"lr_factor": 3.0})]  # fmt: skip
    table = narrowest(records(rows))
    assert table["tried"].tolist() == [False, True]
    assert table["holds"].tolist() == [False, True]
    assert untried_recipes(records(rows)) == {"lr_factor": [3.0]}
    assert untried_recipes(records([*rows, ("relu", 1000, values["a"], {"lr_factor": 3.0})])) == {}


def test_continuous_rates_count_as_tried_where_they_are_near():
    rng = np.random.default_rng(4)
    rates = [0.9, 0.31, 1.1, 2.9]
    names = ("relu", "leni", "leni", "leni")
    rows = [
        (name, 900 - 100 * at, 0.9 + 0.001 * rng.standard_normal(3), {"lr_factor": rate})
        for at, (name, rate) in enumerate(zip(names, rates, strict=True))
    ]
    assert narrowest(records(rows))["tried"].tolist() == [False, True, False]


def test_needed_is_at_the_candidates_own_level_and_power_grows_with_seeds():
    shown, needed = [], []
    for seeds in (3, 6, 9, 13):
        found = []
        for repeat in range(12):
            rng = np.random.default_rng(repeat)
            rows = [("relu", 78_000, 0.99 + rng.normal(0, 0.001, seeds), {})]
            rows += [("leni", 60_000 - count, (0.9925 if count == 9 else 0.98) + rng.normal(0, 0.001, seeds), {})
                     for count in range(20)]  # fmt: skip
            row = narrowest(records(rows)).iloc[9]
            found.append(bool(row["holds"]))
            needed.append(int(row["needed"]))
            assert row["alpha"] == pytest.approx(0.025 / 19)
        shown.append(np.mean(found))
    assert shown == sorted(shown)
    assert shown[1] >= 0.9
    assert np.median(needed) in (3, 4, 5)
