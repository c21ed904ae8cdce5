"""Ablation: the effect of each change in accuracy points, with its interval."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from results.figures.theme import COLOURS, INK, dress, nothing, plane

__all__ = ["ablation_figure"]

_ROW = 24
_VERDICTS = {"better": COLOURS["frelu"], "worse": COLOURS["leni"], "open": COLOURS["relu"]}


def ablation_figure(effects: pd.DataFrame, *, level: float = 0.95, title: str | None = None) -> alt.LayerChart:
    """A row a change: a dot at its effect, a line over its interval, zero is the base.

    Args:
        effects: one row per change, as `Ablation.effects` has them.
        level: of the intervals.
        title: None for "What each part is worth".

    Returns:
        An Altair chart; a sentence where there is no effect. An interval without end is drawn to the edge.
    """
    heading = title or "What each part is worth"
    if effects.empty:
        return nothing("No cell but the base has a result.", heading, [])
    frame = effects.assign(change=[f"{row.factor}: {row.base} → {row.level}" for row in effects.itertuples()])
    ends = frame[["points", "points_low", "points_high"]].to_numpy(dtype=float)
    finite = ends[np.isfinite(ends)]
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    margin = 0.06 * (high - low) or 1.0
    scale = alt.Scale(domain=[low - margin, high + margin], nice=False)
    frame["points_low"] = frame["points_low"].clip(lower=low - margin)
    frame["points_high"] = frame["points_high"].clip(upper=high + margin)
    y = alt.Y("change:N", sort=frame["change"].tolist(), title=None,
              axis=alt.Axis(labelLimit=300, domain=False, ticks=False, labelPadding=8))  # fmt: skip
    x = alt.X("points:Q", title="accuracy points against the base", scale=scale, axis=alt.Axis(format="+~g"))
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=list(_VERDICTS), range=list(_VERDICTS.values())),
                       legend=alt.Legend(title="against the base"))  # fmt: skip
    drawn = alt.Chart(alt.NamedData("effects"))
    zero = drawn.mark_rule(color=INK, opacity=0.5, strokeDash=[4, 3]).encode(
        alt.X(datum=0, type="quantitative", scale=scale)
    )
    bars = drawn.mark_rule(strokeWidth=2).encode(
        y, alt.X("points_low:Q", title="accuracy points against the base", scale=scale), colour, x2="points_high:Q"
    )
    numbers = ("points", "points_low", "points_high", "p", "p_adjusted", "superiority", "n", "needed")
    told = [alt.Tooltip("change:N"), *(alt.Tooltip(f"{name}:Q", format=".3g") for name in numbers)]
    dots = drawn.mark_point(filled=True, size=70, opacity=1).encode(y, x, colour, tooltip=told)
    seeds = int(frame["n"].max())
    notes = [f"{level:.0%} intervals, paired over {seeds} seeds; colours by p adjusted for all comparisons"]
    return dress(plane([zero, bars, dots], height=_ROW * len(frame)), heading, notes, effects=frame)
