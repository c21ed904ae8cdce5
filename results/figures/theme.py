"""What all figures have in common: colours, axes, tooltips, size and type, and saving.

Colours are those of Okabe and Ito (2008), for the less common activations those of Paul Tol's muted scheme: both are
made for colour-blind readers. An activation has the same colour in every figure.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import altair as alt
import numpy as np
import pandas as pd

from results.files import known_suffix, replace_file
from results.names import plain_name
from results.text import readable
from results.user_view import shown_names

__all__ = [
    "COLOURS",
    "COUNTS",
    "FAINT",
    "FORMATS",
    "FURTHER",
    "HEIGHT",
    "INK",
    "WIDTH",
    "Axis",
    "activation_colours",
    "channel",
    "check_format",
    "column_title",
    "cost_axis",
    "dress",
    "json_rows",
    "nothing",
    "plane",
    "round_ticks",
    "save",
    "series_colours",
    "tooltips",
]

Drawing = TypeVar("Drawing", alt.LayerChart, alt.HConcatChart, alt.VConcatChart, alt.FacetChart)

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "leni": "#D55E00", "relu": "#8C8C8C", "prelu": "#0072B2", "frelu": "#009E73", "crelu": "#56B4E9",
        "acon_c": "#CC79A7", "dynamic_relu": "#E69F00", "meta_acon": "#AA4499", "relu6": "#B8B8B8",
        "leaky_relu": "#332288", "elu": "#117733", "selu": "#44AA99", "gelu": "#882255", "silu": "#999933",
        "mish": "#CC6677", "hardswish": "#DDCC77", "rrelu": "#6699CC", "pelu": "#661100", "srelu": "#88CCEE",
    }
)  # fmt: skip
"""Activation -> colour: ReLU grey, LENI the strongest."""

FURTHER = ("#332288", "#117733", "#44AA99", "#882255", "#999933", "#CC6677", "#DDCC77", "#661100", "#6699CC")
"""Colours of what has none of its own."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "validation accuracy",
        "params": "parameters",
        "macs": "multiply-adds a sample",
        "wall_s": "wall time of a trial (s)",
        "number": "trial",
        "hours": "hours of all trials",
        "completed": "completed trials",
    }
)

COUNTS = frozenset({"params", "macs", "number"})
"""Columns of whole numbers."""

WIDTH, HEIGHT = 560, 360
"""Of a plot, in pixels, without axes and legend."""

INK, FAINT = "#333333", 0.35
"""The colour of what is neither activation nor network, and the opacity of what stands behind."""

FORMATS = (".html", ".pdf", ".png", ".svg")
"""Suffixes that a figure can be saved with."""


@dataclass(frozen=True)
class Axis:
    """One axis: its column, title, end points, and ticks where they are not Vega's own."""

    column: str
    title: str
    low: float
    high: float
    log: bool
    ticks: tuple[float, ...] | None = None

    @property
    def number_format(self) -> str:
        """For the ticks, in d3's notation."""
        if self.column == "accuracy" and self.high <= 1.5:  # an evaluator's may be in points
            return "%"
        return "~s" if self.log or self.column in COUNTS else "~g"


def activation_colours(names: Iterable[str]) -> dict[str, str]:
    """Colours of some activations, in order of name.

    A known name always has its own colour. Another one takes a colour from its spelling, and the next one if another
    activation of this figure has that already, while there are any.

    Args:
        names: activations, each as often as you like.

    Returns:
        Name -> colour as #RRGGBB.
    """
    present = sorted(set(names))
    colours = {name: COLOURS[name] for name in present if name in COLOURS}
    for name in present:
        if name not in colours:
            start = zlib.crc32(name.encode())
            wheel = [FURTHER[(start + step) % len(FURTHER)] for step in range(len(FURTHER))]
            colours[name] = next((colour for colour in wheel if colour not in colours.values()), wheel[0])
    return {name: colours[name] for name in present}


def series_colours(names: Iterable[str]) -> dict[str, str]:
    """Colours of things that are not activations, such as runs, in the order given; beyond six they come again."""
    palette = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
    return {name: palette[at % len(palette)] for at, name in enumerate(dict.fromkeys(names))}


def check_format(path: str | Path) -> str:
    """The suffix of a file that a figure can be saved to, in lower case; so that nobody waits for one that cannot.

    Raises:
        ResultsError: the suffix is another one.
    """
    return known_suffix(path, FORMATS, "a figure")


def save(chart: alt.TopLevelMixin, path: str | Path) -> None:
    """Write a chart; the suffix says how: .html (one page that needs no network), .png (twice the size), .svg, .pdf.

    Args:
        chart: any Altair chart.
        path: the file; what was there stays until the new one is complete.

    Raises:
        ResultsError: the suffix is another one.
        OSError: the file cannot be written.
    """
    suffix = check_format(path)
    stream: Any = io.StringIO() if suffix in (".html", ".svg") else io.BytesIO()
    options: dict[str, dict[str, Any]] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    chart.save(stream, format=cast(Any, suffix[1:]), **options.get(suffix, {}))
    content = stream.getvalue()
    replace_file(path, content.encode() if isinstance(content, str) else content)


def cost_axis(points: pd.DataFrame, column: str) -> Axis:
    """The horizontal axis: logarithmic for costs that spread, ticks at 1, 2 and 5."""
    if points.empty:
        return Axis(column, column_title(column), 1.0, 10.0, log=False)
    low, high = float(points["x"].min()), float(points["x"].max())
    if low > 0 and column != "number" and (column in COUNTS or high >= 10 * low):
        margin = max((high / low) ** 0.04, 1.05) if high > low else 3.0
        low, high = low / margin, high * margin
        return Axis(column, column_title(column), low, high, log=True, ticks=round_ticks(low, high))
    margin = 0.04 * (high - low) or 0.5
    return Axis(column, column_title(column), low - margin, high + margin, log=False)


def round_ticks(low: float, high: float) -> tuple[float, ...] | None:
    """Ticks between two positive numbers, of a logarithmic axis.

    1, 2, 5 times powers of ten, or powers alone over many decades. Where fewer than three of them lie within, multiples
    of one such number, three to seven of them: Vega's own ticks lose their labels on so narrow a range. None where
    the two numbers are one.
    """
    if not low < high:
        return None
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 10**4.5 else (1,)
    ticks = tuple(step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high)
    return ticks if len(ticks) > 2 else _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten: of the widest such step that leaves at least three of them."""
    step = 10.0 ** math.ceil(math.log10(high - low))
    for factor in itertools.cycle((2.0, 2.5, 2.0)):  # 10, 5, 2, 1
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first >= 2:
            return tuple(step * count for count in range(first, last + 1))
        step /= factor
    raise AssertionError("steps go to zero")  # pragma: no cover


def channel(kind: Any, field: str, axis: Axis) -> Any:
    """A position channel, alt.X or alt.Y, of one axis."""
    scale = alt.Scale(type="log" if axis.log else "linear", domain=[axis.low, axis.high], nice=False, zero=False)
    ticks = alt.Undefined if axis.ticks is None else list(axis.ticks)
    drawn = alt.Axis(format=axis.number_format, values=ticks, labelOverlap="greedy")
    return kind(f"{field}:Q", title=axis.title, scale=scale, axis=drawn)


def column_title(column: str) -> str:
    """A column's name in a figure."""
    return TITLES.get(column, readable(plain_name(column)))


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as JSON has it: a missing value is null, a whole number whole."""
    columns = {str(name): [_json(value) for value in frame[name].astype(object)] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _json(value: Any) -> Any:
    """A value that JSON has."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain is pd.NA or plain is pd.NaT or (isinstance(plain, float) and not math.isfinite(plain)):
        return None
    return plain if isinstance(plain, (bool, int, float, str)) else str(plain)


def tooltips(columns: Iterable[str]) -> list[alt.Tooltip]:
    """A line for each column, counts with thousands separated."""
    # A dot or a bracket in a field's name would reach into an object.
    fields = {name: re.sub(r"([\\.\[\]])", r"\\\1", name) for name in columns}
    titles = shown_names(fields)
    return [
        alt.Tooltip(field=field, title=titles[name], type="quantitative", format=",")
        if name in COUNTS
        else alt.Tooltip(field=field, title=titles[name], type="nominal")
        for name, field in fields.items()
    ]


def plane(layers: list[alt.Chart], *, width: int = WIDTH, height: int = HEIGHT) -> alt.LayerChart:
    """The layers over one another, in the size common to all figures."""
    return alt.LayerChart(layer=layers, width=width, height=height)


def nothing(sentence: str, title: str, notes: list[str]) -> alt.LayerChart:
    """A chart that has nothing to show and says so."""
    text = alt.Chart(alt.NamedData("nothing")).mark_text(text=sentence, fontSize=14, color=INK)
    return dress(plane([text]), title, notes, nothing=pd.DataFrame({"is": [1]}))


def dress(chart: Drawing, title: str, notes: list[str], **data: pd.DataFrame) -> Drawing:
    """A chart, or several in one, with the title and type common to all figures, and the data that it names."""
    heading = alt.Title(title, subtitle=notes, anchor="start", fontSize=15, subtitleFontSize=11, offset=12,
                        subtitleColor="#555555")  # fmt: skip
    dressed: Drawing = (
        chart.properties(title=heading)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", gridColor="#E8E8E8", titlePadding=8
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", orient="right")
    )
    # By name and set last: Altair takes 5,000 inline rows at most, and would check each of them at every step above.
    dressed.datasets = {name: json_rows(frame) for name, frame in data.items()}
    return dressed
