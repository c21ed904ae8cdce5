"""What a result shows in a notebook: sentences, tables, and its figure as SVG, which needs no script and no network."""

from __future__ import annotations

import html
import uuid
from collections.abc import Iterable
from typing import Any

import pandas as pd

__all__ = ["ROWS", "notebook_html"]

ROWS = 60  # of a table; a longer one has its first and last


def notebook_html(sentences: Iterable[str], tables: Iterable[pd.DataFrame], chart: Any = None) -> str:
    """HTML for `_repr_html_`.

    Args:
        sentences: plain text, a paragraph each.
        tables: shown without their index, none for a frame without rows.
        chart: any Altair chart, or None.
    """
    parts = [f"<p>{html.escape(text)}</p>" for text in sentences]
    shown = [table.to_html(index=False, max_rows=ROWS, na_rep="", border=0) for table in tables if len(table)]
    parts += [text.replace("<td>&lt;NA&gt;</td>", "<td></td>") for text in shown]  # nullable dtypes heed no na_rep
    if chart is not None:
        from results.figures.inline import inline  # Altair takes a while to import

        drawn = inline(chart, name=f"figure-{uuid.uuid4().hex[:8]}")
        words = "".join(f"<p>{html.escape(text)}</p>" for text in drawn.title)
        parts.append(f'<div style="background: white; color: #333">{words}{drawn.wide}</div>')
    return "".join(parts)
