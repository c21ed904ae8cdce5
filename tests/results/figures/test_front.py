import numpy as np
import pandas as pd
import pytest

from results.errors import ObjectiveError, ResultsError
from results.figures import front as figures
from results.figures.front import front_figure, hypervolume_figure
from results.figures.theme import save
from results.runs import to_frame

ACCURACY, BOTH = {"accuracy": "maximize"}, {"accuracy": "maximize", "params": "minimize"}


def trials(count, seed=0, **fixed):
    rng = np.random.default_rng(seed)
    rows = [
        {"number": number, "state": "completed", "activation": str(rng.choice(["relu", "leni"])), "placement": "all",
         "widths": "4-8-16", "accuracy": 0.7 + 0.25 * rng.random(), "accuracy_std": 0.01 * rng.random(),
         "params": int(10 ** rng.uniform(3, 5)), "macs": 1000 + number, **fixed}
        for number in range(count)
    ]  # fmt: skip
    return to_frame(rows)


def some(accuracies, params, **further):
    columns = {"accuracy": accuracies, "params": params, **further}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return to_frame([{"number": number, "state": "completed", **row} for number, row in enumerate(rows)])


def corners(info):
    return [tuple(row) for row in info.steps[["x", "y"]].to_numpy()]


def test_front_info_steps_are_level_after_each_front_point():
    frame = some([0.9, 0.6, 0.8, 0.7, 0.8], [400, 100, 200, 300, 200])
    info = figures._front_info(frame, BOTH)
    low, right = info.y.low, info.x.high
    expected = [(100, low), (100, 0.6), (200, 0.6), (200, 0.8), (400, 0.8), (400, 0.9), (right, 0.9)]
    assert corners(info) == expected
    assert info.points.loc[info.points["on_front"], "number"].tolist() == [0, 1, 2, 4]
    assert right > 400
    assert low < 0.6


def test_front_info_steps_of_costs_descend_and_of_gains_go_left():
    frame = some([0.9, 0.6, 0.8], [400, 100, 200], wall_s=[1.0, 3.0, 2.0])
    costs = figures._front_info(frame, {"wall_s": "minimize", "params": "minimize"})
    high, right = costs.y.high, costs.x.high
    assert corners(costs)[:3] == [(100, high), (100, 3.0), (200, 3.0)]
    assert corners(costs)[-1] == (right, 1.0)
    gains = figures._front_info(frame, {"accuracy": "maximize", "wall_s": "maximize"})
    assert corners(gains) == [(3.0, gains.y.low), (3.0, 0.6), (2.0, 0.6), (2.0, 0.8), (1.0, 0.8), (1.0, 0.9),
                              (gains.x.low, 0.9)]  # fmt: skip


@pytest.mark.parametrize("objectives", [BOTH, {"params": "minimize", "accuracy": "maximize"}])
def test_front_info_accuracy_is_vertical_in_either_order(objectives):
    info = figures._front_info(some([0.5, 0.6], [10, 20]), objectives)
    assert (info.x.column, info.y.column) == ("params", "accuracy")


def test_front_info_counts_states_and_draws_completed_alone():
    frame = to_frame([{"number": n, "state": state, "accuracy": 0.9 - n / 100, "params": 1000 - n} for n, state in
                      enumerate(["completed", "stopped", "failed", "completed", "extended"])])  # fmt: skip
    info = figures._front_info(frame, BOTH)
    assert info.points["number"].tolist() == [0, 3]
    assert info.notes == ("5 trials: 2 completed, 1 stopped, 1 failed, 1 extended; front of 2",)


def test_front_info_says_what_has_no_finite_value():
    info = figures._front_info(some([0.9, None, 0.8], [100, 200, 50]), BOTH)
    assert info.points["number"].tolist() == [0, 2]
    assert info.notes[1] == "1 completed without a finite accuracy and params, not drawn"


def test_front_info_leaves_out_broken_trials_and_says_how_many():
    good = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97]
    info = figures._front_info(some([*good, 0.1, 0.12], [*range(100, 108), 900, 800]), BOTH)
    assert info.points["accuracy"].tolist() == good
    assert 0.85 < info.y.low < 0.9
    assert info.notes[1] == f"2 below {info.y.low:.1%} not drawn"


def test_front_info_broken_trial_on_the_front_is_kept():
    good = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97]
    info = figures._front_info(some([*good, 0.1, 0.05], [*range(100, 108), 10, 900]), BOTH)
    assert len(info.points) == 10  # the tenth is hardly worse than what has to be shown
    assert info.y.low < 0.05


def test_front_info_minimised_outliers_are_cut_above():
    slow = some([0.5] * 9, range(9, 0, -1), wall_s=[90.0, 1.2, 1.1, 1.3, 1.2, 1.1, 1.0, 1.2, 1.1])
    info = figures._front_info(slow, {"wall_s": "minimize", "params": "minimize"})
    assert info.points["number"].tolist() == list(range(1, 9))
    assert info.notes[1].startswith("1 above 1.")


def test_front_info_error_bars_where_there_is_a_spread():
    info = figures._front_info(some([0.9, 0.8, 0.7], [30, 20, 10], accuracy_std=[0.02, 0.0, None]), BOTH)
    np.testing.assert_allclose(info.points["y_low"], [0.88, np.nan, np.nan])
    np.testing.assert_allclose(info.points["y_high"], [0.92, np.nan, np.nan])
    assert info.points["accuracy ± std"].tolist() == ["0.9000 ± 0.0200", "0.8000", "0.7000"]
    assert info.y.high > 0.92


def test_front_info_three_objectives_has_their_front_and_no_line():
    frame = some([0.9, 0.8], [10, 20], wall_s=[2.0, 1.0])
    info = figures._front_info(frame, {**BOTH, "wall_s": "minimize"})
    assert info.points["on_front"].all()
    assert len(info.steps) == 0
    assert "front over accuracy, params, wall_s" in info.notes[1]


def test_front_info_one_objective_is_drawn_against_the_number():
    info = figures._front_info(some([0.5, 0.7, 0.7], [1, 1, 1]), ACCURACY)
    assert info.x.column == "number"
    assert info.points["on_front"].tolist() == [False, True, True]


def test_front_info_many_placements_share_the_last_shape():
    names = [f"stage{n}" for n in range(9)] + ["stem", "stem"]
    frame = some([0.9] * 11, range(1, 12), placement=names)
    info = figures._front_info(frame, BOTH)
    assert set(info.points["shape"]) == {"stem", *names[:6], "others"}
    assert info.points["placement"].tolist() == names
    shape = front_figure(frame).to_dict()["layer"][-1]["encoding"]["shape"]
    assert shape["scale"]["domain"] == [*names[:6], "stem", "others"]


@pytest.mark.parametrize("count", [1, 5, 5001])
def test_front_figure_any_number_of_trials_is_drawn(count):
    chart = front_figure(trials(count), title="T", subtitle="mine").to_dict()
    assert chart["title"]["text"] == "T"
    assert chart["title"]["subtitle"][0] == "mine"
    assert chart["title"]["subtitle"][1].startswith(f"{count:,} trial")
    assert len(chart["datasets"]["trials"]) == count


def test_front_figure_tooltip_has_the_candidate():
    frame = trials(3, kernel_size=3, lr_factor=0.5, **{"latency.ms": 2.5})
    layer = front_figure(frame).to_dict()["layer"][-1]
    told = {tip["title"]: tip["field"] for tip in layer["encoding"]["tooltip"]}
    assert list(told)[:2] == ["number", "accuracy ± std"]
    assert {"params", "macs", "activation", "placement", "widths", "kernel_size", "lr_factor"} <= set(told)
    assert told["latency.ms"] == r"latency\.ms"
    assert not {"transform", "x", "y", "on_front", "shape"} & set(told)


def test_front_figure_without_completed_trial_says_so(tmp_path):
    chart = front_figure(trials(2, state="stopped"))
    save(chart, tmp_path / "a.svg")
    page = (tmp_path / "a.svg").read_text()
    assert figures._NOTHING in page
    assert "2 trials: 2 stopped" in page


def test_front_figure_no_trials_at_all_says_so():
    assert front_figure(to_frame([])).to_dict()["title"]["subtitle"] == ["0 trials"]
    assert hypervolume_figure(to_frame([])).to_dict()["title"]["subtitle"][0] == "0 trials"


def test_front_figure_table_of_another_tool_is_drawn():
    frame = pd.DataFrame({"error": [0.2, 0.1], "flops": [10, 20]})
    chart = front_figure(frame, objectives={"error": "minimize", "flops": "minimize"}).to_dict()
    assert chart["title"]["text"] == "Error against flops"


def test_front_figure_unknown_objective_is_an_error():
    with pytest.raises(ObjectiveError, match="latency is not a column"):
        front_figure(trials(2), objectives={"accuracy": "maximize", "latency": "minimize"})


def test_hypervolume_figure_has_the_rises_and_both_ends():
    frame = some([0.5, 0.4, 0.6, 0.6, 0.1], [100, 200, 100, 100, 900])
    rows = hypervolume_figure(frame).to_dict()["datasets"]["curve"]
    assert [row["completed"] for row in rows] == [1, 3, 5]
    assert [row["hypervolume"] for row in rows] == pytest.approx([0.5 * 7 / 9, 0.6 * 7 / 9, 0.6 * 7 / 9])


def test_hypervolume_figure_over_hours_counts_what_failed():
    frame = some([0.5, 0.4, 0.6], [100, 200, 100]).assign(number=[0, 1, 2], wall_s=1800.0)
    frame["state"] = ["completed", "failed", "completed"]
    rows = hypervolume_figure(frame, over="hours").to_dict()["datasets"]["curve"]
    assert [row["hours"] for row in rows] == [0.5, 1.5]
    with pytest.raises(ResultsError, match="trials, hours, got 'days'"):
        hypervolume_figure(frame, over="days")
