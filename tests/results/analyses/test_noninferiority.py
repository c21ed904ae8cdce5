"""Claims of non-inferiority whose truth is known."""

import json
import math

import numpy as np
import pandas as pd

from results.analyses.noninferiority import narrowest


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
