"""Compensation that is known: LENI has ReLU's accuracy with seven tenths of the parameters."""

import json

import numpy as np
import pandas as pd
import pytest

import results
from results.analyses.compensation import compensation
from results.analyses.noninferiority import narrowest
from results.errors import RecordError, ResultsError

RATIO = 0.7
WIDTHS = np.array([1200, 2500, 5200, 9800, 17_000, 26_000, 38_000, 52_000])


def accuracy(params, activation="relu"):
    """A curve that saturates; LENI's is ReLU's shifted by RATIO."""
    effective = np.asarray(params, dtype=float) / (RATIO if activation == "leni" else 1.0)
    return 0.97 - 2.0 * effective**-0.4


def simulated(*, seeds=4, spread=0.004, between=0.0, params=WIDTHS, seed=0, activations=("relu", "leni")):
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.01, seeds)
    rows = []
    for activation in activations:
        for count in rng.permutation(params):
            level = accuracy(count, activation) + between * rng.normal()
            values = level + shared + spread * rng.normal(size=seeds)
            rows.append({
                "number": len(rows), "state": "completed", "backbone": "resnet8", "activation": activation,
                "placement": "all", "params": int(count), "accuracy": values.mean(),
                "accuracies": json.dumps(values.tolist()), "seeds": seeds,
            })  # fmt: skip
    return pd.DataFrame(rows)


def known(table):
    """Rows whose ratio has two ends."""
    return table[(table["low"] > 0) & np.isfinite(table["high"])]


def test_exact_records_give_the_exact_ratio():
    found = compensation(simulated(spread=1e-7))
    rows = found.ratios[found.ratios["ratio"].notna()]
    assert len(rows) >= 5
    assert rows["ratio"].to_numpy() == pytest.approx(RATIO, rel=0.04)
    assert set(known(rows)["verdict"]) == {"fewer"}
    middle = found.gains.iloc[len(found.gains) // 2]
    assert middle["gain"] == pytest.approx(accuracy(middle["params"], "leni") - accuracy(middle["params"]), abs=2e-3)


def test_intervals_cover_what_is_true():
    ratios, gains = [], []
    for seed in range(40):
        found = compensation(simulated(spread=0.006, between=0.003, seed=seed), draws=300)
        rows = known(found.ratios)
        ratios += list((rows["low"] <= RATIO) & (rows["high"] >= RATIO))
        true = accuracy(found.gains["params"], "leni") - accuracy(found.gains["params"])
        gains += list((found.gains["low"] <= true) & (true <= found.gains["high"]))
    assert 0.90 <= np.mean(ratios) <= 0.99
    assert 0.90 <= np.mean(gains) <= 0.99


def test_noise_leaves_it_open_and_says_how_many_seeds_would_do():
    found = compensation(simulated(spread=0.05, seed=3))
    rows = found.ratios[found.ratios["verdict"] == "open"]
    assert len(rows)
    assert (rows["needed"].dropna() > 4).all()
    assert any("the data do not say" in text or "no accuracy in common" in text for text in found.sentences)


def test_accuracies_out_of_reach_have_no_ratio_but_a_limit():
    strong = simulated(activations=("leni",)).assign(accuracy=lambda frame: frame["accuracy"] + 0.3, accuracies=None)
    records = pd.concat([simulated(activations=("relu",)), strong.assign(number=strong["number"] + 100)])
    found = compensation(records)
    assert found.ratios["ratio"].isna().all()
    assert (found.ratios["low"] == 0).all()
    assert (found.ratios.sort_values("reference_params")["verdict"].iloc[2:] == "fewer").all()
    assert any("reach no accuracy in common" in text for text in found.sentences)


def test_each_activation_is_drawn_at_its_own_learning_rate():
    parts = [simulated(spread=1e-6).assign(lr_factor=factor) for factor in (0.3, 1.0, 3.0)]
    best = {"relu": 1.0, "leni": 3.0}
    for part in parts:
        off = 0.05 * (part["activation"].map(best) != part["lr_factor"])
        part["accuracy"] -= off
        part["accuracies"] = None
    found = compensation(pd.concat(parts))
    rows = found.ratios[found.ratios["ratio"].notna()]
    assert rows["ratio"].to_numpy() == pytest.approx(RATIO, rel=0.06)
    averaged = compensation(pd.concat(parts), adjust=None).curves
    top = found.curves.groupby("activation")["accuracy"].max() - averaged.groupby("activation")["accuracy"].max()
    assert (top > 0.02).all()


def test_narrowest_is_the_last_that_holds_and_counts_what_it_saves():
    table = narrowest(simulated(spread=0.0005, seeds=6), margin=0.004)
    assert table["params"].is_monotonic_decreasing
    held = table[table["narrowest"]]
    assert len(held) == 1
    row = held.iloc[0]
    assert row["saved"] == 52_000 - row["params"]
    assert accuracy(row["params"], "leni") > accuracy(52_000) - 0.004
    narrower = table[table["params"] < row["params"]]
    assert not narrower["holds"].any()
    assert table["alpha"].iloc[0] == pytest.approx(0.025)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_too_little_gives_sentences_and_no_error(kept):
    found = compensation(simulated().sort_values("activation", ascending=False).head(kept))
    assert found.sentences
    assert found.ratios.empty
    assert isinstance(found._repr_html_(), str)


def test_one_candidate_each_has_no_interval():
    frame = simulated(seeds=1, params=WIDTHS[:1])
    found = compensation(frame)
    assert not ((found.ratios["low"] > 0) & np.isfinite(found.ratios["high"])).any()
    assert set(found.gains["verdict"]) <= {"open"}
    assert any("has one seed" in text or "fewer parameters" in text for text in found.sentences)


def test_rows_that_are_no_result_play_no_part():
    frame = simulated()
    junk = frame.head(3).assign(state=["failed", "stopped", "completed"], params=[1, 2, None], accuracy=0.0)
    both = compensation(pd.concat([frame, junk.assign(number=[90, 91, 92])]), draws=200)
    pd.testing.assert_frame_equal(both.ratios, compensation(frame, draws=200).ratios)


def test_records_of_the_schema_and_mistakes():
    rows = [{name: row[name] for name in row} for row in simulated().to_dict("records")]
    assert compensation(results.to_frame(rows)).ratios["ratio"].notna().any()
    with pytest.raises(RecordError, match="must have a column params"):
        compensation(simulated().drop(columns="params"))
    with pytest.raises(ResultsError, match="margin must be a share"):
        compensation(simulated(), margin=-1)
