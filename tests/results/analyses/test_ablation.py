"""Effects against a model whose truth is known, and against arithmetic by hand."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from results.analyses.ablation import PREFIX, ablation
from results.errors import RecordError
from results.stats.paired import mean_interval
from results.stats.sign_flips import sign_flip_p


def cell(accuracies, *, params=100, state="completed", error=None, **levels):
    values = list(map(float, accuracies))
    return {
        "state": state, "accuracy": float(np.mean(values)) if values else None, "accuracies": json.dumps(values),
        "params": params, "error": error, **{f"{PREFIX}{name}": level for name, level in levels.items()},
    }  # fmt: skip


BASE = [0.90, 0.92, 0.91, 0.93, 0.90, 0.94, 0.92]


def one_at_a_time():
    worse = np.array(BASE) - [0.010, 0.012, 0.011, 0.009, 0.014, 0.008, 0.010]
    same = np.array(BASE) + np.array([0.001, -0.002, 0.0, 0.001, -0.001, 0.002, -0.002])
    return pd.DataFrame([
        cell(BASE, kernel="3", norm="none"), cell(same, kernel="3", norm="batch", params=140),
        cell(worse, kernel="1", norm="none", params=60),
    ])  # fmt: skip


def test_ablation_one_at_a_time_equals_the_statistics_of_its_pairs():
    found = ablation(one_at_a_time()).effects.set_index("factor")
    assert found["level"].to_dict() == {"norm": "batch", "kernel": "1"}
    differences = np.array(json.loads(one_at_a_time()["accuracies"][2])) - BASE
    interval = mean_interval(differences)
    row = found.loc["kernel"]
    assert row["points"] == pytest.approx(100 * differences.mean())
    assert (row["points_low"], row["points_high"]) == pytest.approx((100 * interval.low, 100 * interval.high))
    assert row["p"] == sign_flip_p(differences) == 2 / 2**7
    assert row["p_adjusted"] == row["p"]  # joint flips: the other comparison reaches as much in none of them
    assert (row["verdict"], row["params_change"], row["wins"]) == ("worse", -40, 0.0)
    assert found.loc["norm", "verdict"] == "open"
    assert found.loc["norm", "needed"] > 7


def test_ablation_three_seeds_settle_nothing_and_say_so():
    rows = [cell([0.9, 0.91, 0.92], part="on"), cell([0.5, 0.52, 0.51], part="off")]
    found = ablation(pd.DataFrame(rows))
    assert found.effects["p"].tolist() == [0.25]
    assert found.effects["verdict"].tolist() == ["open"]
    assert "3 seeds cannot reach a p-value below 0.25; a claim takes 6 at least" in found.sentences[-1]
    assert "part off 6" in found.sentences[-1]


def full(effect, *, seeds=8, spread=0.0, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.02, seeds)
    rows = []
    for a, b, c in itertools.product(("lo", "mid", "hi"), ("on", "off"), ("x", "y")):
        values = effect(a, b, c) + shared + rng.normal(0, spread, seeds)
        rows.append(cell(values, a=a, b=b, c=c))
    return pd.DataFrame(rows)


def truth(a, b, c):
    main = {"lo": 0.0, "mid": 0.01, "hi": 0.03}[a] - 0.02 * (b == "off")
    return 0.8 + main + 0.04 * (a == "hi") * (b == "off") + 0.0 * (c == "y")


def test_ablation_factorial_finds_main_effects_and_interactions_exactly():
    found = ablation(full(truth))
    effects = found.effects.set_index(["factor", "level"])["points"]
    # By hand, averaged over the other factors: hi gains half of the interaction, off a third.
    expected = {("a", "mid"): 1.0, ("a", "hi"): 3.0 + 2.0, ("b", "off"): -2.0 + 4.0 / 3, ("c", "y"): 0.0}
    assert {key: pytest.approx(value, abs=1e-9) for key, value in expected.items()} == effects.to_dict()
    both = found.interactions.set_index("levels")["points"]
    assert both["hi x off"] == pytest.approx(4.0)
    assert both.drop("hi x off").abs().max() < 1e-9
    assert found.design == "factorial"


def test_ablation_factorial_unbalanced_is_not_fooled_by_the_missing_cells():
    frame = full(lambda a, b, c: 0.8 - 0.02 * (b == "off") + 0.03 * (a == "hi"))
    kept = frame.drop(index=[1, 6])
    effects = ablation(kept).effects.set_index(["factor", "level"])["points"]
    assert effects["b", "off"] == pytest.approx(-2.0)
    assert effects["a", "hi"] == pytest.approx(3.0)
    assert effects["c", "y"] == pytest.approx(0.0, abs=1e-9)


def fraction():
    rows = []
    for a, b, c in itertools.product((0, 1), repeat=3):
        d = 1 if (a + b + c) % 2 else 0
        rows.append(cell(0.8 + 0.01 * a - 0.02 * d + np.zeros(8), a=str(a), b=str(b), c=str(c), d=str(d)))
    return pd.DataFrame(rows)


def test_ablation_fraction_gives_main_effects_and_names_mixed_interactions():
    found = ablation(fraction())
    effects = found.effects.set_index("factor")["points"]
    assert effects.to_dict() == {"a": pytest.approx(1.0), "b": pytest.approx(0), "c": pytest.approx(0),
                                 "d": pytest.approx(-2.0)}  # fmt: skip
    assert found.interactions.empty
    assert any("Mixed up with one another" in text and "a 1 x d 1" in text for text in found.left_out)


def test_ablation_failed_cells_are_named_and_a_failed_base_is_refused():
    rows = [
        *one_at_a_time().to_dict("records"),
        cell([], state="failed", error="loss is not finite", kernel="5", norm="none"),
    ]
    assert ablation(pd.DataFrame(rows)).left_out == ("kernel 5 has no result: loss is not finite.",)
    rows[0]["state"] = "failed"
    with pytest.raises(RecordError, match="the base has no result"):
        ablation(pd.DataFrame(rows))


def test_ablation_of_unpaired_seeds_is_refused():
    rows = [cell(BASE, kernel="3"), cell(BASE[:4], kernel="1")]
    with pytest.raises(RecordError, match="an accuracy of every seed"):
        ablation(pd.DataFrame(rows))
    with pytest.raises(RecordError, match="a column 'factor: NAME'"):
        ablation(pd.DataFrame({"accuracy": [0.5]}))


def test_ablation_covers_the_truth_and_keeps_its_error():
    covered, false = [], 0
    for seed in range(60):
        found = ablation(full(truth, spread=0.01, seed=seed))
        row = found.effects.set_index("level").loc["hi"]
        covered.append(row["points_low"] <= 5.0 <= row["points_high"])
        false += bool(found.effects.set_index("factor").loc["c", "verdict"] != "open")
    assert 0.90 <= np.mean(covered) <= 0.99
    assert false <= 5


def test_ablation_figure_and_notebook_show_every_effect():
    found = ablation(full(truth, spread=0.01))
    drawn = found.figure().to_dict()["datasets"]["effects"]
    assert [row["change"] for row in drawn] == ["a: lo → mid", "a: lo → hi", "b: on → off", "c: x → y"]
    assert "hi x off" in found._repr_html_()
    single = ablation(pd.DataFrame([cell([0.9], part="on"), cell([0.8], part="off")]))
    assert math.isinf(single.effects["points_low"][0])
    assert single.figure().to_dict()["datasets"]["effects"][0]["points"] == pytest.approx(-10)
