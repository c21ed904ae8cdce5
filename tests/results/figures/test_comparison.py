"""The figure of a comparison holds what the comparison found."""

import pandas as pd
import pytest

from results.analyses.comparison import compare
from results.figures import save


def side(*levels, **columns):
    return [pd.DataFrame({"number": [0, 1], "accuracy": [level, level + 0.1], "params": [100, 900], **columns})
            for level in levels]  # fmt: skip


def test_figure_has_surfaces_and_growth_over_trials_and_hours(tmp_path):
    found = compare({"a": side(0.5, 0.6, wall_s=60.0), "b": side(0.4, 0.7, wall_s=60.0)})
    drawn = found.figure().to_dict()
    assert {row["name"] for row in drawn["datasets"]["surfaces"]} == {"a", "b"}
    assert {row["over"] for row in drawn["datasets"]["growth"]} == {"trials", "hours"}
    assert len(drawn["vconcat"][1]["hconcat"]) == 2
    save(found.figure(), tmp_path / "runs.png")
    assert (tmp_path / "runs.png").stat().st_size > 10_000


@pytest.mark.parametrize(("repeats", "words"), [(1, "no bands"), (3, "of a side's runs attain")])
def test_figure_says_what_its_bands_are(repeats, words):
    found = compare({"a": side(0.5) * repeats, "b": side(0.6) * repeats})
    assert words in found.figure().to_dict()["title"]["subtitle"][0]
    assert "<svg" in found._repr_html_()
