"""Learning curves: accuracy after each epoch, mean over seeds, of a few trials."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

from results.figures.theme import activation_colours, dress, nothing, plane, tooltips

__all__ = ["curves_figure"]

_NOTHING = "No learning curve to draw."


def curves_figure(
    curves: pd.DataFrame, trials: pd.DataFrame, *, numbers: Iterable[int], title: str | None = None
) -> alt.LayerChart:
    """The learning curves of some trials, each ending in its number.

    Args:
        curves: a row for each epoch of each seed, as `results.load` gives them.
        trials: records, for the activations.
        numbers: which trials.
        title: None for "Learning curves".

    Returns:
        An Altair chart; a sentence where none of them has a curve.
    """
    heading = title or "Learning curves"
    points = _points(curves, trials, list(numbers))
    if points.empty:
        return nothing(_NOTHING, heading, [])
    colours = activation_colours(points["colour"])
    colour = alt.Color(
        "colour:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="activation"),
    )
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False))
    y = alt.Y("accuracy:Q", title="validation accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False))
    shown = alt.Chart(alt.NamedData("points")).encode(x, y, colour)
    last = shown.transform_filter("datum.last")
    layers = [
        shown.mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(size=16)).encode(
            detail="number:N", tooltip=tooltips(["number", "epoch", "accuracy"])
        ),
        last.mark_text(align="left", dx=5, fontSize=11).encode(text="number:N"),
    ]
    return dress(plane(layers), heading, ["mean over seeds; the number is the trial's"], points=points)


def _points(curves: pd.DataFrame, trials: pd.DataFrame, numbers: list[int]) -> pd.DataFrame:
    """number, epoch, accuracy (mean over seeds), last, colour."""
    chosen = curves[curves["number"].isin(numbers) & curves["accuracy"].notna()]
    means = chosen.groupby(["number", "epoch"], as_index=False)["accuracy"].mean()
    last = means["epoch"] == means.groupby("number")["epoch"].transform("max")
    names = dict(zip(trials["number"], trials["activation"], strict=True)) if "activation" in trials.columns else {}
    colour = [name if isinstance(name := names.get(number), str) else "network" for number in means["number"]]
    return means.assign(last=last.astype(bool), colour=colour)
