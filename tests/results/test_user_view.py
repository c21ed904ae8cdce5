import pandas as pd
import pytest

from results import front_columns, front_table, to_frame
from results.names import column_called
from results.user_view import is_evaluators, shown_names, user_view

OBJECTIVES = ("metric:error", "size")
ROWS = [
    {
        "number": number, "state": "completed", "error": "", "metric:error": 0.5 - number / 10, "size": 10 + number,
        "param:number": 7, "param:size": "big", "depth": 3, "accuracy": 0.25, "param:accuracy": 2.0, "metric:wall_s": 1,
        "wall_s": 0.5, "epochs": 0, "never": None, "loss\x1b[31m": 1.5,
    }
    for number in (4, 0, 2)
]  # fmt: skip


def test_evaluators_records_have_the_users_names_and_nothing_empty():
    view = user_view(to_frame(ROWS), objectives=OBJECTIVES)
    assert list(view.columns) == [
        "trial:number", "error", "size", "number", "param:size", "depth", "param:accuracy", "wall_s", "loss\x1b[31m",
        "accuracy", "trial:wall_s",
    ]  # fmt: skip
    assert not view.isna().all().any()
    assert view["error"].tolist() == pytest.approx([0.1, 0.5, 0.3])
    assert view["number"].tolist() == [7, 7, 7]
    assert view["trial:number"].tolist() == [4, 0, 2]


def test_records_of_networks_and_no_records_are_shown_as_they_are():
    networks = to_frame([{"number": 0, "state": "completed", "activation": "leni", "accuracy": 0.5}])
    assert user_view(networks) is networks
    assert not is_evaluators(to_frame([]))


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["param:size", "size"], {"size": "size", "param:size": "param:size"}),
        (
            ["param:epochs", "metric:epochs", "epochs"],
            {"metric:epochs": "epochs", "param:epochs": "param:epochs", "epochs": "trial:epochs"},
        ),
        (
            ["param:param:size", "param:size", "size"],
            {"size": "size", "param:param:size": "param:size", "param:size": "param:param:size"},
        ),
    ],
)
def test_no_two_columns_are_shown_alike(columns, names):
    assert shown_names(columns) == names


def test_front_table_and_latex_have_objectives_and_parameters():
    front = to_frame(ROWS)
    table = front_table(front, objectives=OBJECTIVES)
    headers = [str(column.header) for column in table.columns]
    assert headers[:4] == ["trial:number", "error", "size", "number"]
    assert "loss" in headers
    assert len(headers) == 10
    assert list(front_columns(front, objectives=OBJECTIVES).columns)[1:3] == ["error", "size"]


def test_a_users_name_means_the_objective_before_a_column_of_ours():
    columns = [*to_frame(ROWS).columns]
    assert column_called("error", columns, OBJECTIVES) == "metric:error"
    assert column_called("size", columns, OBJECTIVES) == "size"
    assert column_called("number", columns) == "param:number"
    assert column_called("params", columns) == "params"
    assert column_called("nothing", columns) == "nothing"


def test_view_is_a_frame_that_can_be_saved(tmp_path):
    user_view(to_frame(ROWS), objectives=OBJECTIVES).to_parquet(tmp_path / "front.parquet")
    assert len(pd.read_parquet(tmp_path / "front.parquet").columns) == 11
