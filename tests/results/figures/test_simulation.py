import json

import pandas as pd
import pytest

import results
from results.errors import RecordError
from results.figures.simulation import simulation_bands, simulation_figure


def frame(**searches):
    rows = [
        {"search": name, "repeat": repeat, "step": step, "share": share}
        for name, repeats in searches.items()
        for repeat, points in enumerate(repeats)
        for step, share in points
    ]
    return pd.DataFrame(rows, columns=["search", "repeat", "step", "share"])


def test_bands_are_the_mean_and_quantiles_at_every_step():
    bands = simulation_bands(frame(ours=[[(1, 0.2), (2, 0.6)], [(1, 0.4), (2, 1.0)]]))
    assert bands["step"].tolist() == [1, 2]
    assert bands["mean"].tolist() == pytest.approx([0.3, 0.8])
    assert bands["low"].tolist() == pytest.approx([0.22, 0.64])
    assert bands["high"].tolist() == pytest.approx([0.38, 0.96])
    assert set(bands["repeats"]) == {2}


def test_between_its_trials_a_repeat_has_what_it_had():
    bands = simulation_bands(frame(ours=[[(4, 0.5), (9, 0.9)], [(2, 0.1), (6, 0.7)]]))
    assert bands["step"].tolist() == [2, 4, 6, 9]
    assert bands["mean"].tolist() == pytest.approx([0.05, 0.3, 0.6, 0.8])


def test_trials_that_end_at_the_same_step_count_by_the_last():
    bands = simulation_bands(frame(ours=[[(3, 0.5), (3, 0.9)]]))
    assert bands["mean"].tolist() == [0.9]


def test_searches_keep_their_order_and_their_colours():
    chart = simulation_figure(frame(b=[[(1, 0.5)]], a=[[(1, 0.6)]])).to_dict()
    assert chart["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["b", "a"]
    assert len(set(chart["layer"][0]["encoding"]["color"]["scale"]["range"])) == 2


def test_nothing_to_draw_is_said():
    assert "No simulated trial" in json.dumps(simulation_figure(frame()).to_dict())


def test_missing_column_is_named():
    with pytest.raises(RecordError, match="missing: share"):
        simulation_bands(frame(ours=[[(1, 0.5)]]).drop(columns="share"))


def test_figure_can_be_saved(tmp_path):
    path = tmp_path / "figure.svg"
    results.save(simulation_figure(frame(ours=[[(1, 0.5), (2, 0.7)]]), steps="epochs", subtitle="A table"), path)
    assert "epochs" in path.read_text()
