import json

import pytest

from results.analyses.ablation import Ablation, ablation
from results.runs import to_frame
from results.tables.ablation import effects_latex, effects_markdown, effects_table, effects_text

BASE = [0.90, 0.91, 0.92, 0.90, 0.91, 0.92, 0.90, 0.91]


def cells(*more: tuple[list[float], dict]) -> Ablation:
    """A base of eight seeds with kernel 3 and mode a_b, and further cells."""
    rows = []
    for number, (values, levels) in enumerate([(BASE, {}), *more]):
        each = {f"factor: {name}": level for name, level in {"kernel": "3", "mode": "a_b", **levels}.items()}
        mean = sum(values) / len(values)
        rows.append({"number": number, "state": "completed", "accuracy": mean, "accuracies": json.dumps(values),
                     "params": 1000 - 100 * number, "seeds": len(values), **each})  # fmt: skip
    return ablation(to_frame(rows))


@pytest.fixture
def found() -> Ablation:
    worse = [value - 0.02 - 0.001 * (at % 3) for at, value in enumerate(BASE)]
    same = [value + 0.001 * (-1) ** at for at, value in enumerate(BASE)]
    return cells((worse, {"kernel": "1"}), (same, {"mode": "c|d"}))


def test_effects_as_texts_have_points_sign_and_verdict(found):
    effects, both = effects_text(found)
    first = effects.iloc[0]
    assert (first["change"], first["seeds"], first["params"]) == ("kernel 1 for 3", "8", "\N{MINUS SIGN}100")
    expected = 100 * sum(-0.02 - 0.001 * (at % 3) for at in range(8)) / 8
    assert first["points"] == f"{expected:+.2f}".replace("-", "\N{MINUS SIGN}")
    assert first["p (adjusted)"] == f"{2 / 2**8:.2g}"
    assert effects["verdict"].iloc[0] == "worse"
    assert effects["points"].iloc[1] == "+0.00"  # no minus before a zero
    assert both.empty


def test_effects_in_the_terminal_are_a_row_a_change(found):
    table = effects_table(found)
    assert table.row_count == 2
    assert [column.header for column in table.columns][:2] == ["change", "points"]


def test_effects_as_markdown_are_a_whole_table_and_the_sentences(found):
    lines = effects_markdown(found).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines[:4]} == {len(effects_text(found)[0].columns) + 1}
    assert "c\\|d for a_b" in lines[3]
    assert all(f"- {text}" in lines for text in found.sentences)


def test_effects_as_latex_are_booktabs_with_everything_escaped(found):
    text = effects_latex(found, caption="50 % of a_b")
    for words in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{50 \% of a\_b}", r"a\_b", r"95\% interval",
                  r"\begin{tabular}{lrrrrrrl}", "$-$2.09"):  # fmt: skip
        assert words in text
    assert "\N{MINUS SIGN}" not in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1


def test_interactions_have_a_table_of_their_own():
    two = cells(
        ([value - 0.02 for value in BASE], {"kernel": "1"}),
        ([value + 0.01 for value in BASE], {"mode": "x"}),
        ([value - 0.05 for value in BASE], {"kernel": "1", "mode": "x"}),
    )
    both = effects_text(two)[1]
    assert both["change"].tolist() == ["kernel and mode: 1 x x"]
    assert both["points"].tolist() == ["\N{MINUS SIGN}4.00"]
    assert effects_latex(two).count(r"\begin{table}") == 2
    assert effects_table(two).row_count == 3


def test_intervals_without_end_say_so():
    one = cells(([0.8] * 8, {"kernel": "1"}))
    single = ablation(to_frame([
        {"number": n, "state": "completed", "accuracy": a, "accuracies": f"[{a}]", "factor: k": str(n)}
        for n, a in enumerate([0.9, 0.8])]))  # fmt: skip
    assert effects_text(single)[0].iloc[0, 2] == "infinite to infinite"
    assert len(effects_text(one)[0]) == 1


def test_no_effect_is_no_table_but_a_sentence():
    alone = cells()
    assert effects_latex(alone) == ""
    assert effects_markdown(alone).startswith("- No cell but the base has a result.")
    assert effects_table(alone).row_count == 0
