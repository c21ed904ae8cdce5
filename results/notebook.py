"""What a result shows in a notebook: sentences, tables, and its figure as SVG, which needs no script and no network.

Figures and tables are made inside the calls: this is the one place where what knows nothing of them reaches them, and
Altair takes a while to import.
"""

from __future__ import annotations

import html
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ["ROWS", "Drawing", "Shown", "notebook_html", "run_figure", "shown_front"]

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
        from results.figures.inline import inline

        drawn = inline(chart, name=f"figure-{uuid.uuid4().hex[:8]}")
        words = "".join(f"<p>{html.escape(text)}</p>" for text in drawn.title)
        parts.append(f'<div style="background: white; color: #333">{words}{drawn.wide}</div>')
    return "".join(parts)


def run_figure(trials: pd.DataFrame, *, objectives: Mapping[str, str], title: str) -> Any:
    """The front as an Altair chart, see `results.front_figure`."""
    from results.figures import front_figure

    return front_figure(trials, objectives=objectives, title=title)


def shown_front(front: pd.DataFrame, *, objectives: Collection[str] = ()) -> pd.DataFrame:
    """A front's columns as a reader wants them, see `results.front_columns`."""
    from results.tables.formats import front_columns

    return front_columns(front, objectives=objectives)


@dataclass(frozen=True)
class Drawing:
    """A figure by the name of its function in `results.figures`, and what it draws.

    Attributes:
        name: ablation_figure, comparison_figure, ...
        frames: by position.
        options: by keyword.
    """

    name: str
    frames: tuple[pd.DataFrame, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Shown(ABC):
    """An analysis that draws its figure, and shows itself in a notebook as sentences, tables and that figure.

    Subclasses have `sentences`, and say with `_drawing` and `_tables` what there is to see.
    """

    sentences: tuple[str, ...]

    @abstractmethod
    def _drawing(self) -> Drawing:
        """The figure."""

    @abstractmethod
    def _tables(self) -> Iterable[pd.DataFrame]:
        """Shown below the sentences."""

    def _said(self) -> Iterable[str]:
        return self.sentences

    def figure(self) -> Any:
        """The analysis as an Altair chart, see the function of its name in `results.figures`."""
        from results import figures

        drawing = self._drawing()
        return getattr(figures, drawing.name)(*drawing.frames, **drawing.options)

    def __repr__(self) -> str:
        return "\n".join(self._said())

    def _repr_html_(self) -> str:
        return notebook_html(self._said(), self._tables(), self.figure())
