"""A shortlist: the few of a front for somebody who needs one network."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from results.errors import ObjectiveError, ResultsError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, completed, front, minimised, wanted_and_costs
from results.indicators import Bounds, observed_bounds, unit_values
from results.names import plain_name

__all__ = ["shortlist"]


def shortlist(
    records: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    under: float | Mapping[str, float] | None = None,
    within: float | None = None,
    knee: bool = False,
    bounds: Bounds | None = None,
) -> pd.DataFrame:
    """The few of a front for somebody who needs one network.

    Args:
        records: one row per trial.
        objectives: column -> direction; accuracy, else the first, is what is wanted, the others are costs.
        under: most of the first cost, or of each column that is named; alone it asks for the best that remains.
        within: the cheapest, in the first cost, that is no more than this worse than the best in what is wanted: 0.005
            for half a point of accuracy.
        knee: the one farthest from the line (or plane) between the front's ends, costs that have a logarithmic scale in
            it, where a little more of one objective stops buying much of the other.
        bounds: scales for `knee` of objectives that have no fixed one; None takes those of the records.

    Returns:
        Rows of the front of what is within the limits, at most one for each option, with a column why; the whole front
        where no option is given; no row where nothing is left.

    Raises:
        ObjectiveError: as `results.front`, or there is no cost, or under names a column that is no number.
        ResultsError: within is negative or no number, or a limit is no number.
    """
    wanted, costs = wanted_and_costs(objectives)
    if under is None and within is None and not knee:
        return front(records, objectives=objectives).assign(why="front")
    if not costs:
        raise ObjectiveError("a shortlist needs an objective and a cost, got one objective")
    if within is not None and not within >= 0:
        raise ResultsError(f"within must be at least 0, such as 0.005 for half a point, got {within}")
    limits = {costs[0]: under} if isinstance(under, (int, float)) else dict(under or {})
    left = completed(records)
    for name, most in limits.items():
        if math.isnan(most):
            raise ResultsError(f"the limit of {name} must be a number, got {most}")
        left = left[minimised(left, {name: "minimize"})[:, 0] <= most]
    best = front(left, objectives=objectives)
    picked = _picked(best, {name: objectives[name] for name in (wanted, *costs)}, within, knee, bounds)
    words = " and ".join(f"{plain_name(name)} at most {most:,.10g}" for name, most in limits.items())
    rows = best.iloc[list(picked.values())]
    return rows.assign(why=[f"{why}, {words}" if words else why for why in picked])


def _picked(
    best: pd.DataFrame, objectives: Objectives, within: float | None, knee: bool, bounds: Bounds | None
) -> dict[str, int]:
    """Why -> position in the front; what is wanted is the first objective."""
    picked: dict[str, int] = {}
    if best.empty:
        return picked
    values = minimised(best, objectives)
    wanted, cost = values[:, 0], values[:, 1]
    if within is not None:
        near = np.flatnonzero(wanted <= wanted.min() + within + 1e-12)
        picked[f"cheapest within {within:g} of the best"] = int(near[np.lexsort((wanted[near], cost[near]))[0]])
    if knee:
        picked["knee"] = _knee(best, objectives, bounds)
    if not picked:
        picked["best"] = int(np.lexsort((cost, wanted))[0])
    return picked


def _knee(best: pd.DataFrame, objectives: Objectives, bounds: Bounds | None) -> int:
    """Position of the knee: least sum of the objectives, each from 0 (best) to 1 (worst) over the front."""
    values = unit_values(best, objectives=objectives, bounds=bounds or observed_bounds(best, objectives=objectives))
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin(scaled.sum(axis=1)))
