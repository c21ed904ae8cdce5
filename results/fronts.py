"""Signs, dominance, ranks and fronts: the only place that knows which direction of an objective is better.

Every array here is minimised, shape (n, m): n rows, m objectives. A row dominates another if it is nowhere worse and
somewhere better. A row with NaN is not comparable: it dominates nothing and is never on a front. Infinite values are
ordinary values. Rows that are exactly equal do not dominate each other, so all of them are kept.

Source of the sweep: moocore (Kung, Luccio, Preparata 1975; Jensen 2003). It reads memory that is not its own when it
meets infinity in three or more objectives (0.3.2), so it is handed ordinal numbers, under which dominance is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import cast

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from results.errors import ObjectiveError

__all__ = [
    "COMPLETED",
    "DEFAULT_OBJECTIVES",
    "Objectives",
    "check_objectives",
    "completed",
    "crowding",
    "dominated",
    "front",
    "is_non_dominated",
    "minimised",
    "ranks",
    "wanted_and_costs",
]

Objectives = Mapping[str, str]
"""Column of the records -> "maximize" or "minimize", in order of importance to the reader."""

DEFAULT_OBJECTIVES: Objectives = MappingProxyType({"accuracy": "maximize", "params": "minimize"})
"""What a run searches for unless its environment.json says otherwise."""

COMPLETED = "completed"
"""The one state whose records enter a front."""

_BLOCK = 4_000_000  # numbers compared at once

_SIGNS = MappingProxyType({"minimize": 1.0, "maximize": -1.0})


def check_objectives(objectives: Objectives) -> None:
    """Says what is wrong with objectives, if anything is.

    Raises:
        ObjectiveError: there is no objective, or a direction other than "maximize" and "minimize".
    """
    if not isinstance(objectives, Mapping) or not objectives:
        raise ObjectiveError(f"objectives must be a mapping such as {{'accuracy': 'maximize'}}, got {objectives!r}")
    for name, direction in objectives.items():
        if not isinstance(direction, str) or direction not in _SIGNS:
            raise ObjectiveError(f"objective {name} must be 'maximize' or 'minimize', got {direction!r}")


def wanted_and_costs(objectives: Objectives) -> tuple[str, tuple[str, ...]]:
    """What is wanted, and what it costs: accuracy, else the first objective, and the others in their order.

    Raises:
        ObjectiveError: as `check_objectives`.
    """
    check_objectives(objectives)
    wanted = "accuracy" if "accuracy" in objectives else next(iter(objectives))
    return wanted, tuple(name for name in objectives if name != wanted)


def minimised(records: pd.DataFrame | ArrayLike, objectives: Objectives = DEFAULT_OBJECTIVES) -> NDArray[np.float64]:
    """Objective values with their signs turned so that less is better everywhere.

    Args:
        records: a frame with a column for each objective, or an array (n, m) in the order of the objectives.
        objectives: column -> direction, m of them.

    Returns:
        A new array (n, m); a missing value is NaN.

    Raises:
        ObjectiveError: a column is missing or not numeric, or the array is not (n, m).

    Example:
        >>> minimised([[0.9, 100.0]], {"accuracy": "maximize", "params": "minimize"}).tolist()
        [[-0.9, 100.0]]
    """
    check_objectives(objectives)
    if isinstance(records, pd.DataFrame):
        values = np.empty((len(records), len(objectives)))
        for position, name in enumerate(objectives):
            values[:, position] = _column(records, name)
    else:
        values = _matrix(records)
        if values.shape[1] != len(objectives):
            raise ObjectiveError(f"values must have {len(objectives)} columns, one for each objective of "
                                 f"{', '.join(objectives)}, got {values.shape[1]}")  # fmt: skip
    return values * np.array([_SIGNS[direction] for direction in objectives.values()])


def is_non_dominated(values: ArrayLike) -> NDArray[np.bool_]:
    """Which rows no other row dominates.

    Args:
        values: (n, m), minimised.

    Returns:
        (n,); of equal rows all or none. A row with NaN is False.

    Raises:
        ObjectiveError: values is not a matrix of at least one column.
    """
    matrix = _matrix(values)
    comparable = _comparable(matrix)
    result = np.zeros(len(matrix), dtype=bool)
    if comparable.any():
        result[comparable] = moocore.is_nondominated(_ordinal(matrix[comparable]), keep_weakly=True)
    return result


def dominated(values: ArrayLike, by: ArrayLike) -> NDArray[np.bool_]:
    """Which rows some row of another set dominates.

    Args:
        values: (n, m), minimised.
        by: (k, m), minimised; only its front counts.

    Returns:
        (n,) of bool; False for rows with NaN.

    Raises:
        ObjectiveError: one is not a matrix of at least one column, or they have different columns.
    """
    matrix, other = _matrix(values), _matrix(by)
    if matrix.shape[1] != other.shape[1]:
        raise ObjectiveError(f"both sets must have the same objectives, got {matrix.shape[1]} and {other.shape[1]}")
    best = np.unique(other[is_non_dominated(other)], axis=0)
    result = np.zeros(len(matrix), dtype=np.bool_)
    rows = np.flatnonzero(_comparable(matrix))
    if not len(best) or not len(rows):
        return result
    if matrix.shape[1] == 2:  # sorted by the first objective, the front falls in the second: its last one counts
        last = np.searchsorted(best[:, 0], matrix[rows, 0], side="right") - 1
        found, nearest = last >= 0, best[np.maximum(last, 0)]
        result[rows] = found & np.all(nearest <= matrix[rows], axis=1) & np.any(nearest < matrix[rows], axis=1)
        return result
    step = max(1, _BLOCK // best.size)
    for start in range(0, len(rows), step):
        part = matrix[rows[start : start + step], None]
        result[rows[start : start + step]] = np.any(np.all(best <= part, axis=2) & np.any(best < part, axis=2), axis=1)
    return result


def ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Non-dominated sorting: how many fronts have to be taken away before a row is on one.

    Args:
        values: (n, m), minimised.

    Returns:
        (n,); 0 is the front. Rows with NaN come after all others: the last rank plus one, 0 if there are no others.

    Raises:
        ObjectiveError: values is not a matrix of at least one column.

    Source: Deb et al. 2002, section III A.
    """
    matrix = _matrix(values)
    comparable = _comparable(matrix)
    result = np.zeros(len(matrix), dtype=np.int64)
    if comparable.any():
        result[comparable] = moocore.pareto_rank(_ordinal(matrix[comparable]))
        result[~comparable] = result[comparable].max() + 1
    return result


def crowding(values: ArrayLike, ranks: ArrayLike) -> NDArray[np.float64]:
    """Crowding distance of each row among the rows of its rank: more is lonelier.

    Args:
        values: (n, m), minimised.
        ranks: (n,), as `ranks` gives them.

    Returns:
        (n,); infinite at the ends of a rank in any objective (of equal rows the one that comes first at the lower
        end, last at the upper end), 0 for rows with NaN. An objective that is constant or infinite within a rank
        adds nothing between its ends.

    Raises:
        ObjectiveError: values is not a matrix, or ranks has another length.

    Source: Deb et al. 2002, section III B.
    """
    matrix = _matrix(values)
    levels = np.asarray(ranks)
    if levels.shape != (len(matrix),):
        raise ObjectiveError(f"ranks must have shape ({len(matrix)},), one for each row, got {levels.shape}")
    result = np.zeros(len(matrix))
    comparable = _comparable(matrix)
    for rows in _groups(levels, comparable):
        for column in matrix[rows].T:
            order = np.argsort(column, kind="stable")
            ends, ordered = rows[order[[0, -1]]], column[order]
            span = ordered[-1] - ordered[0] if np.isfinite(ordered[[0, -1]]).all() else 0.0
            if span > 0:
                result[rows[order[1:-1]]] += (ordered[2:] - ordered[:-2]) / span
            result[ends] = np.inf
    return result


def completed(records: pd.DataFrame) -> pd.DataFrame:
    """The records that may enter a front: completed trials, or all rows of a frame that has no column state."""
    if "state" not in records.columns:
        return records
    return records[(records["state"] == COMPLETED).fillna(False).astype(bool)]


def front(records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES) -> pd.DataFrame:
    """The completed records that no other completed record dominates.

    Args:
        records: one row per trial; a frame without a column state (a table of another tool) counts as completed.
        objectives: column -> direction.

    Returns:
        A new frame with the columns and index labels of records, best last objective first, then best in the
        objectives before it. Equal objective vectors are all kept; a record without one of the objectives is not.

    Raises:
        ObjectiveError: the objectives are not valid, or a column is missing or not numeric.

    Example:
        >>> frame = pd.DataFrame({"accuracy": [0.9, 0.8, 0.7], "params": [300, 100, 200]})
        >>> front(frame).index.tolist()
        [1, 0]
    """
    candidates = completed(records)
    values = minimised(candidates, objectives)
    rows = np.flatnonzero(is_non_dominated(values))
    # lexsort is stable and its last key counts first: the last objective leads, then the first, second, ...
    keys = [*values[rows, :-1].T[::-1], values[rows, -1]]
    return candidates.iloc[rows[np.lexsort(keys)]].copy()


def _column(records: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """One objective as numbers."""
    if not len(records):  # an objective that is an evaluator's own is a column only once a trial had it
        return np.empty(0)
    if name not in records.columns:
        raise ObjectiveError(
            f"objective {name} is not a column of the records, which have {', '.join(records.columns)}"
        )
    try:
        return cast(NDArray[np.float64], records[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        raise ObjectiveError(f"objective {name} must be numeric, its column is {records[name].dtype}") from None


def _matrix(values: ArrayLike) -> NDArray[np.float64]:
    """Values as (n, m) floats."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ObjectiveError(f"values must have shape (rows, objectives) with an objective, got {matrix.shape}")
    return matrix


def _comparable(matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows (n,) without NaN."""
    return np.asarray(~np.isnan(matrix).any(axis=1), dtype=np.bool_)


def _ordinal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's values numbered from the least, equal ones equally: same dominance, nothing infinite."""
    return np.column_stack([np.unique(column, return_inverse=True)[1].ravel() for column in matrix.T]).astype(float)


def _groups(levels: NDArray[np.int64], comparable: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each rank, without the rows that cannot be compared."""
    rows = np.flatnonzero(comparable)
    order = rows[np.argsort(levels[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(levels[order])) + 1
    yield from (group for group in np.split(order, starts) if len(group))
