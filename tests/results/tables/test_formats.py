import csv
import io
import json

import pandas as pd
import pytest
from rich.console import Console

from results.errors import ResultsError
from results.runs import to_frame
from results.tables.formats import front_columns, front_table, save_table, to_csv, to_json, to_latex

ROWS = [
    {"number": 12, "state": "completed", "activation": "leni", "placement": "stage1+stage2", "widths": "4-8-16",
     "accuracy": 0.1 + 0.2, "accuracy_std": 1 / 3, "params": 2**53 + 1, "macs": 1_234_567, "kernel_size": 3,
     "lr_factor": 0.5, "seeds": 3, "device": "cpu", "wall_s": 1.0, "error": 'a "quoted", word',
     "started_at": "2026-03-01T10:00:00.250Z"},
    {"number": 4, "state": "completed", "activation": "relu", "placement": "all", "widths": "6-12-24",
     "accuracy": 0.9, "params": 7000, "macs": None, "lr_factor": 2.0, "seeds": 3, "device": "cpu", "wall_s": 3.0},
]  # fmt: skip


def printed(frame, width=200, **how):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(front_table(frame, **how))
    return console.file.getvalue()


def test_front_table_shows_fields_that_differ_and_no_others():
    text = printed(to_frame(ROWS))
    header, _, first, second = [line for line in text.splitlines() if line.strip()]
    assert header.split() == ["number", "accuracy", "params", "macs", "activation", "placement", "widths", "and"]
    assert first.split()[:4] == ["12", "0.3000", "±", "0.3333"]
    assert "9,007,199,254,740,993" in first
    assert "1.235M" in first
    assert "lr_factor=0.5" in first
    assert second.split() == ["4", "0.9000", "7,000", "relu", "all", "6-12-24", "lr_factor=2"]
    assert "kernel_size" not in text  # one network has none, the other cannot differ from it


def test_front_table_shows_a_score_where_it_is_an_objective_and_nowhere_else():
    frame = to_frame([{**row, "macro_f1": 0.5 + i / 8, "validation_loss": 2.0 + i} for i, row in enumerate(ROWS)])
    assert "macro_f1" not in printed(frame)
    text = printed(frame, objectives=["params", "macro_f1"])
    header, *_, second = [line for line in text.splitlines() if line.strip()]
    assert header.split()[-2:] == ["macro_f1", "and"]
    assert "0.625" in second
    assert "validation_loss" not in text


def test_front_table_one_row_has_no_column_of_differences():
    assert " and" not in printed(to_frame(ROWS[:1]))


def test_front_table_other_objective_is_shown():
    assert "latency=1.5" in printed(to_frame([{**ROWS[0], "latency": 1.5}, {**ROWS[1], "latency": 2.5}]))


def test_front_table_narrow_terminal_keeps_numbers_whole():
    text = printed(to_frame(ROWS), width=90)
    assert "9,007,199,254,740,993" in text
    assert "0.3000 ± 0.3333" in text


def test_front_table_text_in_brackets_is_not_markup():
    assert "[red]" in printed(to_frame([{**ROWS[0], "placement": "[red]"}]))


def test_front_table_empty_front_has_no_rows():
    assert front_table(to_frame([])).row_count == 0


def test_to_csv_read_back_gives_equal_values():
    first, second = csv.DictReader(io.StringIO(to_csv(to_frame(ROWS))))
    for name in ("accuracy", "accuracy_std", "lr_factor", "wall_s"):
        assert float(first[name]) == ROWS[0][name]
    for name in ("number", "params", "macs", "kernel_size"):
        assert first[name] == str(ROWS[0][name])
    assert first["error"] == 'a "quoted", word'
    assert pd.Timestamp(first["started_at"]) == pd.Timestamp(ROWS[0]["started_at"])
    assert (second["macs"], second["accuracy_std"], second["started_at"], second["error"]) == ("", "", "", "")


def test_to_json_read_back_gives_equal_values():
    first, second = json.loads(to_json(to_frame([{**ROWS[0], "decay": True}, ROWS[1]])))
    assert first["accuracy"] == 0.1 + 0.2
    assert first["params"] == 2**53 + 1
    assert first["decay"] is True
    assert first["started_at"] == "2026-03-01T10:00:00.250000+00:00"
    assert first["error"] == 'a "quoted", word'
    assert second["macs"] is None
    assert second["started_at"] is None
    assert list(first) == list(to_frame([]).columns)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_to_json_value_that_json_lacks_is_null(value):
    assert json.loads(to_json(pd.DataFrame({"a": [value, 1.5], "n": [1, 2]}))) == [
        {"a": None, "n": 1},
        {"a": 1.5, "n": 2},
    ]


def test_to_json_no_rows_is_an_empty_array():
    assert json.loads(to_json(to_frame([]))) == []


def test_to_csv_no_rows_is_a_header():
    assert to_csv(pd.DataFrame({"a": [], "b": []})) == "a,b\n"


def test_to_latex_is_booktabs_with_every_special_letter_escaped():
    frame = to_frame(ROWS)[["number", "accuracy", "accuracy_std", "params", "placement"]]
    frame["placement"] = ["stem_&_50%", "all"]
    lines = to_latex(frame, caption="A_b", label="tab:front").splitlines()
    assert "\\toprule" in lines
    assert "\\caption{A\\_b}" in lines
    assert "\\begin{tabular}{rrrl}" in lines
    cells = [line.removesuffix(" \\\\").split(" & ") for line in lines if line.startswith(("12", "4"))]
    assert cells == [["12", "0.3000 $\\pm$ 0.3333", "9,007,199,254,740,993", "stem\\_\\&\\_50\\%"],
                     ["4", "0.9000", "7,000", "all"]]  # fmt: skip


def test_save_table_gives_back_what_was_saved(tmp_path):
    frame = to_frame(ROWS)
    for suffix in (".csv", ".json", ".parquet", ".tex"):
        save_table(frame, tmp_path / f"front{suffix}")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "front.parquet"), frame)
    assert [row["params"] for row in json.loads((tmp_path / "front.json").read_text())] == [2**53 + 1, 7000]
    assert (tmp_path / "front.csv").read_text() == to_csv(frame)
    assert "\\bottomrule" in (tmp_path / "front.tex").read_text()
    assert len(list(tmp_path.iterdir())) == 4


def test_save_table_mistakes_are_said_in_a_sentence(tmp_path):
    with pytest.raises(ResultsError, match=r"\.csv, \.json, \.parquet, \.tex, got front\.xlsx"):
        save_table(to_frame(ROWS), tmp_path / "front.xlsx")
    with pytest.raises(ResultsError, match="cannot be written: No such file"):
        save_table(to_frame(ROWS), tmp_path / "none" / "front.csv")


def test_front_columns_are_those_that_have_a_value():
    frame = to_frame(ROWS).assign(probability=0.5, macs=pd.array([None, None], dtype="Int64"))
    names = ["number", "accuracy", "accuracy_std", "probability", "params", "activation", "placement", "widths"]
    assert front_columns(frame).columns.tolist() == names
    assert front_columns(pd.DataFrame({"loss": [0.1], "state": ["completed"]})).columns.tolist() == ["loss"]
