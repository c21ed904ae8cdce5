"""Runs against each other: what they attain, and how their hypervolume grew over trials and over cost."""

from __future__ import annotations

import altair as alt
import pandas as pd

from results.figures.attainment import attainment_layers
from results.figures.theme import HEIGHT, WIDTH, column_title, dress, plane, series_colours
from results.fronts import DEFAULT_OBJECTIVES, Objectives

__all__ = ["comparison_figure"]

_GAP = 90  # pixels between the two lower plots: an axis and its title
_REPEATED = "bands: between what 25 % and 75 % of a side's runs attain, the line is 50 %"
_SINGLE = "one run per side: no bands, since a single run shows no variation between runs"


def comparison_figure(
    surfaces: pd.DataFrame, growth: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES,
    repeated: bool = True, title: str | None = None,
) -> alt.VConcatChart:  # fmt: skip
    """Attainment surfaces (of two objectives), and below them hypervolume over trials and over hours.

    Args:
        surfaces: name, share and the objectives, as `Comparison.attainment` has them.
        growth: as `Comparison.growth` has it.
        objectives: what was compared by.
        repeated: whether each side has repeated runs, which surfaces are between.
        title: None for "Runs compared".

    Returns:
        An Altair chart.
    """
    rows: list[alt.LayerChart | alt.HConcatChart] = []
    data = {"growth": growth}
    if len(objectives) == 2:
        layers, data["surfaces"] = attainment_layers(surfaces, objectives)
        rows.append(plane(layers))
    rows.append(alt.hconcat(*_growths(growth)))
    return dress(alt.vconcat(*rows), title or "Runs compared", [_REPEATED if repeated else _SINGLE], **data)


def _growths(growth: pd.DataFrame) -> list[alt.LayerChart]:
    """A plot for each thing that hypervolume grows over."""
    colours = series_colours(str(name) for name in growth["name"])
    kinds = list(growth["over"].drop_duplicates())
    width = (WIDTH - _GAP * (len(kinds) - 1)) // len(kinds)
    charts = []
    for over in kinds:
        title = column_title("completed" if over == "trials" else over)
        axis = alt.Axis(tickCount=5, tickMinStep=1, format=",d") if over == "trials" else alt.Axis(tickCount=5)
        drawn = alt.Chart(alt.NamedData("growth")).transform_filter(f"datum.over === '{over}'").encode(
            alt.X("x:Q", title=title, scale=alt.Scale(nice=False), axis=axis),
            alt.Color("name:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                      legend=alt.Legend(title="run")),
        )  # fmt: skip
        scale = alt.Scale(zero=False)
        layers = [
            drawn.mark_area(opacity=0.18, interpolate="step-after").encode(
                alt.Y("low:Q", title="hypervolume", scale=scale), alt.Y2("high:Q")
            ),
            drawn.mark_line(strokeWidth=1.8, interpolate="step-after").encode(
                alt.Y("median:Q", title="hypervolume", scale=scale)
            ),
        ]
        charts.append(plane(layers, width=width, height=HEIGHT * 2 // 3))
    return charts
