"""Attainment: bands between the surfaces that many and few runs attain, and the middling one as a line."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from results.analyses.attainment import attained
from results.figures.theme import Axis, channel, cost_axis, series_colours
from results.fronts import Objectives, wanted_and_costs

__all__ = ["attainment_layers", "band_of"]


def band_of(surfaces: pd.DataFrame, x: Axis, y: Axis, objectives: Objectives) -> pd.DataFrame:
    """The band between the surface attained by most and that by fewest, and the one between.

    Args:
        surfaces: share, and two objectives, as `results.attainment` gives them.
        x: the axis of the cost.
        y: of what is wanted.
        objectives: column -> direction, two.

    Returns:
        x, low, high, middle, a row where one of them steps, from edge to edge, for steps that hold until the next row;
        low and high are at the edge of the plane, and middle is missing, where a surface has not begun. No row for no
        surface.

    Raises:
        ObjectiveError: not two objectives.
    """
    if surfaces.empty:
        return pd.DataFrame(columns=["x", "low", "high", "middle"], dtype=np.float64)
    shares = sorted(surfaces["share"].unique())
    inside = surfaces[x.column].to_numpy(dtype=np.float64)
    at = np.unique(np.concatenate([[x.low, x.high], inside[(inside > x.low) & (inside < x.high)]]))
    cost_falls = objectives[x.column] == "maximize"
    # Where more is better a step holds up to its own cost: it is read at the end of each piece.
    read = np.append(at[1:], at[-1]) if cost_falls else at
    worst = y.low if objectives[y.column] == "maximize" else y.high
    many, middle, few = (
        attained(surfaces[surfaces["share"] == share], read, objectives=objectives)
        for share in (shares[-1], shares[len(shares) // 2], shares[0])
    )
    ends = np.nan_to_num([many, few], nan=worst)
    return pd.DataFrame({"x": at, "low": ends.min(axis=0), "high": ends.max(axis=0), "middle": middle})


def attainment_layers(surfaces: pd.DataFrame, objectives: Objectives) -> tuple[list[alt.Chart], pd.DataFrame]:
    """A band and a line for each name, in the plane of a cost and of what is wanted.

    Args:
        surfaces: name, share, and two objectives.
        objectives: column -> direction.

    Returns:
        Layers that name the data "surfaces", and these data: name, and what `band_of` gives.

    Raises:
        ObjectiveError: not two objectives.
    """
    wanted, costs = wanted_and_costs(objectives)
    x = cost_axis(surfaces.assign(x=surfaces[costs[0]]), costs[0])
    values = surfaces[wanted].to_numpy(dtype=np.float64)
    margin = 0.05 * float(values.max() - values.min()) or 0.01
    y = Axis(
        wanted, cost_axis(surfaces.iloc[:0], wanted).title, values.min() - margin, values.max() + margin, log=False
    )
    parts = [band_of(part, x, y, objectives).assign(name=name) for name, part in surfaces.groupby("name", sort=False)]
    colours = series_colours(str(name) for name in surfaces["name"])
    colour = alt.Color(
        "name:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=alt.Legend(title="run")
    )
    drawn = alt.Chart(alt.NamedData("surfaces")).encode(channel(alt.X, "x", x), colour)
    layers = [
        drawn.mark_area(opacity=0.18, interpolate="step-after", clip=True).encode(
            channel(alt.Y, "low", y), alt.Y2("high:Q")
        ),
        drawn.mark_line(strokeWidth=1.8, interpolate="step-after", clip=True).encode(channel(alt.Y, "middle", y)),
    ]
    return layers, pd.concat(parts, ignore_index=True)
