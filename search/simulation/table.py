"""A table of recorded results: which candidates there are, and what each of their seeds came to.

Read from JSON lines, CSV, parquet, or a run's folder. One row a training: parameter columns, objective columns, perhaps
a column with the learning curve as a list. Rows with equal parameters are seeds of one candidate. A missing parameter
is one that the candidate does not have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

import results
from leni.errors import DataError
from results.names import curve_column, plain_name
from results.searched_columns import dimensions

__all__ = ["CURVE", "Roles", "Row", "Table", "read_table", "roles_of"]

Array = NDArray[np.float64]
CURVE = "curve"  # of a run folder: what the learning curves of its trials are called
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")


@dataclass(frozen=True)
class Row:
    """One candidate.

    Attributes:
        parameters: by name; what it does not have is missing.
        values: (seeds, m), of the objectives, in their own unit.
        curves: of each seed, one reading an epoch; empty where the table has no curves.
        times: (seeds,), how long a training took.
        proxies: (k,), of the table's proxies, mean over the seeds; NaN where there is none.
    """

    parameters: Mapping[str, Any]
    values: Array
    curves: tuple[Array, ...]
    times: Array
    proxies: Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Table:
    """All candidates.

    Attributes:
        rows: in the order in which they first appear.
        objectives: name -> "maximize" or "minimize".
        distributions: of the parameters: the values that the table has, sorted.
        epochs: of a training, by its curve; 1 where there are no curves.
        proxies: columns that may tell of the first objective that is not known before a trial: name -> "maximize" where
            more is expected to be better, or "minimize".
    """

    rows: Sequence[Row]
    objectives: Mapping[str, str]
    distributions: Mapping[str, BaseDistribution]
    epochs: int
    proxies: Mapping[str, str] = field(default_factory=dict)

    def means(self) -> Array:
        """Objective values (rows, m), mean over the seeds."""
        return np.array([row.values.mean(axis=0) for row in self.rows])


@dataclass(frozen=True)
class Roles:
    """Which columns are what.

    Attributes:
        parameters: that make a candidate.
        objectives: name -> "maximize" or "minimize".
        known: objectives that are known before a trial.
    """

    parameters: Sequence[str]
    objectives: Mapping[str, str]
    known: Sequence[str]


def roles_of(
    folder: Path,
    *,
    known: Sequence[str],
    parameters: Sequence[str] = (),
    objectives: Mapping[str, str] | None = None,
) -> Roles:
    """What the columns of a run are.

    Args:
        folder: of the run.
        known: objectives that are known of a network before it is trained.
        parameters: others than the run's own.
        objectives: likewise.

    Raises:
        DataError: no parameters are given, and its completed trials do not differ in anything that was chosen.
        ResultsError: the folder does not hold a run.
    """
    run = results.load(folder)
    wanted = objectives or run.objectives
    parameters = parameters or dimensions(run.trials, objectives=wanted, chosen=run.environment.get("chosen"))
    if not parameters:
        raise DataError(f"{folder} has no completed trials that differ in a parameter, so there is nothing to simulate")
    networks = run.trials["backbone"].notna().any()
    return Roles(parameters, wanted, [name for name in wanted if networks and name in known])


def read_table(
    path: str | Path,
    *,
    parameters: Sequence[str],
    objectives: Mapping[str, str],
    curve: str | None = None,
    time: str | None = None,
    proxies: Mapping[str, str] | None = None,
    judged: str = "accuracy",
) -> Table:
    """A table from a file or a run's folder.

    Args:
        path: .jsonl, .csv or .parquet; or a folder, of which the completed trials count.
        parameters: columns that make a candidate.
        objectives: column -> "maximize" or "minimize".
        curve: column with a list of readings, one an epoch; of a folder, "curve" is what `judged` was by epoch.
        time: column with the duration of a training; None for one unit an epoch.
        proxies: column -> "maximize" or "minimize"; cells may be missing.
        judged: the objective that a folder's curves are of.

    Raises:
        DataError: the file cannot be read, is empty, has no such column, or a value that cannot be used; the message
            names the file, the column and the first row.
        ResultsError: the folder does not hold a run.
    """
    path = Path(path)
    frame = _folder(path, curve, judged) if path.is_dir() else _file(path)
    if not len(frame):
        raise DataError(f"{path} has no rows")
    proxies = proxies or {}
    wanted = [*parameters, *objectives, *([curve] if curve else []), *([time] if time else []), *proxies]
    if not parameters or not objectives:
        raise DataError(f"a table needs parameter and objective columns; {path} has {_listed(frame)}")
    for name in wanted:
        if name not in frame.columns:
            raise DataError(f"{path} has no column {name!r}; it has {_listed(frame)}")
    roles = [*parameters, *objectives, *proxies]
    if doubled := [name for name in roles if roles.count(name) > 1]:
        raise DataError(f"column {doubled[0]!r} is named twice among parameters, objectives and proxies")
    values = np.column_stack([_numbers(frame[name], name, path) for name in objectives])
    curves = _curves(frame[curve], curve, path) if curve else None
    times = _numbers(frame[time], time, path) if time else np.full(len(frame), float(_epochs(curves)))
    if (times <= 0).any():
        raise DataError(f"{path}: {time} must be above 0, got {times.min():g}")
    columns = {name: _parameter(frame[name], name, path) for name in parameters}
    told = [_numbers(frame[name], name, path, missing=True) for name in proxies]
    rows = _grouped(columns, values, curves, times, np.column_stack([np.empty((len(frame), 0)), *told]))
    distributions = {name: CategoricalDistribution(_choices(column)) for name, column in columns.items()}
    return Table(rows, dict(objectives), distributions, _epochs(curves), dict(proxies))


def _epochs(curves: Sequence[Array] | None) -> int:
    return len(curves[0]) if curves else 1


def _listed(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns))


def _file(path: Path) -> pd.DataFrame:
    """The frame of a file."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} must end in {', '.join(SUFFIXES)}, or be a run's folder")
    if not path.exists():
        raise DataError(f"{path} does not exist")
    try:
        if suffix == ".csv":
            return pd.read_csv(path)
        if suffix == ".parquet":
            return pd.read_parquet(path)
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:  # what pandas, pyarrow and json raise for a broken file
        raise DataError(f"{path} cannot be read as {suffix[1:]}: {str(error).splitlines()[0]}") from None
    if len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must have one JSON object a line")
    return pd.DataFrame(rows)


def _folder(path: Path, curve: str | None, judged: str) -> pd.DataFrame:
    """The completed trials of a run, with their curves of an objective where asked for: the mean over seeds.

    Raises:
        DataError: the objective was not reported over time.
    """
    run = results.load(path)
    frame = run.trials[run.trials["state"] == "completed"].reset_index(drop=True)
    if curve == CURVE and CURVE not in frame.columns:
        name = curve_column(judged)
        if name not in run.curves.columns or run.curves[name].isna().all():
            raise DataError(f"{path} has no learning curves of {plain_name(judged)!r}: its trials did not report it")
        mean = run.curves.groupby(["number", "epoch"])[name].mean().reset_index().sort_values("epoch")
        frame = frame.assign(**{CURVE: frame["number"].map(mean.groupby("number")[name].apply(list))})
    return frame


def _numbers(column: pd.Series, name: str, path: Path, *, missing: bool = False) -> Array:
    """A column of finite numbers, some of which may be missing."""
    try:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"{path}: column {name!r} must be numbers, it is {column.dtype}") from None
    if missing:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DataError(f"{path}: {name} must be a finite number in every row, got {column.iloc[row]} in row {row + 1}")
    return np.asarray(numbers)


def _curves(column: pd.Series, name: str, path: Path) -> list[Array]:
    """A column of lists of equal length; a NaN reading is allowed."""
    curves: list[Array] = []
    for row, cell in enumerate(column):
        try:
            readings = json.loads(cell) if isinstance(cell, str) else cell
            curve = np.array([math.nan if one is None else one for one in readings], dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{path}: {name} must be a list of numbers, got {cell!r} in row {row + 1}") from None
        if curve.ndim != 1 or not len(curve):
            raise DataError(f"{path}: {name} must be a list of at least one number, got {cell!r} in row {row + 1}")
        if curves and len(curve) != len(curves[0]):
            raise DataError(
                f"{path}: {name} must have as many epochs in every row, got {len(curves[0])} in row 1 and "
                f"{len(curve)} in row {row + 1}"
            )
        curves.append(curve)
    return curves


def _parameter(column: pd.Series, name: str, path: Path) -> list[Any]:
    """A column of parameter values; whole numbers as int, missing ones as None."""
    cells = [None if _missing(cell) else cell.item() if isinstance(cell, np.generic) else cell for cell in column]
    if any(not isinstance(cell, (str, bool, int, float)) for cell in cells if cell is not None):
        wrong = next(cell for cell in cells if cell is not None and not isinstance(cell, (str, bool, int, float)))
        raise DataError(f"{path}: parameter {name!r} must be text, numbers or booleans, got {wrong!r}")
    if all(isinstance(cell, float) and cell.is_integer() for cell in cells if cell is not None):
        return [None if cell is None else int(cell) for cell in cells]
    return cells


def _missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell))


def _choices(column: Sequence[Any]) -> list[Any]:
    """The values of a column, sorted: booleans, numbers, text."""
    found = {(type(cell) is bool, isinstance(cell, str), cell) for cell in column if cell is not None}
    return [cell for *_, cell in sorted(found, key=lambda one: (one[1], not one[0], one[2]))] or [""]


def _grouped(
    columns: Mapping[str, Sequence[Any]],
    values: Array,
    curves: Sequence[Array] | None,
    times: Array,
    proxies: Array,
) -> list[Row]:
    """Rows with equal parameters together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, cells in enumerate(zip(*columns.values(), strict=True)):
        groups.setdefault(tuple((type(cell).__name__, cell) for cell in cells), []).append(row)
    return [
        Row(
            {name: cell for name, (_, cell) in zip(columns, cells, strict=True) if cell is not None},
            values[members],
            tuple(curves[row] for row in members) if curves else (),
            times[members],
            proxies[members].mean(axis=0),
        )
        for cells, members in groups.items()
    ]
