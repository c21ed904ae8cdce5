"""What runs attain: surfaces that a fraction of repeated runs reaches, and the best value at a given cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from results.errors import ObjectiveError, ResultsError
from results.fronts import (
    DEFAULT_OBJECTIVES,
    Objectives,
    completed,
    front,
    is_non_dominated,
    minimised,
    wanted_and_costs,
)

__all__ = ["SHARES", "attained", "attainment"]

SHARES = (0.25, 0.5, 0.75)
"""Of runs or draws that attain a surface."""

Floats = NDArray[np.float64]


def attainment(
    runs: Sequence[pd.DataFrame], *, objectives: Objectives = DEFAULT_OBJECTIVES, shares: Sequence[float] = SHARES
) -> pd.DataFrame:
    """Surfaces that a fraction of runs attains: the front of a good, a median and a poor run.

    Args:
        runs: records of repeated runs.
        objectives: column -> direction, two or three.
        shares: in (0, 1]: a surface is attained by at least this fraction of the runs.

    Returns:
        share, and a column for each objective: the corners of each surface, sorted as a front.

    Raises:
        ObjectiveError: as `results.front`, or not two or three objectives.
        ResultsError: no run, or a share outside of (0, 1].

    Source: Fonseca, Guerreiro, Lopez-Ibanez, Paquete, EMO 2011, computed by moocore.
    """
    if len(objectives) not in (2, 3):
        raise ObjectiveError(f"attainment is of two or three objectives, got {', '.join(objectives)}")
    if not runs or not all(0 < share <= 1 for share in shares):
        raise ResultsError(f"attainment needs a run, and shares in (0, 1], got {len(runs)} runs and {list(shares)}")
    parts = [_finite(minimised(completed(run), objectives)) for run in runs]
    points = np.vstack(parts)
    columns = ["share", *objectives]
    if not len(points):
        return pd.DataFrame(columns=columns, dtype=np.float64)
    # moocore leaves runs without points out of its count, so the shares are turned into numbers of runs here.
    sets = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    present = sum(1 for part in parts if len(part))
    signs = minimised(np.ones((1, len(objectives))), objectives)[0]
    tables = []
    for share in shares:
        wanted = math.ceil(share * len(runs) - 1e-9)
        if wanted > present:
            continue
        surface = moocore.eaf(points, sets, percentiles=[100.0 * (wanted - 0.5) / present])[:, :-1]
        surface = np.unique(surface[is_non_dominated(surface)], axis=0)
        table = front(pd.DataFrame(surface * signs, columns=list(objectives)), objectives=objectives)
        table.insert(0, "share", share)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns, dtype=np.float64)


def attained(records: pd.DataFrame, costs: ArrayLike, *, objectives: Objectives = DEFAULT_OBJECTIVES) -> Floats:
    """The best that is wanted at no more than some cost: a front read as a function of its cost.

    Args:
        records: one row per trial, or a surface of `attainment`.
        costs: (n,) of the first cost, in its own unit.
        objectives: column -> direction, two.

    Returns:
        (n,) in the unit of what is wanted; NaN where nothing costs so little.

    Raises:
        ObjectiveError: as `results.front`, or not two objectives.
    """
    wanted, costed = wanted_and_costs(objectives)
    if len(costed) != 1:
        raise ObjectiveError(f"what is attained at a cost is of two objectives, got {', '.join(objectives)}")
    cost = costed[0]
    directions = {cost: objectives[cost], wanted: objectives[wanted]}
    values = minimised(completed(records), directions)
    values = values[~np.isnan(values).any(axis=1)]
    at = minimised(np.asarray(costs, dtype=np.float64)[:, None], {cost: objectives[cost]})[:, 0]
    if not len(values):
        return np.full(len(at), np.nan)
    values = values[np.argsort(values[:, 0], kind="stable")]
    best = np.concatenate([[np.nan], np.minimum.accumulate(values[:, 1])])
    found = best[np.searchsorted(values[:, 0], at, side="right")]
    return minimised(found[:, None], {wanted: objectives[wanted]})[:, 0]


def _finite(values: Floats) -> Floats:
    """Rows that are finite everywhere, and on their front: all that attainment needs."""
    values = values[np.isfinite(values).all(axis=1)]
    return values[is_non_dominated(values)]
