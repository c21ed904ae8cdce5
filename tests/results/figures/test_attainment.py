"""Bands against what is attained."""

import numpy as np
import pandas as pd
import pytest

from results.analyses.attainment import attained, attainment
from results.analyses.confidence import drawn_fronts
from results.figures.attainment import attainment_layers, band_of
from results.figures.front import front_figure
from results.figures.theme import Axis

BOTH = {"accuracy": "maximize", "params": "minimize"}
X, Y = Axis("params", "parameters", 50.0, 2000.0, log=True), Axis("accuracy", "accuracy", 0.4, 1.0, log=False)


def runs(count=7, seed=0):
    rng = np.random.default_rng(seed)
    return [pd.DataFrame({"accuracy": rng.uniform(0.5, 0.9, 6), "params": rng.integers(100, 1000, 6)})
            for _ in range(count)]  # fmt: skip


def test_band_is_between_what_few_and_many_attain():
    several = runs()
    found = band_of(attainment(several), X, Y, BOTH)
    assert found["x"].tolist() == sorted(set(found["x"]))
    assert found["x"].iloc[[0, -1]].tolist() == [50.0, 2000.0]
    for row in found.itertuples():
        reached = np.sort(np.nan_to_num([attained(run, [row.x])[0] for run in several], nan=0.4))[::-1]
        few, middle, many = reached[np.ceil(np.array([0.25, 0.5, 0.75]) * 7).astype(int) - 1]
        assert (row.high, row.low) == pytest.approx((few, many))
        assert np.isnan(row.middle) if middle == 0.4 else row.middle == pytest.approx(middle)


def test_band_where_more_of_the_cost_is_better_holds_up_to_each_step():
    objectives = {"accuracy": "maximize", "speed": "maximize"}
    one = pd.DataFrame({"share": 0.5, "accuracy": [0.9, 0.6], "speed": [10.0, 30.0]})
    found = band_of(one, Axis("speed", "speed", 0.0, 50.0, log=False), Y, objectives)
    assert found["x"].tolist() == [0.0, 10.0, 30.0, 50.0]
    assert found["high"].tolist() == [0.9, 0.6, 0.4, 0.4]
    assert band_of(one.iloc[:0], X, Y, BOTH).empty


def test_layers_have_a_band_for_each_name():
    surfaces = pd.concat([attainment(runs(seed=at)).assign(name=name) for at, name in enumerate("ab")])
    layers, data = attainment_layers(surfaces, BOTH)
    assert len(layers) == 2
    assert set(data["name"]) == {"a", "b"}


def test_front_figure_with_surfaces_draws_the_band_and_says_what_it_is():
    records = pd.DataFrame({"accuracy": [0.9, 0.8, 0.85], "params": [900, 100, 300], "accuracy_std": 0.02, "seeds": 3})
    drawn = front_figure(records, surfaces=attainment(drawn_fronts(records, draws=50))).to_dict()
    assert (pd.DataFrame(drawn["datasets"]["band"]).eval("high - low") > 0).any()
    assert "25 % to 75 %" in drawn["title"]["subtitle"][0]
    assert "band" not in front_figure(records).to_dict()["datasets"]
