"""A confirmed front: each candidate on the test split with its interval, and where the search had seen it."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from results.analyses.confirmation import Confirmation
from results.figures.front import step_line
from results.figures.theme import FAINT, INK, Axis, activation_colours, channel, cost_axis, dress, nothing, plane
from results.figures.theme import tooltips as lines
from results.fronts import COMPLETED, DEFAULT_OBJECTIVES, Objectives

__all__ = ["confirmation_figure"]

_TOLD = ("number", "test", "searched", "params", "macs", "activation", "placement", "widths", "lr_factor", "seeds")
_CAPTION = (
    "full points: the searched front's members on the test split, bars are 95 % intervals over seeds and test images",
    "lines: the members that no other beats there, and (dotted) those that beat no other",
    "band: 95 %, pointwise, of the best that the members have at no more than a cost",
    "dashed line and rings: the same candidates as the search had them, on the validation split",
)


def confirmation_figure(
    rows: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, band: pd.DataFrame | None = None,
    title: str | None = None,
) -> alt.LayerChart:  # fmt: skip
    """Accuracy on the test split against the first cost, beside what the search had.

    Args:
        rows: as `Confirmation.rows` has them.
        objectives: of the search.
        band: of `results.analyses.confirmed_band`, around the best that the members have at a cost; None for none.
        title: None for "The front, confirmed".

    Returns:
        An Altair chart; a sentence instead of points where nothing was trained again to its end, or there is no cost.
    """
    heading = title or "The front, confirmed"
    cost = next((name for name in objectives if name != "accuracy"), None)
    done = rows[rows["state"] == COMPLETED]
    if done.empty or cost is None:
        return nothing("Nothing confirmed to draw.", heading, [])
    points = _points(done, cost)
    x = cost_axis(points, cost)
    y = _accuracy_axis(points)
    directions = {cost: objectives[cost], "accuracy": "maximize"}
    confirmed = step_line(points, x, y, directions)
    worst = set(Confirmation(rows, objectives, {}).members("pessimistic")["confirmed_as"])
    beating_none = points.assign(on_front=points["confirmed_as"].isin(worst) & points["on_front"])
    pessimistic = step_line(beating_none, x, y, directions)
    around = pd.DataFrame(columns=["x", "low", "high"], dtype=float) if band is None else pd.DataFrame(
        {"x": band[cost], "low": band["low"].clip(lower=y.low), "high": band["high"].clip(upper=y.high)}
    )  # fmt: skip
    members = points[points["searched_y"].notna() & (points["role"] == "front")]
    before = members.assign(y=members["searched_y"], on_front=True)[["x", "y", "on_front"]]
    searched = step_line(before, x, y, directions) if len(objectives) == 2 else confirmed.iloc[:0]
    chart = plane(_layers(points, x, y))
    return dress(chart, heading, list(_CAPTION), points=points, confirmed=confirmed,
                 pessimistic=pessimistic, searched=searched, band=around)  # fmt: skip


def _points(done: pd.DataFrame, cost: str) -> pd.DataFrame:
    """A row a candidate: x, y, low, high, searched_y, on_front, colour, and what the tooltip says."""
    floats = {name: pd.to_numeric(done[name], errors="coerce").astype(float) for name in (
        cost, "test_accuracy", "test_low", "test_high", "searched")}  # fmt: skip
    activation = done["activation"] if "activation" in done.columns else pd.Series("network", index=done.index)
    told = done[[name for name in _TOLD if name in done.columns and name != "searched"]]
    return told.assign(
        x=floats[cost], y=floats["test_accuracy"], low=floats["test_low"], high=floats["test_high"],
        searched_y=floats["searched"], on_front=done["role"] == "front", role=done["role"],
        confirmed_as=done["confirmed_as"],
        colour=activation.astype(object).where(activation.notna(), "network"),
        test=[f"{value:.4f}" for value in floats["test_accuracy"]],
        searched=[f"{value:.4f}" if np.isfinite(value) else "" for value in floats["searched"]],
    ).reset_index(drop=True)  # fmt: skip


def _accuracy_axis(points: pd.DataFrame) -> Axis:
    """Every point, and as much of the intervals as leaves the points apart."""
    values = np.concatenate([points["y"], points["searched_y"].dropna()])
    low, high = float(values.min()), float(values.max())
    room = max(high - low, 0.01)
    ends = points[["low", "high"]].to_numpy(dtype=float)
    low = min(low, max(float(np.nanmin([*ends[:, 0], low])), low - room / 2))
    high = max(high, min(float(np.nanmax([*ends[:, 1], high])), high + room / 2))
    return Axis("accuracy", "accuracy", low - 0.04 * room, min(1.0, high + 0.04 * room), log=False)


def _layers(points: pd.DataFrame, x: Axis, y: Axis) -> list[alt.Chart]:
    """From the back to the front."""
    at, height = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    colours = activation_colours(points["colour"])
    colour = alt.Color(
        "colour:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="activation", symbolType="circle", symbolStrokeWidth=0, symbolOpacity=1),
    )
    shown = alt.Chart(alt.NamedData("points"))
    named = [name for name in _TOLD if name in points.columns]
    every = shown.encode(at, height, colour, tooltip=lines(named))
    line: dict[str, Any] = {"color": INK, "clip": True}
    steps = [
        alt.Chart(alt.NamedData("searched")).mark_line(strokeWidth=1, strokeDash=[4, 3], opacity=0.6, **line),
        alt.Chart(alt.NamedData("confirmed")).mark_line(strokeWidth=1.4, **line),
        alt.Chart(alt.NamedData("pessimistic")).mark_line(strokeWidth=1, strokeDash=[1, 3], **line),
    ]
    before = channel(alt.Y, "searched_y", y)
    return [
        alt.Chart(alt.NamedData("band")).mark_area(interpolate="step-after", color=INK, opacity=0.1, clip=True).encode(
            at, channel(alt.Y, "low", y), alt.Y2("high:Q")
        ),
        *(each.encode(at, height, order="order:Q") for each in steps),
        shown.transform_filter("isValid(datum.searched_y)")
        .mark_point(size=40, opacity=0.7, clip=True)
        .encode(at, before, colour),
        every.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.8, clip=True)
        .encode(y=channel(alt.Y, "low", y), y2="high:Q", opacity=alt.condition("datum.on_front", alt.value(0.9),
                alt.value(FAINT))),
        every.transform_filter("!datum.on_front").mark_point(filled=True, size=50, opacity=FAINT, clip=True),
        every.transform_filter("datum.on_front").mark_point(
            filled=True, size=110, opacity=1, stroke=INK, strokeWidth=0.8, clip=True
        ),
    ]  # fmt: skip
