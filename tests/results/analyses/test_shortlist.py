"""Shortlists by hand."""

import pandas as pd
import pytest

from results.analyses.shortlist import shortlist
from results.errors import ObjectiveError, ResultsError


def table():
    return pd.DataFrame({
        "number": range(6), "accuracy": [0.80, 0.90, 0.93, 0.935, 0.936, 0.5],
        "params": [1_000, 3_000, 10_000, 60_000, 200_000, 150_000],
    })  # fmt: skip


def test_shortlist_answers_each_option():
    assert shortlist(table(), under=50_000)["number"].tolist() == [2]
    assert shortlist(table(), within=0.005)["number"].tolist() == [3]
    assert shortlist(table(), within=0.0)["number"].tolist() == [4]
    # By hand, (0.936 - accuracy) / 0.136 + log(params / 1000) / log(200): 1, 0.472, 0.479, 0.780, 1.
    assert shortlist(table(), knee=True)["number"].tolist() == [1]
    both = shortlist(table(), under={"params": 50_000}, within=0.05, knee=True)
    assert both["number"].tolist() == [1, 1]
    assert both["why"].tolist() == ["cheapest within 0.05 of the best, params at most 50,000",
                                    "knee, params at most 50,000"]  # fmt: skip


def test_shortlist_without_options_is_the_front_and_without_rows_is_empty():
    assert shortlist(table())["number"].tolist() == [0, 1, 2, 3, 4]
    assert shortlist(table(), under=10).empty
    assert shortlist(table().iloc[:0], knee=True).empty


def test_shortlist_mistakes_are_said_in_a_sentence():
    with pytest.raises(ResultsError, match="within must be at least 0"):
        shortlist(table(), within=-0.1)
    with pytest.raises(ObjectiveError, match="an objective and a cost"):
        shortlist(table(), objectives={"accuracy": "maximize"}, knee=True)
    with pytest.raises(ResultsError, match="must be a number, got nan"):
        shortlist(table(), under=float("nan"))
    with pytest.raises(ObjectiveError, match="latency_ms is not a column"):
        shortlist(table(), under={"latency_ms": 3.0})


def test_shortlist_under_a_column_that_is_no_objective_looks_beyond_the_front():
    records = table().assign(macs=[900, 800, 700, 100, 600, 50])
    assert shortlist(records, under={"macs": 60})["number"].tolist() == [5]
    turned = {"params": "minimize", "accuracy": "maximize"}
    assert shortlist(records, objectives=turned, under=50_000)["number"].tolist() == [2]
