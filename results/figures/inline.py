"""A chart as SVG inside a page: no script, no request, and colours that the page can turn dark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import altair as alt
import vl_convert

__all__ = ["Inline", "inline", "words"]

VERSION = "_".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
WIDE, NARROW, ONE_COLUMN = 620, 270, 420  # pixels: of a plot on a desk, on a phone; the widest that is not cut in two


class Inline:
    """A chart for a page.

    Attributes:
        title: the chart's own title and subtitle, in one list of sentences.
        wide: SVG for a wide window.
        narrow: SVG for a phone; empty where the chart has parts that cannot be made narrower, and `wide` has to scroll.
    """

    def __init__(self, title: tuple[str, ...], wide: str, narrow: str) -> None:
        self.title, self.wide, self.narrow = title, wide, narrow


def inline(chart: Any, *, name: str) -> Inline:
    """A chart as SVG, twice: for a wide window and for a phone.

    Args:
        chart: any Altair chart, or its Vega-Lite form as a mapping.
        name: different for every chart of a page; ids inside the SVG begin with it.
    """
    spec = deepcopy(dict(chart)) if isinstance(chart, Mapping) else chart.to_dict()
    title = words(spec.pop("title", None))
    single = isinstance(spec.get("width"), (int, float))
    wide = _svg(spec, WIDE if single else None, f"{name}-wide")
    return Inline(title, wide, _svg(spec, NARROW, f"{name}-narrow") if single else "")


def words(title: Any) -> tuple[str, ...]:
    """The sentences of a Vega-Lite title."""
    if title is None:
        return ()
    if not isinstance(title, Mapping):
        title = {"text": title}
    found: list[str] = []
    for part in (title.get("text"), title.get("subtitle")):
        found += [str(text) for text in (part if isinstance(part, list) else [part]) if text]
    return tuple(found)


def _svg(spec: Mapping[str, Any], width: int | None, name: str) -> str:
    drawn = deepcopy(dict(spec))
    drawn["background"] = None
    config = drawn.setdefault("config", {})
    config["font"] = "system-ui, sans-serif"
    if width is not None:
        drawn["width"] = width
    if width is not None and width < ONE_COLUMN:
        drawn["height"] = min(drawn.get("height", width), width)
        config["legend"] = {**config.get("legend", {}), "orient": "bottom", "direction": "vertical", "columns": 2}
        config["axisX"] = {**config.get("axisX", {}), "labelOverlap": "greedy", "tickCount": 4}
    return _renamed(vl_convert.vegalite_to_svg(drawn, vl_version=VERSION), name)


def _renamed(text: str, name: str) -> str:
    """The ids counted anew, as a process counts its charts; each begins with the figure's name."""
    new: dict[str, str] = {}
    for old in re.findall(r'\bid="([^"]+)"', text):
        new.setdefault(old, f"{name}-{len(new)}")

    def replace(found: re.Match[str]) -> str:
        return f"{found[1]}{new.get(found[2], found[2])}{found[3]}"

    return re.sub(r'(\bid="|url\(#|href="#)([^")]+)([")])', replace, text)
