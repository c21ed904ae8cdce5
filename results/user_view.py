"""An evaluator's records as its user reads them: plain names, the user's columns first, nothing empty.

The frames of `results.load` keep the columns of `SCHEMA`, those of networks included, and names of users that are taken
have a prefix there (`results.names`). Tables, files and pages show `user_view` of them. Records of networks are shown
as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from results.names import METRIC, PARAMETER, RESERVED, SHARED, plain_name

__all__ = ["is_evaluators", "shown_names", "user_columns", "user_view"]

FIRST = ("run", "why", "number", "probability", "front")
LAST = ("accuracies", "seeds", "epochs", "wall_s", "peak_memory", "device", "started_at")
OURS = "trial:"


def is_evaluators(records: pd.DataFrame) -> bool:
    """Whether records are of a user's own space: there is a trial, and none has a part of a network."""
    parts = [name for name in ("backbone", "widths", "activation", "placement") if name in records.columns]
    return len(records) > 0 and "number" in records.columns and bool(records[parts].isna().all(axis=None))


def user_columns(records: pd.DataFrame, objectives: Collection[str] = ()) -> list[str]:
    """Columns that are the user's own, with values: objectives, then parameters and other metrics as they come."""
    metrics = [name for name in ("accuracy", "accuracy_std", "params", "macs", "latency_ms") if name in records.columns]
    own = [str(name) for name in records.columns if name not in RESERVED]
    ordered = dict.fromkeys([*(name for name in objectives if name in records.columns), *own, *metrics])
    return [name for name in ordered if not records[name].isna().all()]


def user_view(records: pd.DataFrame, *, objectives: Collection[str] = ()) -> pd.DataFrame:
    """Completed records of an evaluator under the user's names; those of networks as they are.

    Args:
        records: rows of `Run.trials`, perhaps with columns that `results.shortlist` or `results.confidence` adds.
        objectives: columns that come first.

    Returns:
        A frame with the trial's number, the objectives, the parameters, other metrics, and what was counted and timed;
        without columns that have no value. Where a parameter or metric has a name of ours, such as number, our column
        is called trial:number; of an objective and a parameter of one name the parameter keeps its prefix.
    """
    if not is_evaluators(records):
        return records
    first = [name for name in FIRST if name in records.columns]
    last = [name for name in LAST if name in records.columns and not _empty(records[name])]
    columns = [*first, *user_columns(records, objectives), *last]
    return pd.DataFrame(records)[columns].rename(columns=shown_names(columns))


def shown_names(columns: Iterable[str]) -> dict[str, str]:
    """What each column is called where a user reads it: no two alike.

    Example:
        >>> shown_names(["number", "metric:error", "param:error", "param:number"])
        {'metric:error': 'error', 'param:error': 'param:error', 'param:number': 'number', 'number': 'trial:number'}
    """
    listed = list(columns)
    ours = [name for name in listed if name in RESERVED - SHARED]
    names: dict[str, str] = {}
    used: set[str] = set()
    for column in sorted((name for name in listed if name not in ours), key=_precedence) + ours:
        name = plain_name(column) if plain_name(column) not in used else column
        while name in used:
            name = (OURS if column in ours else PARAMETER) + name
        names[column] = name
        used.add(name)
    return names


def _precedence(column: str) -> int:
    """Who has a name that two could have: a column of that name, then a metric, then a parameter."""
    return 2 if column.startswith(PARAMETER) else 1 if column.startswith(METRIC) else 0


def _empty(column: pd.Series[Any]) -> bool:
    """Whether it tells nothing: no value, or no epoch was reported."""
    return bool(column.isna().all()) or (column.name == "epochs" and bool((column.dropna() == 0).all()))
