"""Tables: a front for the terminal, and any frame as CSV or JSON in full precision."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

__all__ = ["front_table", "to_csv", "to_json"]

_FIRST = ("number", "accuracy", "params", "macs", "activation", "placement", "widths")
_NUMBERS = frozenset({"number", "accuracy", "params", "macs"})
_NEVER = frozenset({"state", "error", "started_at", "accuracy_std", "accuracies", "wall_s", "peak_memory"})


def front_table(front: pd.DataFrame) -> Table:
    """A front for the terminal, a row a trial in the order given.

    Args:
        front: records, as `results.front` gives them.

    Returns:
        A rich table: number, accuracy (with its standard deviation over seeds), params, macs (in millions), activation,
        placement and widths where the front has them; where it does not fit, names wrap and numbers do not. A last
        column has those other fields in which two rows differ, but for the wall time: `to_csv` has everything.
    """
    shown = [name for name in _FIRST if name in front.columns and not front[name].isna().all()]
    others = [name for name in front.columns if name not in _FIRST and name not in _NEVER and _varies(front[name])]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in shown:
        number = name in _NUMBERS
        table.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    if others:
        table.add_column("and", overflow="fold")
    for row in front.to_dict("records"):
        record = {str(name): _plain(value) for name, value in row.items()}
        cells = [_cell(name, record) for name in shown]
        told = [f"{name}={_cell(name, record)}" for name in others if record[name] is not None]
        table.add_row(*map(escape, [*cells, ", ".join(told)] if others else cells))
    return table


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV, without its index: numbers in full precision, missing values empty, times as ISO 8601.

    Args:
        frame: any frame.

    Returns:
        A header and a line for each row, ended by line feeds.
    """
    return str(frame.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%f%z"))


def to_json(frame: pd.DataFrame) -> str:
    """A frame as a JSON array with an object for each row, without its index.

    Args:
        frame: any frame.

    Returns:
        JSON: whole numbers whole, others in full precision, times as ISO 8601 text; null for what is missing or, as
        JSON has no word for it, infinite.
    """
    columns = {str(name): [_json(value) for value in frame[name].astype(object)] for name in frame.columns}
    rows = zip(*columns.values(), strict=True)
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows], allow_nan=False, ensure_ascii=False)


def _varies(column: pd.Series[Any]) -> bool:
    """Whether two rows have different values; a row without a value differs from none."""
    return column.nunique() > 1


def _cell(name: str, record: dict[str, Any]) -> str:
    """One value in words, short enough for a terminal."""
    value = record[name]
    if value is None:
        return ""
    if name == "accuracy":
        spread = record.get("accuracy_std")
        return f"{value:.4f}" + (f" ± {spread:.4f}" if spread else "")
    if name == "macs":
        return f"{value / 1e6:,.3f}M"
    if name == "params":
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """A Python value, None for a missing one."""
    plain = value.item() if isinstance(value, np.generic) else value
    missing = plain is None or plain is pd.NA or plain is pd.NaT or (isinstance(plain, float) and math.isnan(plain))
    return None if missing else plain


def _json(value: Any) -> Any:
    """A value that JSON has."""
    plain = _plain(value)
    if isinstance(plain, pd.Timestamp):
        return plain.isoformat()
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    return plain if plain is None or isinstance(plain, (bool, int, str)) else str(plain)
