"""An ablation as tables: for the terminal, for a README (Markdown), for a paper (LaTeX with booktabs).

The numbers in full precision are those of `Ablation.effects`; here they are as a reader wants them.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from results.analyses.ablation import Ablation
from results.tables.formats import booktabs

__all__ = ["effects_latex", "effects_markdown", "effects_table", "effects_text"]

MINUS = "\N{MINUS SIGN}"


def effects_text(found: Ablation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects and interactions as texts.

    Args:
        found: what `results.ablation` gave.

    Returns:
        Two frames of texts. Of effects: change ("kernel 1 for 3"), points, interval, p (adjusted for all
        comparisons), P(better) with its interval, seeds, params (what the change adds), verdict; of interactions the
        same without params.
    """
    level = f"{found.level:.0%} interval"
    effects = [
        {"change": f"{row['factor']} {row['level']} for {row['base']}", **_measures(row, level, params=True)}
        for row in found.effects.to_dict("records")
    ]
    both = [
        {"change": f"{row['first']} and {row['second']}: {row['levels']}", **_measures(row, level, params=False)}
        for row in found.interactions.to_dict("records")
    ]
    return pd.DataFrame(effects), pd.DataFrame(both)


def effects_table(found: Ablation) -> Table:
    """Both for the terminal, one below the other."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    effects, both = effects_text(found)
    for name in effects.columns:
        left = name in ("change", "verdict")
        table.add_column(name, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for frame in (effects, both):
        for row in frame.to_dict("records"):
            table.add_row(*(row.get(name, "") for name in effects.columns))
        table.add_section()
    return table


def effects_markdown(found: Ablation) -> str:
    """Both as Markdown, then what is said of them."""
    parts = [_markdown(frame) for frame in effects_text(found) if len(frame)]
    said = [f"- {text}" for text in (*found.sentences, *found.left_out)]
    return "\n\n".join([*parts, "\n".join(said)]) + "\n"


def effects_latex(found: Ablation, *, caption: str = "Ablation: accuracy points against the base.") -> str:
    """Both as LaTeX tables, for booktabs.

    Args:
        found: what `results.ablation` gave.
        caption: plain text, of the first table.
    """
    effects, both = effects_text(found)
    texts = [_latex(effects, caption, "tab:ablation")] if len(effects) else []
    if len(both):
        texts.append(_latex(both, "Two changes together, beyond the sum of both.", "tab:interactions"))
    return "\n".join(texts)


def _measures(row: dict[Any, Any], level: str, *, params: bool) -> dict[str, str]:
    found = {
        "points": _signed(row["points"]),
        level: f"{_signed(row['points_low'])} to {_signed(row['points_high'])}",
        "p (adjusted)": _p(row["p_adjusted"]),
        "P(better)": f"{row['superiority']:.2f} [{row['superiority_low']:.2f}, {row['superiority_high']:.2f}]",
        "seeds": str(row["n"]),
    }
    change = row.get("params_change")
    if params and change is not None and pd.notna(change):
        found["params"] = f"{int(change):+,}".replace("-", MINUS)
    needed = f", {int(row['needed']):,} seeds would settle it" if pd.notna(row["needed"]) else ""
    return {**found, "verdict": row["verdict"] + needed}


def _signed(value: float) -> str:
    if math.isinf(value):
        return "infinite"
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", MINUS)


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _markdown(frame: pd.DataFrame) -> str:
    rows = [list(frame.columns), *([str(cell) for cell in row] for row in frame.itertuples(index=False))]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    rule = "|" + "|".join("---" if name in ("change", "verdict") else "---:" for name in frame.columns) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _latex(frame: pd.DataFrame, caption: str, label: str) -> str:
    return booktabs(frame, [name for name in frame.columns if name not in ("change", "verdict")], caption=caption,
                    label=label)  # fmt: skip
