"""What a notebook shows: escaped, whole, and without a script."""

import pandas as pd

from results.analyses.ablation import ablation
from results.figures.front import front_figure
from results.notebook import ROWS, notebook_html


def test_sentences_and_cells_are_escaped_and_missing_values_are_empty():
    table = pd.DataFrame({"name": ["<b>", None], "params": pd.array([None, 7], dtype="Int64")})
    page = notebook_html(["a < b"], [table, table.iloc[:0]])
    assert "<p>a &lt; b</p>" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<table") == 1
    assert "NA" not in page


def test_figures_of_one_page_have_ids_of_their_own():
    chart = front_figure(pd.DataFrame({"accuracy": [0.5, 0.6], "params": [1, 2]}))
    first, second = (notebook_html([], [], chart) for _ in range(2))
    assert "<svg" in first
    assert "<script" not in first
    assert first != second


def test_long_tables_are_cut():
    page = notebook_html([], [pd.DataFrame({"number": range(10 * ROWS)})])
    assert page.count("<tr") < 2 * ROWS


def test_an_ablation_shows_table_and_figure():
    cells = pd.DataFrame({
        "factor: norm": ["none", "batch"], "accuracy": [0.9, 0.8], "accuracies": ["[0.9, 0.91]", "[0.8, 0.79]"]
    })  # fmt: skip
    page = ablation(cells)._repr_html_()
    assert "<table" in page
    assert "<svg" in page
