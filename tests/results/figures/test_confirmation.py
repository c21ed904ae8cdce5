import pandas as pd
import pytest

from results.analyses.confirmation import Confirmation, confirmation
from results.analyses.confirmed_band import confirmed_band
from results.figures.confirmation import confirmation_figure
from results.runs import to_frame


def found(objectives=None) -> Confirmation:
    """Two members, of which the cheaper one is better on the test split, and a reference."""
    objectives = objectives or {"accuracy": "maximize", "params": "minimize"}
    rows = [
        {"number": 0, "accuracy": 0.95, "params": 300, "macs": 1, "test_accuracy": 0.85, "activation": "leni"},
        {"number": 1, "accuracy": 0.90, "params": 100, "macs": 1, "test_accuracy": 0.88, "activation": "relu",
         "test_accuracies": "[0.86, 0.9]"},
        {"number": 2, "accuracy": 0.91, "params": 400, "macs": 1, "test_accuracy": 0.93, "activation": "prelu"},
    ]  # fmt: skip
    frame = to_frame({"state": "completed", **row} for row in rows).assign(candidate=["b", "a", "r"])
    before = frame.assign(role=["front", "front", "reference"], accuracy=[0.96, 0.92, 0.94])
    return confirmation(before, frame, objectives=objectives)


def drawn(one: Confirmation):
    band = confirmed_band(one.members(), objectives=one.objectives)
    return confirmation_figure(one.rows, objectives=one.objectives, band=band)


def data(chart, name: str) -> pd.DataFrame:
    return pd.DataFrame(chart.to_dict()["datasets"][name])


def test_figure_draws_each_candidate_where_the_test_split_has_it():
    points = data(drawn(found()), "points")
    assert points[["x", "y", "searched_y"]].values.tolist() == [
        [100, 0.88, 0.92], [300, 0.85, 0.96], [400, 0.93, 0.94]]  # fmt: skip
    assert points["on_front"].tolist() == [True, True, False]  # the members, not who is best on the test split
    assert points["low"].notna().tolist() == [True, False, False]


def test_figure_has_both_fronts_as_steps():
    chart = drawn(found())
    confirmed, searched = (data(chart, name) for name in ("confirmed", "searched"))
    assert set(confirmed["y"].iloc[1:]) == {0.88}
    assert set(data(chart, "pessimistic")["y"].iloc[1:]) == {0.85}
    assert set(searched["y"].iloc[1:]) == {0.92, 0.96}  # of members alone
    assert confirmed["x"].is_monotonic_increasing


def test_figure_has_a_band_where_two_members_have_two_seeds():
    assert data(drawn(found()), "band").empty
    rows = found().rows
    rows["test_accuracies"] = rows["test_accuracies"].where(rows["role"] == "reference", "[0.86, 0.9]")
    one = Confirmation(rows, found().objectives, {})
    band = data(drawn(one), "band")
    assert band["x"].tolist() == [100, 300]
    assert (band["low"] < band["high"]).all()


def test_figure_of_three_objectives_draws_no_searched_line():
    three = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}
    assert data(drawn(found(three)), "searched").empty


@pytest.mark.parametrize("case", ["nothing", "no cost"])
def test_figure_of_nothing_says_so(case):
    one = found({"accuracy": "maximize"}) if case == "no cost" else found()
    empty = Confirmation(one.rows.iloc[:0], one.objectives, one.hypervolumes) if case == "nothing" else one
    assert "Nothing confirmed" in str(drawn(empty).to_dict())
