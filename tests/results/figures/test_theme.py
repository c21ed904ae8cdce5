import re

import pandas as pd
import pytest

from results.errors import ResultsError
from results.figures import theme
from results.figures.front import front_figure
from results.figures.theme import COLOURS, activation_colours, check_format, save


@pytest.fixture
def chart():
    """A figure of twenty points."""
    frame = pd.DataFrame({"state": "completed", "accuracy": [n / 30 for n in range(20)], "params": range(1, 21)})
    return front_figure(frame)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (900.0, 23_000.0, (1e3, 2e3, 5e3, 1e4, 2e4)),
        (3.0, 2e6, (1e1, 1e2, 1e3, 1e4, 1e5, 1e6)),
        (1000.0, 1000.0, None),
        (21.0, 49.0, (25.0, 30.0, 35.0, 40.0, 45.0)),
        (900.0, 2_300.0, (1000.0, 1500.0, 2000.0)),
        (19_500.0, 20_500.0, (19_500.0, 20_000.0, 20_500.0)),
    ],
)
def test_ticks_are_at_one_two_five(low, high, expected):
    assert theme.round_ticks(low, high) == (None if expected is None else pytest.approx(expected))


def test_activation_colours_do_not_depend_on_company():
    alone = {name: activation_colours([name])[name] for name in [*COLOURS, "mine"]}
    assert activation_colours(["relu", "mine", "leni", "relu"]) == {n: alone[n] for n in ("leni", "mine", "relu")}
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_series_have_their_colours_by_order_and_begin_again_after_six():
    found = theme.series_colours(["tpe", "random", "tpe", *"abcde"])
    assert list(found) == ["tpe", "random", *"abcde"]
    assert len(set(found.values())) == 6
    assert found["e"] == found["tpe"]


def test_activation_colours_unknown_names_do_not_collide():
    names = [f"mine{n}" for n in range(6)] + ["leni", "gelu"]
    assert len(set(activation_colours(names).values())) == len(names)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_save_writes_the_format_of_the_suffix(tmp_path, chart, suffix, start):
    path = tmp_path / f"front.{suffix}"
    save(chart, path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_save_html_loads_nothing_from_the_network(tmp_path, chart):
    save(chart, tmp_path / "front.html")
    page = (tmp_path / "front.html").read_text()
    shell = re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    assert "<script" in shell
    assert not re.search(r"src=|href=|https?:|@import|url\(", shell)
    assert not re.search(r"import\(|importScripts", page)


@pytest.mark.parametrize("name", ["front.gif", "front", "front.json"])
def test_save_unknown_suffix_is_an_error(tmp_path, chart, name):
    with pytest.raises(ResultsError, match=r"\.html, \.pdf, \.png, \.svg, got front"):
        save(chart, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "suffix"), [("a.html", ".html"), ("b/c.d.PNG", ".png")])
def test_check_format_is_the_suffix_in_lower_case(name, suffix):
    assert check_format(name) == suffix
