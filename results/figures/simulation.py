"""Simulated searches side by side: how fast the hypervolume grows, with bands over the repeats."""

from __future__ import annotations

import altair as alt
import pandas as pd

from results.errors import RecordError
from results.figures.theme import FURTHER, dress, nothing, plane, tooltips

__all__ = ["simulation_bands", "simulation_figure"]

_COLUMNS = ("search", "repeat", "step", "share")
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", *FURTHER)
_NOTHING = "No simulated trial to draw."


def simulation_bands(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and quantiles over the repeats, at every step of every search.

    Args:
        frame: search (name), repeat, step (trials or epochs so far), share (fraction of the table's hypervolume, 0..1,
            never falling); a row for each time that a trial ended.

    Returns:
        search, step, mean, low and high (the 10 % and 90 % quantiles), repeats; in the order of the searches. Between
        two of its trials, a repeat has the value of the earlier one.

    Raises:
        RecordError: a column is missing.
    """
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise RecordError(f"simulated searches must have {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
    parts = []
    for search in frame["search"].drop_duplicates():
        own = frame[frame["search"] == search]
        wide = own.pivot_table(index="step", columns="repeat", values="share", aggfunc="last")
        wide = wide.sort_index().ffill().fillna(0.0)
        band = pd.DataFrame(
            {
                "search": search,
                "step": wide.index,
                "mean": wide.mean(axis=1).to_numpy(),
                "low": wide.quantile(0.1, axis=1).to_numpy(),
                "high": wide.quantile(0.9, axis=1).to_numpy(),
                "repeats": wide.shape[1],
            }
        )
        parts.append(band)
    empty = pd.DataFrame(columns=["search", "step", "mean", "low", "high", "repeats"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def simulation_figure(
    frame: pd.DataFrame, *, steps: str = "trials", title: str | None = None, subtitle: str | None = None
) -> alt.LayerChart:
    """Hypervolume reached against trials or epochs: one line per search, a band from the 10 % to the 90 % quantile.

    The vertical axis begins where the slowest search is at a tenth of its way, so that the last per cents can be read.

    Args:
        frame: as `simulation_bands` takes it.
        steps: what the steps are, "trials" or "epochs".
        title: None for "Hypervolume in simulated searches".
        subtitle: a line of your own.

    Returns:
        An Altair chart; a sentence instead of lines if there is nothing to draw.

    Raises:
        RecordError: a column is missing.
    """
    bands = simulation_bands(frame)
    heading, lines = title or "Hypervolume in simulated searches", [subtitle] if subtitle else []
    if bands.empty:
        return nothing(_NOTHING, heading, lines)
    names = list(bands["search"].drop_duplicates())
    last = int(bands["step"].max())
    low = float(min(bands.loc[bands["search"] == name, "low"].iloc[len(bands[bands["search"] == name]) // 10]
                    for name in names))  # fmt: skip
    colours = alt.Scale(domain=names, range=[_COLOURS[place % len(_COLOURS)] for place in range(len(names))])
    x = alt.X("step:Q", title=steps, scale=alt.Scale(domain=[0, last], nice=False))
    domain = [min(low, 0.98), 1.0]
    y = alt.Y("mean:Q", title="fraction of the hypervolume", scale=alt.Scale(domain=domain, clamp=True))
    colour = alt.Color("search:N", title=None, scale=colours, sort=names)
    base = alt.Chart(alt.NamedData("bands"))
    band = base.mark_area(opacity=0.18, interpolate="step-after").encode(x=x, y=y.copy(), color=colour)
    band.encoding.y = alt.Y("low:Q", title="fraction of the hypervolume", scale=alt.Scale(domain=domain, clamp=True))
    band.encoding.y2 = alt.Y2("high:Q")
    told = tooltips(["search", "step", "mean", "low", "high", "repeats"])
    line = base.mark_line(strokeWidth=2, interpolate="step-after").encode(x=x, y=y, color=colour, tooltip=told)
    repeats = int(bands["repeats"].max())
    lines.append(
        f"mean of {repeats} repeats, bands from the 10 % to the 90 % quantile" if repeats > 1 else "one repeat"
    )
    return dress(plane([band, line]), heading, lines, bands=bands)
