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
    with pytest.raises(ResultsError, match="margin must be a fraction"):
        compensation(simulated(), margin=-1)


def at_rates(rates_of, *, seed=0):
    """LENI is ReLU, each best at rate 3; `rates_of` gives the rates of an activation's candidates."""
    effects = {0.3: -0.02, 1.0: -0.005, 3.0: 0.0}
    rng = np.random.default_rng(seed)
    rows = []
    for activation in ("relu", "leni"):
        for rate in rates_of(activation):
            count = int(rng.choice(WIDTHS))
            values = accuracy(count) + effects[rate] + 0.002 * rng.normal() + 0.003 * rng.normal(size=3)
            rows.append({
                "activation": activation, "params": count, "lr_factor": rate, "accuracy": values.mean(),
                "accuracies": json.dumps(values.tolist()), "state": "completed", "number": len(rows),
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_all_curves_are_adjusted_for_a_dimension_or_none():
    few = at_rates(lambda name: [0.3] + [1.0] * 5 + [3.0] * 5 if name == "relu" else [0.3, 1.0, 3.0] * 10)
    found = compensation(few, draws=300)
    assert any(text.startswith("Adjusted for lr_factor") for text in found.sentences)
    assert not (found.gains["verdict"] == "better").any()
    one = at_rates(lambda name: [1.0] * 10 if name == "relu" else [0.3, 1.0, 3.0] * 10)
    told = " ".join(compensation(one, draws=300).sentences)
    assert "No curve is adjusted for lr_factor, since relu (all) has one value of it" in told
    assert "relu at full width was not tried at lr_factor 0.3, 3" in told


def test_options_of_one_activation_are_adjusted_for_too():
    frame = at_rates(lambda name: [3.0] * 16 if name == "relu" else [3.0] * 36)
    own = frame["activation"] == "leni"
    frame["decay"] = [bool(number % 2) if leni else None for number, leni in zip(frame["number"], own, strict=True)]
    frame.loc[own & (frame["decay"] == True), "accuracy"] -= 0.02  # noqa: E712
    frame["accuracies"] = None
    found = compensation(frame, draws=300)
    assert any("Adjusted for decay" in text and "leni (all) at decay False" in text for text in found.sentences)
    assert abs(found.gains["gain"]).max() < 0.006
    assert compensation(frame, adjust=None, draws=300).gains["gain"].max() < -0.004


def test_trials_without_a_result_are_counted_and_an_adaptive_sampler_is_named():
    frame = at_rates(lambda name: [1.0, 3.0] * 10)
    frame.loc[frame.index[-3:], "state"] = "failed"
    told = " ".join(compensation(frame, sampler="tpe", draws=200).sentences)
    assert "Left out: 3 failed trials" in told
    assert "proposed by the sampler tpe" in told
    assert "sampler" not in " ".join(compensation(frame, sampler="qmc", draws=200).sentences)


def test_the_worst_half_stopped_does_not_make_the_wider_spread_better():
    better = plain = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frame = at_rates(lambda name: [3.0] * 40, seed=seed)
        level = frame["accuracy"] + (frame["activation"] == "leni") * 0.015 * rng.normal(size=len(frame))
        over = level - accuracy(frame["params"])
        frame = frame.assign(accuracy=level, accuracies=None, seeds=1)
        frame["state"] = np.where(over > over.median(), "completed", "stopped")
        found = compensation(frame, draws=300)
        assert any("stopped trials take part" in text for text in found.sentences)
        better += bool((found.gains["verdict"] == "better").any())
        plain += float(compensation(frame[frame["state"] == "completed"], draws=300).gains["gain"].mean() > 0.005)
    assert plain == 4
    assert better <= 1
