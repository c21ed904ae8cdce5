"""Figures, each defined once: a frame is computed, then drawn by Altair, and saved as HTML, PNG, SVG or PDF.

    save(front_figure(run.trials, objectives=run.objectives), "front.html")

Colours are those of Okabe and Ito (2008), for the less common activations those of Paul Tol's muted scheme: both are
made for colour-blind readers. An activation has the same colour in every figure.
"""

from __future__ import annotations

import io
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import altair as alt
import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, check_objectives, completed, front, minimised
from results.indicators import Bounds, hypervolume_curve
from results.records import count_states, replace_file

__all__ = ["COLOURS", "activation_colours", "front_figure", "hypervolume_figure", "save"]

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "leni": "#D55E00", "relu": "#8C8C8C", "prelu": "#0072B2", "frelu": "#009E73", "crelu": "#56B4E9",
        "acon_c": "#CC79A7", "dynamic_relu": "#E69F00", "meta_acon": "#AA4499", "relu6": "#B8B8B8",
        "leaky_relu": "#332288", "elu": "#117733", "selu": "#44AA99", "gelu": "#882255", "silu": "#999933",
        "mish": "#CC6677", "hardswish": "#DDCC77", "rrelu": "#6699CC", "pelu": "#661100", "srelu": "#88CCEE",
    }
)  # fmt: skip
"""Activation -> colour: ReLU grey, LENI the strongest."""

_FURTHER = ("#332288", "#117733", "#44AA99", "#882255", "#999933", "#CC6677", "#DDCC77", "#661100", "#6699CC")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
_OTHER, _NONE = "others", "none"
_NOTHING = "No completed trial to draw."
_TITLES = MappingProxyType(
    {
        "accuracy": "validation accuracy",
        "params": "parameters",
        "macs": "multiply-adds a sample",
        "wall_s": "wall time of a trial (s)",
        "number": "trial",
    }
)
_DRAWN = frozenset({"x", "y", "y_low", "y_high", "on_front", "colour", "shape"})
_COUNTS = frozenset({"params", "macs", "number"})
_NOT_SHOWN = frozenset({"state", "error", "started_at", "device", "accuracy_std"})
_WIDTH, _HEIGHT = 560, 360
_INK, _FAINT = "#333333", 0.35
_MANY = 300  # trials from which only the front has error bars, and points are small
_FORMATS = (".html", ".pdf", ".png", ".svg")


@dataclass(frozen=True)
class _Axis:
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
        if self.column == "accuracy":
            return "%"
        return "~s" if self.log or self.column in _COUNTS else "~g"


@dataclass(frozen=True)
class _FrontInfo:
    """What the front figure draws; see `_front_info`."""

    points: pd.DataFrame
    steps: pd.DataFrame
    x: _Axis
    y: _Axis
    notes: tuple[str, ...]


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
            wheel = [_FURTHER[(start + step) % len(_FURTHER)] for step in range(len(_FURTHER))]
            colours[name] = next((colour for colour in wheel if colour not in colours.values()), wheel[0])
    return {name: colours[name] for name in present}


def front_figure(
    trials: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    title: str | None = None,
    subtitle: str | None = None,
) -> alt.LayerChart:
    """Every completed trial, the front among them, and the step line of what the front attains.

    Accuracy (else the first objective) is drawn against the first other objective, or against the trial's number if
    there is none. With more than two objectives the front is that of all of them, and no line is drawn. Error bars are
    one standard deviation over seeds each way, for the front alone if there are more than 300 trials. The vertical
    axis leaves out the worst trials where they would squeeze the front, never one of the front; the subtitle says how
    many, and how all trials ended. The tooltip has the candidate.

    Args:
        trials: records, as `results.load` gives them.
        objectives: column -> direction.
        title: None for one made of the objectives.
        subtitle: a line of your own above the counts.

    Returns:
        An Altair chart; a sentence instead of points if no trial has completed.

    Raises:
        ObjectiveError: the objectives are not valid, or a column is missing.
    """
    info = _front_info(trials, objectives)
    lines = [subtitle] if subtitle else []
    heading = title or f"{info.y.title[:1].upper()}{info.y.title[1:]} against {info.x.title}"
    if info.points.empty:
        return _nothing(heading, [*lines, *info.notes])
    return _draw_front(info, heading, [*lines, *info.notes])


def hypervolume_figure(
    trials: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
    title: str | None = None,
) -> alt.LayerChart:
    """Hypervolume against the number of completed trials.

    Args:
        trials: records, as `results.load` gives them.
        objectives: column -> direction.
        bounds: see `results.hypervolume_of`, which has the scale and the reference.
        title: None for "Hypervolume".

    Returns:
        An Altair chart; a sentence instead of a line if no trial has completed.

    Raises:
        ObjectiveError: as `results.hypervolume_of`.
    """
    curve = _changes(hypervolume_curve(trials, objectives=objectives, bounds=bounds))
    heading = title or "Hypervolume"
    notes = [count_states(trials), f"of {', '.join(objectives)} on a fixed scale, share of the unit cube"]
    if curve.empty:
        return _nothing(heading, notes)
    line = alt.Chart(alt.NamedData("curve")).mark_line(
        interpolate="step-after", color=COLOURS["leni"], point=alt.OverlayMarkDef(opacity=0, size=90)
    )
    encoded = line.encode(
        alt.X("completed:Q", title="completed trials", axis=alt.Axis(tickMinStep=1, format=",d")),
        alt.Y("hypervolume:Q", title="hypervolume", scale=alt.Scale(zero=False)),
        tooltip=[alt.Tooltip("completed:Q"), alt.Tooltip("number:Q"), alt.Tooltip("hypervolume:Q", format=".5f")],
    )
    return _dress([encoded], heading, notes, curve=curve)


def save(chart: alt.TopLevelMixin, path: str | Path) -> None:
    """Write a chart; the suffix says how: .html (one page that needs no network), .png (twice the size), .svg, .pdf.

    Args:
        chart: any Altair chart.
        path: the file; what was there stays until the new one is complete.

    Raises:
        ResultsError: the suffix is another one.
        OSError: the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ResultsError(f"a figure is saved as one of {', '.join(_FORMATS)}, got {Path(path).name}")
    stream: Any = io.StringIO() if suffix in (".html", ".svg") else io.BytesIO()
    options: dict[str, dict[str, Any]] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    chart.save(stream, format=cast(Any, suffix[1:]), **options.get(suffix, {}))
    content = stream.getvalue()
    replace_file(path, content.encode() if isinstance(content, str) else content)


def _front_info(trials: pd.DataFrame, objectives: Objectives) -> _FrontInfo:
    """The points, the step line, the axes and what must be said in words.

    points has x, y, on_front, y_low and y_high (missing without error bar), colour (an activation), shape (a
    placement), and the tooltip's columns; steps has x, y, order.
    """
    check_objectives(objectives)
    y_name = "accuracy" if "accuracy" in objectives else next(iter(objectives))
    x_name = next((name for name in objectives if name != y_name), "number")
    done = completed(trials).reset_index(drop=True)
    if x_name == "number" and "number" not in done.columns:
        done = done.assign(number=np.arange(len(done)))
    best = front(done, objectives=objectives)
    plane = minimised(done, {x_name: "minimize", y_name: "minimize"})
    points = _points(done, plane, best.index, y_name)
    drawable = points[np.isfinite(points["x"]) & np.isfinite(points["y"])]
    notes = [f"{count_states(trials)}; front of {len(best)}" if len(done) else count_states(trials)]
    if len(objectives) > 2:
        notes.append(f"front over {', '.join(objectives)}; no line, two of them are drawn")
    if lacking := len(points) - len(drawable):
        notes.append(f"{lacking:,} completed without a finite {y_name} and {x_name}, not drawn")
    maximise_y = minimised([[1.0]], {y_name: objectives[y_name]})[0, 0] < 0
    shown, y_axis = _zoom(drawable, y_name, maximise_y)
    if cut := len(drawable) - len(shown):
        limit = y_axis.low if maximise_y else y_axis.high
        words = f"{limit:.1%}" if y_name == "accuracy" else f"{limit:.4g}"
        notes.append(f"{cut:,} {'below' if maximise_y else 'above'} {words} not drawn")
    x_axis = _x_axis(shown, x_name)
    plane_objectives = {name: objectives.get(name, "minimize") for name in (x_name, y_name)}
    lined = shown if len(objectives) == 2 else shown.iloc[:0]
    steps = _steps(lined, x_axis, y_axis, plane_objectives)
    return _FrontInfo(shown, steps, x_axis, y_axis, tuple(notes))


def _points(done: pd.DataFrame, plane: np.ndarray, best: pd.Index, y_name: str) -> pd.DataFrame:
    """One row for each completed trial, with all that the marks and the tooltip need."""
    spread = np.full(len(done), np.nan)
    if y_name == "accuracy" and "accuracy_std" in done.columns:
        spread = minimised(done, {"accuracy_std": "minimize"})[:, 0]
        spread[~(spread > 0)] = np.nan
    points = done.drop(columns=[name for name in done.columns if name in _NOT_SHOWN or done[name].isna().all()])
    points = points.assign(
        x=plane[:, 0], y=plane[:, 1], y_low=plane[:, 1] - spread, y_high=plane[:, 1] + spread,
        on_front=done.index.isin(best), colour=_names(done, "activation"), shape=_common(_names(done, "placement")),
    )  # fmt: skip
    if y_name == "accuracy":
        points["accuracy ± std"] = [
            f"{y:.4f}" if math.isnan(std) else f"{y:.4f} ± {std:.4f}"
            for y, std in zip(plane[:, 1], spread, strict=True)
        ]
    return points


def _names(done: pd.DataFrame, column: str) -> list[str]:
    """A column of names, with a word for missing ones."""
    if column not in done.columns:
        return [_NONE] * len(done)
    return [str(name) for name in done[column].astype(object).where(done[column].notna(), _NONE)]


def _common(names: list[str]) -> list[str]:
    """The names, the rarest under one word where there are more of them than shapes."""
    counts = pd.Series(names, dtype=object).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    kept = set(counts.index if len(counts) <= len(_SHAPES) else counts.index[: len(_SHAPES) - 1])
    return [name if name in kept else _OTHER for name in names]


def _zoom(points: pd.DataFrame, column: str, maximise: bool) -> tuple[pd.DataFrame, _Axis]:
    """The points worth showing and the vertical axis for them.

    It leaves out points beyond Tukey's fence (one and a half interquartile ranges from the quartile) that are also
    worse than all of the front; none if the axis that shows everything is no more than half as long again.
    """
    if points.empty:
        return points, _Axis(column, _title(column), 0.0, 1.0, log=False)
    better = 1.0 if maximise else -1.0  # times y: the worst is the least
    ends = better * points[["y", "y_low", "y_high"]].to_numpy(dtype=float)
    y, on_front = ends[:, 0], points["on_front"].to_numpy(dtype=bool)
    lower, upper = np.quantile(y, [0.25, 0.75])
    kept = on_front | (y >= lower - 1.5 * (upper - lower))
    most, least, edge = np.nanmax(ends), np.nanmin(ends), np.nanmin(ends[kept | (y >= y[kept].min())])
    edge = least if most - least <= 1.5 * (most - edge) else edge
    margin = 0.04 * (most - edge) or 0.05 * abs(most) or 1.0
    limits = sorted((float(better * (edge - margin)), float(better * (most + margin))))
    return points[y >= edge - margin], _Axis(column, _title(column), limits[0], limits[1], log=False)


def _x_axis(points: pd.DataFrame, column: str) -> _Axis:
    """The horizontal axis: logarithmic for costs that spread, ticks at 1, 2 and 5."""
    if points.empty:
        return _Axis(column, _title(column), 1.0, 10.0, log=False)
    low, high = float(points["x"].min()), float(points["x"].max())
    if low > 0 and column != "number" and (column in _COUNTS or high >= 10 * low):
        margin = max((high / low) ** 0.04, 1.05) if high > low else 3.0
        low, high = low / margin, high * margin
        return _Axis(column, _title(column), low, high, log=True, ticks=_ticks(low, high))
    margin = 0.04 * (high - low) or 0.5
    return _Axis(column, _title(column), low - margin, high + margin, log=False)


def _ticks(low: float, high: float) -> tuple[float, ...] | None:
    """1, 2, 5 times powers of ten between two positive numbers; powers alone over many decades; None if too few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 10**4.5 else (1,)
    ticks = tuple(step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high)
    return ticks if len(ticks) > 1 else None


def _steps(points: pd.DataFrame, x: _Axis, y: _Axis, objectives: Objectives) -> pd.DataFrame:
    """Corners of the line between what the front attains and what it does not, edge to edge of the plane.

    From the worse end of y at the front's best x, level to the next point's x, up to its y, and so on, then level to
    the worse end of x.
    """
    best = front(points[points["on_front"]][["x", "y"]], objectives=dict(zip("xy", objectives.values(), strict=True)))
    signs = minimised([[1.0, 1.0]], objectives)[0]
    corners = best.drop_duplicates().sort_values("x", ascending=bool(signs[0] > 0))[["x", "y"]].to_numpy(dtype=float)
    worst_x, worst_y = (x.high if signs[0] > 0 else x.low), (y.high if signs[1] > 0 else y.low)
    rows, level = [], worst_y
    for at, reached in corners:
        rows += [(at, level), (at, reached)]
        level = reached
    rows += [(worst_x, level)] if rows else []
    return pd.DataFrame(rows, columns=["x", "y"]).assign(order=range(len(rows)))


def _draw_front(info: _FrontInfo, title: str, notes: list[str]) -> alt.LayerChart:
    """The chart of a front that has points."""
    x, y = _channel(alt.X, "x", info.x), _channel(alt.Y, "y", info.y)
    colour, shape = _look(info.points)
    few = len(info.points) <= _MANY
    trials = alt.Chart(alt.NamedData("trials")).encode(x, y, colour, tooltip=_tooltip(info.points))
    line = alt.Chart(alt.NamedData("steps")).mark_line(color=_INK, strokeWidth=1.2, clip=True)
    layers = [
        line.encode(x, y, order="order:Q"),
        trials.transform_filter("isValid(datum.y_low)" if few else "isValid(datum.y_low) && datum.on_front")
        .mark_rule(clip=True, strokeWidth=1.8)
        .encode(
            y=_channel(alt.Y, "y_low", info.y),
            y2="y_high:Q",
            opacity=alt.condition("datum.on_front", alt.value(0.9), alt.value(_FAINT / 2)),
        ),
        trials.encode(shape).transform_filter("!datum.on_front").mark_point(
            filled=True, size=45 if few else 18, opacity=_FAINT, clip=True),
        trials.encode(shape).transform_filter("datum.on_front").mark_point(
            filled=True, size=110 if few else 60, opacity=1, stroke=_INK, strokeWidth=0.8),
    ]  # fmt: skip
    return _dress(layers, title, notes, trials=info.points, steps=info.steps)


def _look(points: pd.DataFrame) -> tuple[alt.Color, alt.Shape]:
    """Colour by activation and shape by placement, each with its legend."""
    colours = activation_colours(points["colour"])
    placements = sorted(set(points["shape"]), key=lambda name: (name == _OTHER, name))
    legend: dict[str, Any] = {"symbolOpacity": 1, "symbolSize": 90, "labelLimit": 220}
    colour = alt.Color(
        "colour:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="activation", symbolType="circle", symbolStrokeWidth=0, **legend),
    )
    shape = alt.Shape(
        "shape:N",
        scale=alt.Scale(domain=placements, range=list(_SHAPES[: len(placements)])),
        legend=alt.Legend(title="placement", symbolFillColor=_INK, symbolStrokeWidth=0, **legend)
        if len(placements) > 1
        else None,
    )
    return colour, shape


def _tooltip(points: pd.DataFrame) -> list[alt.Tooltip]:
    """Everything that is known of a candidate, one line each."""
    drawn = {*_DRAWN, "accuracy", "accuracy ± std"}
    first = [name for name in ("number", "accuracy ± std") if name in points.columns]
    rest = [name for name in points.columns if name not in drawn and name not in first]
    if "accuracy ± std" not in points.columns and "accuracy" in points.columns:
        rest.insert(0, "accuracy")
    # A dot or a bracket in a field's name would reach into an object.
    fields = {name: re.sub(r"([\\.\[\]])", r"\\\1", name) for name in [*first, *rest]}
    return [
        alt.Tooltip(field=field, title=name, type="quantitative", format=",")
        if name in _COUNTS
        else alt.Tooltip(field=field, title=name, type="nominal")
        for name, field in fields.items()
    ]


def _channel(kind: Any, field: str, axis: _Axis) -> Any:
    """A position channel, alt.X or alt.Y, of one axis."""
    scale = alt.Scale(type="log" if axis.log else "linear", domain=[axis.low, axis.high], nice=False, zero=False)
    ticks = alt.Undefined if axis.ticks is None else list(axis.ticks)
    drawn = alt.Axis(format=axis.number_format, values=ticks, labelOverlap="greedy")
    return kind(f"{field}:Q", title=axis.title, scale=scale, axis=drawn)


def _changes(curve: pd.DataFrame) -> pd.DataFrame:
    """The rows at which a curve rises, and its two ends: all that a step line needs."""
    rises = curve["hypervolume"].diff().fillna(1.0) > 0
    return curve[rises | (curve.index == len(curve) - 1)].reset_index(drop=True)


def _title(column: str) -> str:
    return _TITLES.get(column, column)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as JSON has it: a missing value is null, a whole number whole."""
    columns = {str(name): [_json(value) for value in frame[name].astype(object)] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _json(value: Any) -> Any:
    """A value that JSON has."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain is pd.NA or plain is pd.NaT or (isinstance(plain, float) and not math.isfinite(plain)):
        return None
    return plain if isinstance(plain, (bool, int, float, str)) else str(plain)


def _nothing(title: str, notes: list[str]) -> alt.LayerChart:
    """A chart that has nothing to show and says so."""
    text = alt.Chart(alt.NamedData("nothing")).mark_text(text=_NOTHING, fontSize=14, color=_INK)
    return _dress([text], title, notes, nothing=pd.DataFrame({"is": [1]}))


def _dress(layers: list[alt.Chart], title: str, notes: list[str], **data: pd.DataFrame) -> alt.LayerChart:
    """The layers with the size, title and type common to all figures, and the data that they name."""
    heading = alt.Title(title, subtitle=notes, anchor="start", fontSize=15, subtitleFontSize=11, offset=12,
                        subtitleColor="#555555")  # fmt: skip
    chart: alt.LayerChart = (
        alt.LayerChart(layer=layers, width=_WIDTH, height=_HEIGHT, title=heading)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", gridColor="#E8E8E8", titlePadding=8
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", orient="right")
    )
    # By name and set last: Altair takes 5,000 inline rows at most, and would check each of them at every step above.
    chart.datasets = {name: _rows(frame) for name, frame in data.items()}
    return chart
