import math

import numpy as np
import pytest
import torch

from search.training.reports import LONGEST, WIDEST, Reports


def reports(**keys: object) -> Reports:
    return Reports("ev:f", 7, **{"later": False, "objectives": ("accuracy", "metric:error"), "taken": ("x",), **keys})


def test_a_number_is_the_accuracy_and_reports_are_counted():
    made = reports()
    assert made.add(0.5) == {"epoch": 1, "accuracy": 0.5, "seeds": [{"seed": 7, "epoch": 1, "accuracy": 0.5}]}
    assert made.add(torch.tensor(0.25)) == {
        "epoch": 2, "accuracy": 0.25, "seeds": [{"seed": 7, "epoch": 2, "accuracy": 0.25}],
    }  # fmt: skip
    assert made.last == {"accuracy": 0.25}


def test_any_names_have_their_column_and_what_is_no_number_is_not_in_the_curve():
    point = reports(later=True).add(
        {"error": np.float32(0.5), "x": 1, "state": 2, "epoch": 3, "note": "fine", "more": {"a": 1}, "nan": math.nan}
    )
    row = point.pop("seeds")[0]
    assert {**row, **point} == row
    assert math.isnan(row.pop("metric:nan" if "metric:nan" in row else "nan"))
    assert row == {
        "seed": 7, "epoch": 1, "metric:error": 0.5, "metric:x": 1.0, "metric:state": 2.0, "metric:epoch": 3.0,
    }  # fmt: skip


def test_the_latest_value_of_every_metric_counts():
    made = reports()
    made.add({"accuracy": 0.1, "note": "first"})
    made.add({"accuracy": 0.2, "loss": torch.tensor(3.0, requires_grad=True)})
    assert made.last == {"accuracy": 0.2, "note": "first", "loss": 3.0}
    assert type(made.last["loss"]) is float


def test_steps_are_as_they_are_told_and_must_grow():
    made = reports()
    assert [made.add(0.1, step)["epoch"] for step in (0, 100, np.int64(250))] == [0, 100, 250]
    assert made.add(0.2)["epoch"] == 251
    assert made.add(0.3, 251) is None
    assert made.add(0.3, 1.5) is made.add(0.3, "two") is made.add(0.3, -1) is made.add(0.3, math.nan) is None
    assert (made.step, made.last) == (251, {"accuracy": 0.3})
    assert [*made.notes][:2] == [
        "ev:f: steps must grow from report to report: step 251 came after 251",
        "ev:f: a step is a whole number of at least 0, got 1.5",
    ]


@pytest.mark.parametrize("value", [None, "high", [0.1, 0.2], object()])
def test_what_is_neither_number_nor_mapping_is_named_and_costs_nothing(value):
    made = reports()
    assert made.add(value) is None
    assert (made.step, made.last) == (0, None)
    assert [*made.notes] == [
        f"ev:f: a report is a number or a mapping of names to values, got a {type(value).__name__}"
    ]


def test_a_curve_has_a_limit_in_both_directions():
    made = reports()
    point = made.add({f"m{index}": index for index in range(WIDEST + 50)} | {"accuracy": 0.5})
    assert (len(point), point["accuracy"]) == (WIDEST + 3, 0.5)
    points = [made.add(0.5) for _ in range(LONGEST)]
    assert (points[-2]["epoch"], points[-1]) == (LONGEST, None)
    assert made.last["accuracy"] == 0.5
    assert len(made.notes) == 2
