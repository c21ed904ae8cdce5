"""Importance: a panel an objective, one bar per dimension."""

from __future__ import annotations

import altair as alt
import pandas as pd

from results.figures.theme import COLOURS, dress, nothing

__all__ = ["importance_figure"]


def importance_figure(frame: pd.DataFrame, *, title: str | None = None) -> alt.LayerChart | alt.FacetChart:
    """Shares of each objective's variance, as bars.

    Args:
        frame: objective, dimension, share (0..1), as `results.importance` gives them.
        title: None for "What moves the objectives".

    Returns:
        An Altair chart; a sentence where there is nothing to draw.
    """
    heading = title or "What moves the objectives"
    if frame.empty:
        return nothing("Too few trials to tell.", heading, [])
    order = frame.groupby("dimension")["share"].max().sort_values(ascending=False).index.tolist()
    bars = (
        alt.Chart(alt.NamedData("shares"))
        .mark_bar(color=COLOURS["prelu"])
        .encode(
            alt.X("share:Q", title="fraction of the variance", axis=alt.Axis(format="%")),
            alt.Y("dimension:N", title=None, sort=order),
            tooltip=["objective:N", "dimension:N", alt.Tooltip("share:Q", format=".1%"), "trials:Q"],
        )
        .properties(width=170, height=18 * len(order))
    )
    panels = bars.facet(column=alt.Column("objective:N", title=None, sort=list(dict.fromkeys(frame["objective"]))))
    return dress(panels, heading, [f"{int(frame['trials'].iloc[0])} completed trials"], shares=frame)
