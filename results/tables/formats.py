"""Tables: a front for the terminal, and any frame as CSV, JSON, parquet, or LaTeX with booktabs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from results.errors import ResultsError
from results.files import known_suffix, replace_file
from results.names import SCORES
from results.text import readable
from results.user_view import is_evaluators, shown_names, user_columns

__all__ = [
    "SUFFIXES",
    "booktabs",
    "check_table",
    "front_columns",
    "front_table",
    "save_table",
    "to_csv",
    "to_json",
    "to_latex",
]

SUFFIXES = (".csv", ".json", ".parquet", ".tex")
"""Of files that `save_table` writes."""

_FIRST = ("why", "number", "accuracy", "probability", "front", "params", "macs", "activation", "placement", "widths")
_NUMBERS = frozenset({"number", "accuracy", "probability", "params", "macs"})
_ADDED = ("why", "number", "probability", "front")
_MOST = 10  # columns of an evaluator's table on a terminal
_NEVER = frozenset(
    {"state", "error", "traceback", "started_at", "accuracy_std", "accuracies", "wall_s", "peak_memory", "candidate",
     "start_accuracy", *SCORES}
)  # fmt: skip


def front_table(front: pd.DataFrame, *, objectives: Collection[str] = ()) -> Table:
    """A front for the terminal, one row per trial in the order given.

    Args:
        front: records, as `results.front` gives them.
        objectives: columns that come first in the table of an evaluator's records.

    Returns:
        A rich table. Of an evaluator's records: number, the objectives and the parameters and metrics under the user's
        names, those beyond the tenth column in a last one. Of networks: why (of a shortlist), number, accuracy (with
        its standard deviation over seeds), probability and
        front (of `results.confidence`), params, macs (in millions), activation, placement and widths where the front
        has them; where it does not fit, names wrap and numbers do not. A last
        column has those other fields in which two rows differ, but for what is measured beside the objectives:
        `to_csv` has everything.
    """
    if is_evaluators(front):
        shown = [*(name for name in _ADDED if name in front.columns), *user_columns(front, objectives)]
        shown, others = shown[:_MOST], shown[_MOST:]
    else:
        shown = [str(name) for name in front_columns(front).columns if name in _FIRST]
        shown += [name for name in objectives if name in SCORES and name in front.columns]
        rest = (name for name in front.columns if name not in shown and name not in _FIRST and name not in _NEVER)
        others = [name for name in rest if _varies(front[name])]
    names = shown_names([*shown, *others])
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in shown:
        number = name in _NUMBERS or (name not in _FIRST and pd.api.types.is_numeric_dtype(front[name]))
        table.add_column(
            escape(readable(names[name])), justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    if others:
        table.add_column("and", overflow="fold")
    for row in front.to_dict("records"):
        record = {str(name): _plain(value) for name, value in row.items()}
        cells = [_cell(name, record) for name in shown]
        told = [f"{readable(names[name])}={_cell(name, record)}" for name in others if record[name] is not None]
        table.add_row(*map(escape, [*cells, ", ".join(told)] if others else cells))
    return table


def front_columns(front: pd.DataFrame, *, objectives: Collection[str] = ()) -> pd.DataFrame:
    """The columns of a front that matter most to a reader; for an evaluator's records all columns of the user."""
    if is_evaluators(front):
        columns = [*(name for name in _ADDED if name in front.columns), *user_columns(front, objectives)]
        return pd.DataFrame(front)[columns].rename(columns=shown_names(columns))
    first = [part for name in _FIRST for part in ((name, "accuracy_std") if name == "accuracy" else (name,))]
    named = [name for name in first if name in front.columns and not front[name].isna().all()]
    filled = pd.DataFrame(front).dropna(axis="columns", how="all")
    return pd.DataFrame(front)[named] if named else filled.drop(columns=list(_NEVER), errors="ignore")


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


def to_latex(frame: pd.DataFrame, *, caption: str = "", label: str = "") -> str:
    """A frame as a LaTeX table for the package booktabs, values in as many digits as `front_table` gives them.

    Args:
        frame: any frame; a standard deviation in accuracy_std stands beside the accuracy.
        caption: plain text; none for none.
        label: for references.
    """
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
    names = [str(name) for name in frame.columns if str(name) != "accuracy_std" or "accuracy" not in frame.columns]
    texts = pd.DataFrame([[_cell(name, row) for name in names] for row in rows], columns=names, dtype=object)
    numbers = {name for name in names if pd.api.types.is_numeric_dtype(frame[name]) and not _is_truth(frame[name])}
    return booktabs(texts, numbers, caption=caption, label=label)


def booktabs(texts: pd.DataFrame, numbers: Collection[str], *, caption: str, label: str) -> str:
    """A frame of texts as a LaTeX table.

    Args:
        texts: what the cells say, plain.
        numbers: columns set to the right.
        caption: plain text; none for none.
        label: for references; none for none.
    """
    sides = "".join("r" if name in numbers else "l" for name in texts.columns)
    found: str = texts.fillna("").to_latex(
        index=False,
        escape=True,
        column_format=sides,
        label=label or None,
        position="tbp",
        caption=_escaped(caption) or None,
    )
    return found.replace("\N{MINUS SIGN}", "$-$").replace("±", "$\\pm$")


def check_table(path: str | Path) -> str:
    """The suffix of a file that a table can be saved to, in lower case.

    Raises:
        ResultsError: the suffix is another one.
    """
    return known_suffix(path, SUFFIXES, "a table")


def save_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame; the suffix says how: .csv, .json, .parquet (dtypes kept), .tex (booktabs).

    Args:
        frame: any frame.
        path: the file; what was there stays until the new one is complete.

    Raises:
        ResultsError: the suffix is another one, or the file cannot be written.
    """
    suffix = check_table(path)
    if suffix == ".parquet":
        stream = io.BytesIO()
        pd.DataFrame(frame).to_parquet(stream, index=False)
        content = stream.getvalue()
    else:
        made = {".csv": to_csv, ".json": to_json, ".tex": to_latex}[suffix](frame)
        content = (made if made.endswith("\n") else made + "\n").encode()
    try:
        replace_file(path, content)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}", code="LS-FOLDER-WRITE") from None


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)


def _is_truth(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_bool_dtype(column))


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
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "probability":
        return f"{value:.2f}"
    if name == "macs" and value >= 1000:
        return f"{value / 1e6:,.3f}M"
    if name == "params":
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, int) else " ".join(readable(str(value), 200).split())


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
