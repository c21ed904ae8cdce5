import re
from xml.etree import ElementTree

import altair as alt
import pandas as pd
import pytest

from results.figures.front import front_figure
from results.figures.inline import NARROW, WIDE, inline, words


@pytest.fixture
def chart() -> alt.LayerChart:
    frame = pd.DataFrame({"state": "completed", "accuracy": [0.7, 0.9, 0.8], "params": [10, 200, 50]})
    return front_figure(frame, title="Mine", subtitle="ours")


def ids(svg: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', svg))


def plot_width(svg: str) -> float:
    """Of the rectangle that the marks are cut off at."""
    return max(float(w) for w in re.findall(r'<clipPath[^>]*><rect x="0" y="0" width="([\d.]+)"', svg))


def test_inline_is_whole_svg_without_title_script_or_address(chart):
    found = inline(chart, name="a")
    for svg in (found.wide, found.narrow):
        ElementTree.fromstring(svg)
        assert "Mine" not in svg
        assert not re.search(r"<script|https?://(?!www\.w3\.org)|@import|<image", svg)
    assert found.title[:2] == ("Mine", "ours")


def test_inline_ids_differ_between_figures_and_widths_and_are_what_is_referred_to(chart):
    one, two = inline(chart, name="a"), inline(chart, name="b")
    every = [ids(svg) for svg in (one.wide, one.narrow, two.wide, two.narrow)]
    assert all(every)
    assert len(set.union(*every)) == sum(map(len, every))
    assert set(re.findall(r"url\(#([^)]+)\)", one.wide)) <= ids(one.wide)


def test_inline_is_drawn_for_a_desk_and_for_a_phone(chart):
    found = inline(chart, name="a")
    assert (plot_width(found.wide), plot_width(found.narrow)) == (WIDE, NARROW)


def test_inline_takes_a_mapping_and_leaves_it_as_it_is(chart):
    spec = chart.to_dict()
    before = repr(spec)
    assert inline(spec, name="a").wide == inline(chart, name="a").wide
    assert repr(spec) == before


def test_inline_of_several_charts_in_one_has_no_narrow_form(chart):
    plain = alt.Chart(pd.DataFrame({"x": [1], "y": [2]})).mark_point().encode(x="x", y="y")
    assert inline(alt.hconcat(plain, plain), name="a").narrow == ""


@pytest.mark.parametrize(
    ("title", "expected"),
    [(None, ()), ("t", ("t",)), ({"text": ["t", "u"], "subtitle": "v"}, ("t", "u", "v")), ({"text": ""}, ())],
)
def test_words_are_those_of_the_title(title, expected):
    assert words(title) == expected
