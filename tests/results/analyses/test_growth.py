"""Growth of the hypervolume against `hypervolume_of` of the trials so far."""

import numpy as np
import pandas as pd
import pytest

from results.analyses.growth import growth, hypervolume_cost
from results.errors import ObjectiveError, ResultsError
from results.indicators import hypervolume_of


def run(accuracies, params=(1000, 2000, 4000), **columns):
    return pd.DataFrame({"number": range(len(accuracies)), "accuracy": accuracies, "params": params[: len(accuracies)],
                         **columns})  # fmt: skip


def test_hypervolume_cost_counts_failed_trials_hours():
    trials = run([0.5, 0.7, 0.9], wall_s=[3600.0, 1800.0, 1800.0], state=["completed", "failed", "completed"])
    shuffled = trials.iloc[[2, 0, 1]]
    found = hypervolume_cost(shuffled, gpus=0.5)
    assert found["number"].tolist() == [0, 1, 2]
    assert found["hours"].tolist() == [0.5, 0.75, 1.0]
    first = hypervolume_of(trials.iloc[:1])
    assert found["hypervolume"].tolist() == pytest.approx([first, first, hypervolume_of(trials)])


def test_growth_is_the_quartiles_of_the_runs_at_each_trial():
    rng = np.random.default_rng(0)
    runs = [run(rng.uniform(0.5, 0.9, 5), params=rng.integers(1000, 9000, 5)) for _ in range(4)]
    found = growth({"a": runs, "b": runs[:1]})
    part = found[found["name"] == "a"].reset_index(drop=True)
    assert part["x"].tolist() == [1, 2, 3, 4, 5]
    for row in part.itertuples():
        values = [hypervolume_of(each.iloc[: int(row.x)]) for each in runs]
        assert (row.low, row.median, row.high) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))
    alone = found[found["name"] == "b"]
    assert alone["low"].tolist() == alone["median"].tolist() == alone["high"].tolist()


def test_growth_over_hours_ends_with_the_shortest_run():
    runs = [run([0.5, 0.6], wall_s=3600.0), run([0.7, 0.6, 0.8], wall_s=3600.0)]
    found = growth({"a": runs}, over="hours")
    assert found["x"].tolist() == [1.0, 2.0]
    assert growth({"a": [run([0.9], state="failed")]}).empty


def test_growth_mistakes_are_said_in_a_sentence():
    with pytest.raises(ResultsError, match="trials, hours, got 'days'"):
        growth({"a": [run([0.5])]}, over="days")
    with pytest.raises(ObjectiveError, match="wall_s is not a column"):
        growth({"a": [run([0.5])]}, over="hours")
