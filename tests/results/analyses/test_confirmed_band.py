"""Bands whose truth is known: members chosen from many candidates, measured anew."""

import json

import numpy as np
import pandas as pd
import pytest

from results.analyses.confirmed_band import confirmed_band
from results.errors import ResultsError

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


def members(rng, *, candidates=96, seeds=5, images=None):
    """A searched front's members with fresh accuracies, and their true ones."""
    params = rng.permutation(np.arange(candidates)) * 500 + 3000
    true = 0.893 - 2.2 * params**-0.42 - np.abs(0.006 * rng.normal(size=candidates))
    seen = true + 0.004 / np.sqrt(3) * rng.normal(size=candidates)
    order = np.argsort(params)
    kept = [at for place, at in enumerate(order) if seen[at] >= seen[order[: place + 1]].max()]
    shift = np.sqrt(true[kept] * (1 - true[kept]) / images) * rng.normal() if images else 0.0
    fresh = (true[kept] + shift)[:, None] + 0.004 * rng.normal(size=(len(kept), seeds))
    frame = pd.DataFrame({"params": params[kept], "test_accuracies": [json.dumps(row.tolist()) for row in fresh]})
    if images:
        frame["test_sample_error"] = np.sqrt(true[kept] * (1 - true[kept]) / images)
    return frame, true[kept]


def held(level, repeats, **how):
    """The share of costs at which the band holds the true front."""
    inside = []
    for seed in range(repeats):
        frame, true = members(np.random.default_rng(seed), **how)
        band = confirmed_band(frame, objectives=OBJECTIVES, level=level, draws=300)
        front = np.maximum.accumulate(true)
        inside += list((band["low"] <= front) & (front <= band["high"]))
    return float(np.mean(inside))


def test_confirmed_band_holds_the_true_front_as_often_as_it_says():
    assert held(0.5, 60) == pytest.approx(0.5, abs=0.1)
    assert held(0.95, 60, images=2_000) == pytest.approx(0.95, abs=0.05)


def test_confirmed_band_rises_with_the_cost_in_any_order_of_rows():
    frame, _ = members(np.random.default_rng(3))
    band = confirmed_band(frame.sample(frac=1.0, random_state=1), objectives=OBJECTIVES)
    assert band.columns.tolist() == ["params", "accuracy", "low", "high"]
    assert band["params"].is_monotonic_increasing
    for name in ("low", "accuracy", "high"):
        assert band[name].is_monotonic_increasing
    pd.testing.assert_frame_equal(band, confirmed_band(frame.sample(frac=1.0, random_state=1), objectives=OBJECTIVES))


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame({"params": [1, 2], "test_accuracies": ["[0.9]", None]}), pd.DataFrame({"params": []})],
)
def test_confirmed_band_of_single_seeds_is_empty(frame):
    assert confirmed_band(frame, objectives=OBJECTIVES).empty
    with pytest.raises(ResultsError, match="level"):
        confirmed_band(frame, objectives=OBJECTIVES, level=95)
