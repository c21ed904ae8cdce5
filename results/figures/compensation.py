"""Channel compensation: accuracy against parameters, a rising curve with its band for each activation and placement."""

from __future__ import annotations

import altair as alt
import pandas as pd

from results.figures.theme import activation_colours, channel, cost_axis, dress, nothing, plane

__all__ = ["compensation_figure"]


def compensation_figure(
    curves: pd.DataFrame, *, reference: str = "relu", level: float = 0.95, title: str | None = None
) -> alt.LayerChart:
    """The curves of `results.compensation`, one colour per activation, one dash a placement.

    Args:
        curves: one row per point, as `Compensation.curves` has them.
        reference: the activation compared with.
        level: of the bands.
        title: None for "What parameters buy".

    Returns:
        An Altair chart; a sentence where there is no curve.
    """
    heading = title or "What parameters buy"
    curves = curves.dropna(subset=["accuracy"]).reset_index(drop=True) if len(curves) else curves
    if curves.empty:
        return nothing("Too few completed trials for a curve.", heading, [])
    many = curves["backbone"].nunique() > 1
    curves = curves.assign(
        x=curves["params"], where=curves["backbone"] + " " + curves["placement"] if many else curves["placement"]
    )
    colours = activation_colours(curves["activation"])
    colour = alt.Color(
        "activation:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="activation"),
    )
    x = channel(alt.X, "x", cost_axis(curves, "params"))
    scale = alt.Scale(zero=False)
    drawn = alt.Chart(alt.NamedData("curves")).encode(x, colour, detail=["where:N"])
    layers = [
        drawn.mark_area(opacity=0.12).encode(
            alt.Y("low:Q", scale=scale, title="validation accuracy"), alt.Y2("high:Q")
        ),
        drawn.mark_line(strokeWidth=2).encode(
            alt.Y("accuracy:Q", scale=scale, title="validation accuracy", axis=alt.Axis(format="%")),
            strokeDash=alt.StrokeDash("where:N", title="placement"),
            tooltip=["activation:N", "where:N", alt.Tooltip("params:Q", format=",.0f"),
                     alt.Tooltip("accuracy:Q", format=".2%"), alt.Tooltip("low:Q", format=".2%"),
                     alt.Tooltip("high:Q", format=".2%")],
        ),
    ]  # fmt: skip
    note = f"bands: {level:.0%}, pointwise; the reference is {reference}"
    return dress(plane(layers), heading, [note], curves=curves)
