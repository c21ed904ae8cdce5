import math

import numpy as np
import pandas as pd
import pytest

from results.report.cells import cell, cost_of, failures
from results.runs import Run, to_curves, to_frame

ROWS = [
    {"number": 2, "state": "failed", "wall_s": 600.0, "device": "GPU X", "error": "out of memory",
     "started_at": "2026-03-01T11:00:00+01:00"},
    {"number": 0, "state": "completed", "wall_s": 1800.0, "device": "cpu", "started_at": "2026-03-01T10:30:00Z"},
    {"number": 1, "state": "completed", "wall_s": 1200.0, "device": "GPU X", "started_at": "2026-03-01T10:00:00Z"},
    {"number": 3, "state": "failed", "error": ""},
    {"number": 9, "state": "failed", "error": "out of memory"},
]  # fmt: skip


def test_cost_adds_up_trials_and_spans_from_first_start_to_last_end(tmp_path):
    cost = cost_of("search", Run(tmp_path, to_frame(ROWS), to_curves([]), {}), gpus=0.5)
    assert cost.hours == pytest.approx(1.0)
    assert cost.gpu_hours == pytest.approx(0.5 * (600 + 1200) / 3600)
    assert cost.span == pytest.approx(1.0)  # from 10:00 to 11:00, both UTC
    assert {name: count for name, count in cost.states.items() if count} == {
        "completed": 2,
        "failed": 3,
    }
    assert cost.row()["trials"] == 5


def test_cost_of_no_trials_is_nothing(tmp_path):
    cost = cost_of("search", Run(tmp_path, to_frame([]), to_curves([]), {}))
    assert (cost.hours, cost.span, cost.gpu_hours, sum(cost.states.values())) == (0, 0, 0, 0)


def test_failures_are_counted_by_reason_most_first():
    rows = failures(to_frame(ROWS))
    assert rows.values.tolist() == [[2, "out of memory", "2, 9"], [1, "no reason was recorded", "3"]]
    assert failures(to_frame([])).empty
    many = to_frame({"number": n, "state": "failed", "error": "e"} for n in range(9))
    assert failures(many)["numbers"].tolist() == ["0, 1, 2, 3, 4, 5, 6, 7, ..."]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("accuracy", 0.9, "0.9000"),
        ("params", 59790, "59,790"),
        ("reference_params", 77754.4, "77,754"),
        ("number", 1234, "1234"),
        ("ratio", math.inf, "infinite"),
        ("ratio", -math.inf, "-infinite"),
        ("ratio", float("nan"), ""),
        ("seeds", pd.NA, ""),
        ("on_front", np.bool_(True), "yes"),
        ("p", 0.03125, "0.03125"),
        ("widths", "4-8-16", "4-8-16"),
    ],
)
def test_cell_is_what_a_reader_wants(name, value, expected):
    assert cell(name, value) == expected
