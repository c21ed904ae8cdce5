"""What activations keep and lose, call site by call site: a network beside its twin."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from results.errors import RecordError
from results.figures.theme import COLOURS, FURTHER, INK, dress, nothing, plane, tooltips

__all__ = ["information_figure"]

_PANELS = (
    ("dead", "dead channels", "%"),
    ("negative_kept", "negative mass kept", "%"),
    ("effective_rank", "effective rank (channels)", "~s"),
    ("entropy", "entropy (bits a channel)", "~g"),
)
_COLUMNS = ("network", "site", *(name for name, _, _ in _PANELS))
_TOLD = ("network", "site", "kind", "stage", "role", "channels", "samples", *(name for name, _, _ in _PANELS))
_NOTHING = "No call site to draw."
_WIDTH, _ROW, _LOW_ROW = 165, 16, 8  # of a panel; of a site, and of one among many
_MANY = 60  # sites from which rows are low


def information_figure(
    frame: pd.DataFrame, *, title: str | None = None, subtitle: str | None = None
) -> alt.HConcatChart | alt.LayerChart:
    """Dead channels, negative mass kept, effective rank and entropy: one row per call site, a dot a network.

    Sites are from top to bottom in the order of the forward pass. The dots of one site are joined by a line, so that
    its length is the difference. What a site does not have (NaN) is not drawn. The tooltip has the whole record.

    Args:
        frame: records of `leni.information`, `pandas.DataFrame(rows)`: network, site, dead, negative_kept,
            effective_rank and entropy at least, of one network or several.
        title: None for "What the activations keep".
        subtitle: a line of your own above the counts.

    Returns:
        An Altair chart; a sentence instead of dots if there are no records.

    Raises:
        RecordError: a column is missing, or a network has a site twice.
    """
    heading = title or "What the activations keep"
    lines = [subtitle] if subtitle else []
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise RecordError(f"records of call sites must have {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
    if frame.empty:
        return nothing(_NOTHING, heading, lines)
    twice = frame.loc[frame.duplicated(["network", "site"]), ["network", "site"]]
    if len(twice):
        raise RecordError(f"site {twice.iloc[0]['site']} of {twice.iloc[0]['network']} is there twice")
    sites, colours = _site_order(frame), network_colours(frame["network"])
    panels = [_panel(name, words, form, sites, colours, frame, first=name == _PANELS[0][0])
              for name, words, form in _PANELS]  # fmt: skip
    notes = [*lines, f"{len(sites):,} call sites from the first (top) to the last"]
    backwards = frame.assign(_turn=frame["network"].map(list(colours).index)).sort_values(
        "_turn", ascending=False, kind="stable"
    )  # the first network is drawn last, on top
    return dress(alt.HConcatChart(hconcat=panels, spacing=18), heading, notes, sites=backwards.drop(columns="_turn"))


def network_colours(names: pd.Series) -> dict[str, str]:
    """Colours of networks, in the order in which they first appear.

    One named after an activation has that activation's colour; of the others the first has LENI's, the second ReLU's
    grey, unless another has it.
    """
    present = [str(name) for name in names.drop_duplicates()]
    own = {name: COLOURS[name] for name in present if name in COLOURS}
    free = iter(dict.fromkeys([COLOURS["leni"], COLOURS["relu"], COLOURS["prelu"], *FURTHER, INK]))
    unused = (colour for colour in free if colour not in own.values())
    return {name: own.get(name) or next(unused, INK) for name in present}


def _site_order(frame: pd.DataFrame) -> list[str]:
    """All sites: in the first network's order, and others after the site that they follow in theirs."""
    order: list[str] = []
    for _, part in frame.groupby("network", sort=False):
        at = 0
        for site in map(str, part["site"]):
            if site in order:
                at = order.index(site) + 1
            else:
                order.insert(at, site)
                at += 1
    return order


def _panel(
    column: str,
    words: str,
    form: str,
    sites: list[str],
    colours: dict[str, str],
    frame: pd.DataFrame,
    *,
    first: bool,
) -> alt.LayerChart:
    """One measure; the first panel has the sites' names."""
    height = len(sites) * (_ROW if len(sites) <= _MANY else _LOW_ROW)
    axis = (
        alt.Axis(labelLimit=260, labelOverlap="greedy", labelPadding=8, title=None, domain=False, ticks=False)
        if first
        else None
    )
    y = alt.Y("site:N", sort=sites, scale=alt.Scale(domain=sites), axis=axis)
    scale = alt.Scale(domain=[0, _end(column, frame)], nice=True)
    x = alt.X(f"{column}:Q", title=words, scale=scale, axis=alt.Axis(format=form, tickCount=4))
    colour = alt.Color(
        "network:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title="network", symbolOpacity=1, symbolSize=90) if len(colours) > 1 else None,
    )
    big, small = (64, 30) if len(sites) <= _MANY else (30, 16)
    size = alt.Size(  # the first network's dot is on top, and smaller, so that another in the same place can be seen
        "network:N", scale=alt.Scale(domain=list(colours), range=[small, *[big] * (len(colours) - 1)]), legend=None
    )
    drawn = alt.Chart(alt.NamedData("sites")).transform_filter(f"isValid(datum.{column})")
    line = drawn.mark_rule(color=INK, opacity=0.45, strokeWidth=1.2).encode(
        y, alt.X(f"min({column}):Q", title=words, scale=scale), x2=f"max({column}):Q"
    )
    dots = drawn.mark_point(filled=True, opacity=1).encode(
        x, y, colour, size, tooltip=tooltips([name for name in _TOLD if name in frame.columns])
    )
    return plane([line, dots], width=_WIDTH, height=height)


def _end(column: str, frame: pd.DataFrame) -> float:
    """The right end of a measure's axis; at least a tenth for fractions, so that nothing does not look like much."""
    least = 0.1 if column in ("dead", "negative_kept") else 1.0
    values = pd.to_numeric(frame[column])
    return max(least, 1.04 * float(values[np.isfinite(values)].max() if np.isfinite(values).any() else 0.0))
