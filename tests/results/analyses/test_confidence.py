"""Probabilities against closed forms, and drawn fronts."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from results.analyses.attainment import attainment
from results.analyses.confidence import confidence, drawn_fronts, spread_known
from results.errors import ResultsError
from results.fronts import front


def noisy(levels, params, *, seeds=400, spread=0.02, seed=0):
    """Many seeds, so that standard errors are known."""
    rng = np.random.default_rng(seed)
    rows = []
    for level, count in zip(levels, params, strict=True):
        values = rng.normal(0, spread, seeds)
        values = level + values - values.mean()
        rows.append(
            {"state": "completed", "accuracy": level, "params": count, "accuracies": json.dumps(values.tolist())}
        )
    return pd.DataFrame(rows)


def test_confidence_of_two_equals_the_normal_probability():
    records = noisy([0.900, 0.901], [200, 100])
    found = confidence(records, draws=20_000).set_index("params")
    error = 0.02 / math.sqrt(400)
    assert found.loc[100, "probability"] == 1.0  # nothing is smaller
    expected = stats.norm.sf(0.001 / (error * math.sqrt(2)))
    assert found.loc[200, "probability"] == pytest.approx(expected, abs=0.015)
    assert found["front"].to_dict() == {100: True, 200: False}


def test_confidence_leaves_out_the_hopeless_and_keeps_the_front_in_order():
    records = noisy([0.90, 0.95, 0.10, 0.93], [100, 300, 200, 200])
    found = confidence(records)
    assert found["params"].tolist() == [100, 200, 300]
    assert (found["probability"] > 0.99).all()


def test_confidence_without_spread_is_the_front_with_its_ties():
    records = pd.DataFrame({"accuracy": [0.9, 0.9, 0.8, np.nan], "params": [10, 10, 20, 1]})
    found = confidence(records)
    assert found["probability"].tolist() == [1.0, 1.0]
    pd.testing.assert_frame_equal(found[["accuracy", "params"]], front(records))
    assert confidence(records.iloc[:0]).empty


def test_confidence_takes_out_what_a_seed_adds_to_all():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 0.05, 6)
    rows = [{"accuracy": level, "params": count,
             "accuracies": json.dumps((level + shared - shared.mean() + rng.normal(0, 1e-4, 6)).tolist())}
            for level, count in ((0.90, 100), (0.91, 200), (0.92, 300), (0.915, 400))]  # fmt: skip
    found = confidence(pd.DataFrame(rows)).set_index("params")
    assert found["probability"].to_dict() == {100: 1.0, 200: 1.0, 300: 1.0}


def test_confidence_is_calibrated_for_few_seeds():
    """Of points said to be on the true front with probability p, about p are (means unselected: no prior here)."""
    said, true = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        levels, params = rng.normal(0.9, 0.01, 12), np.arange(12)
        truth = front(pd.DataFrame({"accuracy": levels, "params": params}))["params"]
        seen = levels[:, None] + rng.normal(0, 0.004, (12, 3))
        rows = [{"accuracy": values.mean(), "params": count, "accuracies": json.dumps(values.tolist())}
                for count, values in zip(params, seen, strict=True)]  # fmt: skip
        found = confidence(pd.DataFrame(rows), draws=200, seed=seed)
        said += found["probability"].tolist()
        true += found["params"].isin(truth).tolist()
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.05)
    sure = np.array(said) > 0.95
    assert np.mean(np.array(true)[sure]) > 0.9


def test_drawn_fronts_surround_the_front_that_was_seen():
    records = noisy([0.90, 0.92, 0.94], [100, 200, 300], seeds=5)
    surfaces = attainment(drawn_fronts(records, draws=300))
    at = [surfaces.loc[(surfaces["share"] == share) & (surfaces["params"] == 300), "accuracy"].iloc[0]
          for share in (0.25, 0.5, 0.75)]  # fmt: skip
    assert at[0] > at[1] > at[2]
    assert at[1] == pytest.approx(0.94, abs=0.003)


def test_confidence_of_one_seed_each_is_not_known():
    records = pd.DataFrame({"accuracy": [0.9, 0.8], "params": [10, 5], "seeds": 1, "accuracy_std": np.nan})
    assert not spread_known(records)
    assert spread_known(records.assign(seeds=[1, 3], accuracy_std=[np.nan, 0.01]))
    assert not spread_known(records.assign(seeds=3, accuracy_std=0.01), objectives={"params": "minimize"})
    assert not spread_known(records.assign(seeds=3, accuracy_std=0.01, state="failed"))


def test_confidence_equals_draws_by_hand_over_two_costs_with_ties_and_a_dead_row():
    objectives = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}
    rng = np.random.default_rng(8)
    records = pd.DataFrame({
        "accuracy": [*rng.uniform(0.88, 0.92, 11), np.nan], "params": rng.integers(1, 5, 12),
        "macs": rng.integers(1, 5, 12), "accuracy_std": 0.02, "seeds": 4,
    })  # fmt: skip
    found = confidence(records, objectives=objectives, draws=4000)["probability"]
    alive = records.iloc[:11]
    hits = np.zeros(11)
    for _ in range(4000):  # four seeds and the prior's four: Student's with 3 + 4 degrees of freedom
        level = alive["accuracy"].to_numpy() + 0.02 / 2 * rng.standard_t(7, 11)
        values = np.column_stack([-level, alive["params"], alive["macs"]])
        for at, row in enumerate(values):
            hits[at] += not any((other <= row).all() and (other < row).any() for other in values)
    assert found.reindex(range(11)).fillna(0.0).to_numpy() == pytest.approx(hits / 4000, abs=0.035)
    assert 11 not in found.index


def test_confidence_of_many_records_needs_no_single_accuracies():
    """Of a hundred thousand records those that may be on the front have their lists read, no others."""
    rng = np.random.default_rng(0)
    params = rng.integers(1_000, 100_000, 100_000)
    levels = 0.97 - 2 * params**-0.4 + rng.normal(0, 0.01, len(params))
    params[::2], levels[::2] = 200_000, 0.1
    texts = np.where(levels == 0.1, "unreadable", json.dumps([0.95, 0.96, 0.97]))
    records = pd.DataFrame({"accuracy": levels, "params": params, "accuracy_std": 0.004, "seeds": 3})
    assert spread_known(records.assign(accuracies=texts))
    found = confidence(records.assign(accuracies=texts), draws=50)
    assert 10 < len(found) < 2_000
    assert (found["accuracies"] != "unreadable").all()


@pytest.mark.parametrize("draws", [0, -3])
def test_confidence_without_draws_is_an_error(draws):
    with pytest.raises(ResultsError, match="draws must be at least 1"):
        confidence(noisy([0.9], [1]), draws=draws)
