"""Fronts: all completed trials with the front among them, and how its hypervolume grew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from results.analyses.growth import OVER, hypervolume_cost
from results.errors import ResultsError
from results.figures.attainment import band_of
from results.figures.theme import (
    COLOURS,
    FAINT,
    INK,
    Axis,
    activation_colours,
    channel,
    column_title,
    cost_axis,
    dress,
    nothing,
    plane,
    tooltips,
)
from results.fronts import DEFAULT_OBJECTIVES, Objectives, check_objectives, completed, front, minimised
from results.indicators import Bounds, hypervolume_curve
from results.names import PARAMETER, plain_name
from results.runs import count_states
from results.user_view import is_evaluators, user_columns

__all__ = ["front_figure", "hypervolume_figure"]

_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
_OTHER, _NONE = "others", "none"
_NOTHING = "No completed trial to draw."
_DRAWN = frozenset({"x", "y", "y_low", "y_high", "on_front", "colour", "shape"})
_NOT_SHOWN = frozenset({"state", "error", "started_at", "device", "accuracy_std", "candidate"})
_MANY = 300  # trials from which only the front has error bars, and points are small


@dataclass(frozen=True)
class _FrontInfo:
    """What the front figure draws; see `_front_info`."""

    points: pd.DataFrame
    steps: pd.DataFrame
    x: Axis
    y: Axis
    notes: tuple[str, ...]


def front_figure(
    trials: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    title: str | None = None,
    subtitle: str | None = None,
    surfaces: pd.DataFrame | None = None,
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
        surfaces: of two objectives, what `results.attainment` gives of repeated runs: the quartiles are the edges of a
            band behind the points. Around a single run's front no band holds what it promises.

    Returns:
        An Altair chart; a sentence instead of points if no trial has completed.

    Raises:
        ObjectiveError: the objectives are not valid, or a column is missing.
    """
    info = _front_info(trials, objectives)
    lines = [subtitle] if subtitle else []
    heading = title or f"{info.y.title[:1].upper()}{info.y.title[1:]} against {info.x.title}"
    if info.points.empty:
        return nothing(_NOTHING, heading, [*lines, *info.notes])
    band = band_of(surfaces, info.x, info.y, objectives) if surfaces is not None else None
    if band is not None and len(band):
        lines.append("band: attained by 25 % to 75 % of repeated runs")
    return _draw_front(info, heading, [*lines, *info.notes], band)


def hypervolume_figure(
    trials: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
    over: str = "trials",
    title: str | None = None,
) -> alt.LayerChart:
    """Hypervolume against the number of completed trials, or against what all trials took.

    Args:
        trials: records, as `results.load` gives them.
        objectives: column -> direction.
        bounds: see `results.hypervolume_of`, which has the scale and the reference.
        over: "trials", or "hours" of all trials, added up.
        title: None for "Hypervolume".

    Returns:
        An Altair chart; a sentence instead of a line if no trial has completed.

    Raises:
        ObjectiveError: as `results.hypervolume_of`, or there is no column wall_s.
        ResultsError: over is neither.
    """
    if over not in OVER:
        raise ResultsError(f"hypervolume grows over one of {', '.join(OVER)}, got {over!r}")
    compute, x = (hypervolume_curve, "completed") if over == "trials" else (hypervolume_cost, "hours")
    curve = _changes(compute(trials, objectives=objectives, bounds=bounds))
    heading = title or "Hypervolume"
    notes = [
        count_states(trials),
        f"of {', '.join(map(plain_name, objectives))} on a fixed scale, fraction of the unit cube",
    ]
    if curve.empty:
        return nothing(_NOTHING, heading, notes)
    line = alt.Chart(alt.NamedData("curve")).mark_line(
        interpolate="step-after", color=COLOURS["leni"], point=alt.OverlayMarkDef(opacity=0, size=90)
    )
    encoded = line.encode(
        alt.X(
            f"{x}:Q",
            title=column_title(x),
            axis=alt.Axis(tickMinStep=1, format=",d") if over == "trials" else alt.Undefined,
        ),
        alt.Y("hypervolume:Q", title="hypervolume", scale=alt.Scale(zero=False)),
        tooltip=[alt.Tooltip(f"{x}:Q"), alt.Tooltip("number:Q"), alt.Tooltip("hypervolume:Q", format=".5f")],
    )
    return dress(plane([encoded]), heading, notes, curve=curve)


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
        names = ", ".join(map(plain_name, objectives))
        notes.append(f"front over {names}; no line, two of them are drawn")
    if lacking := len(points) - len(drawable):
        notes.append(f"{lacking:,} completed without a finite {plain_name(y_name)} and {plain_name(x_name)}, not drawn")
    maximise_y = minimised([[1.0]], {y_name: objectives[y_name]})[0, 0] < 0
    shown, y_axis = _zoom(drawable, y_name, maximise_y)
    if cut := len(drawable) - len(shown):
        limit = y_axis.low if maximise_y else y_axis.high
        words = f"{limit:.1%}" if y_axis.number_format == "%" else f"{limit:.4g}"
        notes.append(f"{cut:,} {'below' if maximise_y else 'above'} {words} not drawn")
    x_axis = cost_axis(shown, x_name)
    plane_objectives = {name: objectives.get(name, "minimize") for name in (x_name, y_name)}
    lined = shown if len(objectives) == 2 else shown.iloc[:0]
    steps = step_line(lined, x_axis, y_axis, plane_objectives)
    return _FrontInfo(shown, steps, x_axis, y_axis, tuple(notes))


def _points(done: pd.DataFrame, plane: np.ndarray, best: pd.Index, y_name: str) -> pd.DataFrame:
    """One row for each completed trial, with all that the marks and the tooltip need."""
    spread = np.full(len(done), np.nan)
    if y_name == "accuracy" and "accuracy_std" in done.columns:
        spread = minimised(done, {"accuracy_std": "minimize"})[:, 0]
        spread[~(spread > 0)] = np.nan
    points = done.drop(columns=[name for name in done.columns if name in _NOT_SHOWN or done[name].isna().all()])
    if is_evaluators(done):  # no counts of ours among the user's values
        points = points[["number", *user_columns(points, [y_name])]]
    # What is drawn has names of its own, such as x, which a parameter may have too.
    points = points.rename(columns={name: f"{PARAMETER}{name}" for name in points.columns if name in _DRAWN})
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


def _zoom(points: pd.DataFrame, column: str, maximise: bool) -> tuple[pd.DataFrame, Axis]:
    """The points worth showing and the vertical axis for them.

    It leaves out points beyond Tukey's fence (one and a half interquartile ranges from the quartile) that are also
    worse than all of the front; none if the axis that shows everything is no more than half as long again.
    """
    if points.empty:
        return points, Axis(column, column_title(column), 0.0, 1.0, log=False)
    better = 1.0 if maximise else -1.0  # times y: the worst is the least
    ends = better * points[["y", "y_low", "y_high"]].to_numpy(dtype=float)
    y, on_front = ends[:, 0], points["on_front"].to_numpy(dtype=bool)
    lower, upper = np.quantile(y, [0.25, 0.75])
    kept = on_front | (y >= lower - 1.5 * (upper - lower))
    most, least, edge = np.nanmax(ends), np.nanmin(ends), np.nanmin(ends[kept | (y >= y[kept].min())])
    edge = least if most - least <= 1.5 * (most - edge) else edge
    margin = 0.04 * (most - edge) or 0.05 * abs(most) or 1.0
    limits = sorted((float(better * (edge - margin)), float(better * (most + margin))))
    return points[y >= edge - margin], Axis(column, column_title(column), limits[0], limits[1], log=False)


def step_line(points: pd.DataFrame, x: Axis, y: Axis, objectives: Objectives) -> pd.DataFrame:
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


def _draw_front(info: _FrontInfo, title: str, notes: list[str], band: pd.DataFrame | None) -> alt.LayerChart:
    """The chart of a front that has points."""
    x, y = channel(alt.X, "x", info.x), channel(alt.Y, "y", info.y)
    colour, shape = _look(info.points)
    few = len(info.points) <= _MANY
    trials = alt.Chart(alt.NamedData("trials")).encode(x, y, colour, tooltip=_tooltip(info.points))
    line = alt.Chart(alt.NamedData("steps")).mark_line(color=INK, strokeWidth=1.2, clip=True)
    drawn = pd.DataFrame(columns=["x", "low", "high"]) if band is None else band
    layers = [
        alt.Chart(alt.NamedData("band")).mark_area(color=INK, opacity=0.13, clip=True, interpolate="step-after").encode(
            x, channel(alt.Y, "low", info.y), alt.Y2("high:Q")),
        line.encode(x, y, order="order:Q"),
        trials.transform_filter("isValid(datum.y_low)" if few else "isValid(datum.y_low) && datum.on_front")
        .mark_rule(clip=True, strokeWidth=1.8)
        .encode(
            y=channel(alt.Y, "y_low", info.y),
            y2="y_high:Q",
            opacity=alt.condition("datum.on_front", alt.value(0.9), alt.value(FAINT / 2)),
        ),
        trials.encode(shape).transform_filter("!datum.on_front").mark_point(
            filled=True, size=45 if few else 18, opacity=FAINT, clip=True),
        trials.encode(shape).transform_filter("datum.on_front").mark_point(
            filled=True, size=110 if few else 60, opacity=1, stroke=INK, strokeWidth=0.8),
    ]  # fmt: skip
    if drawn.empty:
        layers = layers[1:]
    data = {"trials": info.points, "steps": info.steps, **({} if drawn.empty else {"band": drawn})}
    return dress(plane(layers), title, notes, **data)


def _look(points: pd.DataFrame) -> tuple[alt.Color, alt.Shape]:
    """Colour by activation and shape by placement, each with its legend."""
    colours = activation_colours(points["colour"])
    placements = sorted(set(points["shape"]), key=lambda name: (name == _OTHER, name))
    legend: dict[str, Any] = {"symbolOpacity": 1, "symbolSize": 90, "labelLimit": 220}
    colour = alt.Color(
        "colour:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="activation", symbolType="circle", symbolStrokeWidth=0, **legend)
        if set(colours) != {_NONE}
        else None,
    )
    shape = alt.Shape(
        "shape:N",
        scale=alt.Scale(domain=placements, range=list(_SHAPES[: len(placements)])),
        legend=alt.Legend(title="placement", symbolFillColor=INK, symbolStrokeWidth=0, **legend)
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
    return tooltips([*first, *rest])


def _changes(curve: pd.DataFrame) -> pd.DataFrame:
    """The rows at which a curve rises, and its two ends: all that a step line needs."""
    rises = curve["hypervolume"].diff().fillna(1.0) > 0
    return curve[rises | (curve.index == len(curve) - 1)].reset_index(drop=True)
