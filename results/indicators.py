"""Hypervolume: how much of the objective space a set of records dominates, in one number that only grows.

To be comparable while a run is in progress, and between runs, the scale must not come from the data. Each objective is
mapped to 0 (best conceivable) .. 1 (the reference), and the reference point is (1, ..., 1):

    accuracy    1 - accuracy                        the error; the reference is an accuracy of 0
    params      log10(params) / 9                   1 to 10^9 parameters
    macs        log10(macs) / 12                    1 to 10^12 multiply-adds a sample
    others      linear between the caller's bounds

and clipped there, so a value beyond the reference adds nothing. Bounds given for accuracy, params or macs replace the
fixed ones; the counts stay logarithmic.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from results.errors import ObjectiveError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, check_objectives, completed, minimised

__all__ = ["BOUNDS", "Bounds", "hypervolume", "hypervolume_curve", "hypervolume_of", "observed_bounds", "unit_values"]

Bounds = Mapping[str, tuple[float, float]]
"""Column -> (least, greatest) value, in the column's own unit."""

BOUNDS: Bounds = MappingProxyType({"accuracy": (0.0, 1.0), "params": (1.0, 1e9), "macs": (1.0, 1e12)})
"""The fixed scales. They are part of what a published hypervolume means: never change them, add to them."""

_LOGARITHMIC = frozenset({"params", "macs"})


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """Volume dominated by a set of points, up to a reference point.

    Args:
        values: (n, m), minimised. Rows with NaN, and rows that are not below the reference everywhere, add nothing.
        reference: (m,), finite.

    Returns:
        The exact volume, 0.0 for no points; infinite if a point that counts has a value of minus infinity.

    Raises:
        ObjectiveError: the shapes do not fit, or the reference is not finite.

    Source: Zitzler and Thiele 1998, computed by moocore.

    Example:
        >>> hypervolume([[1.0, 3.0], [2.0, 1.0]], [4.0, 4.0])
        7.0
    """
    points = np.asarray(values, dtype=np.float64)
    limit = np.asarray(reference, dtype=np.float64)
    if limit.ndim != 1 or not len(limit) or not np.isfinite(limit).all():
        raise ObjectiveError(f"reference must be a point of finite numbers, got {reference!r}")
    if points.size == 0:
        return 0.0
    if points.ndim != 2 or points.shape[1] != len(limit):
        raise ObjectiveError(f"values must have shape (rows, {len(limit)}) as the reference has, got {points.shape}")
    points = points[(points < limit).all(axis=1)]
    if np.isneginf(points).any():
        return float("inf")
    return float(moocore.hypervolume(points, ref=limit)) if len(points) else 0.0


def unit_values(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, bounds: Bounds | None = None
) -> NDArray[np.float64]:
    """Objectives on the scale of this file: minimised, 0 best, 1 the reference.

    Args:
        records: a frame with a column for each objective.
        objectives: column -> direction, m of them.
        bounds: scales of objectives that have no fixed one, or other ones.

    Returns:
        (n, m) in 0..1; a missing value is NaN.

    Raises:
        ObjectiveError: a column is missing, or an objective has no bounds, or bounds that do not bound anything.
    """
    check_objectives(objectives)
    scales = [_scale(records, name, bounds) for name in objectives]
    values = minimised(np.column_stack([column for column, _ in scales]), objectives)
    ends = minimised(np.column_stack([limits for _, limits in scales]), objectives)
    best, worst = ends.min(axis=0), ends.max(axis=0)
    return np.clip((values - best) / (worst - best), 0.0, 1.0)


def hypervolume_of(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, bounds: Bounds | None = None
) -> float:
    """Hypervolume of the completed records on the fixed scale of this file.

    The reference is (1, ..., 1): an accuracy of 0, 10^9 parameters, 10^12 multiply-adds, the worse one of bounds.

    Args:
        records: one row per trial.
        objectives: column -> direction.
        bounds: (least, greatest) for each objective that is not accuracy, params or macs.

    Returns:
        A fraction of the unit cube, 0..1.

    Raises:
        ObjectiveError: as `unit_values`.
    """
    values = unit_values(completed(records), objectives=objectives, bounds=bounds)
    return hypervolume(values, np.ones(values.shape[1]))


def observed_bounds(records: pd.DataFrame, *, objectives: Objectives) -> Bounds:
    """Bounds for the objectives that have no fixed scale: the extremes of the completed records and a tenth beyond.

    So have accuracy, params and macs where an evaluator has them in another unit, beyond their fixed scale.

    Args:
        records: one row per trial.
        objectives: column -> direction.

    Returns:
        (least, greatest) by name, never equal, so that a front's ends count; for `hypervolume_of`.
    """
    found = {}
    for name in objectives:
        values = minimised(completed(records), {name: "minimize"})[:, 0]
        values = values[np.isfinite(values)]
        scale = BOUNDS.get(name)
        if scale is None or (values < scale[0]).any() or (values > scale[1]).any():
            low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
            margin = 0.1 * (high - low) or max(1.0, abs(low))
            found[name] = (low - margin, high + margin)
    return found


def hypervolume_curve(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, bounds: Bounds | None = None
) -> pd.DataFrame:
    """Hypervolume after each completed trial, on the scale and with the reference of `hypervolume_of`.

    Trials count in order of their number, the order in which they were asked for, which does not depend on which of
    several workers was faster; a frame without a column number counts in its own order.

    Args:
        records: one row per trial.
        objectives: column -> direction.
        bounds: as in `hypervolume_of`.

    Returns:
        completed (1, 2, ...), number (the trial's), hypervolume (0..1, never falling): a row for each completed trial.

    Raises:
        ObjectiveError: as `unit_values`.
    """
    done = completed(records)
    if "number" in done.columns:
        done = done.sort_values("number", kind="stable")
    values = unit_values(done, objectives=objectives, bounds=bounds)
    numbers = done["number"].to_numpy(dtype=np.int64) if "number" in done.columns else np.arange(len(done))
    count = np.arange(1, len(done) + 1)
    return pd.DataFrame({"completed": count, "number": numbers, "hypervolume": _growth(values)})


def _growth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hypervolume of the first 1, 2, ... rows; computed anew only where a row improves the front."""
    reference = np.ones(values.shape[1])
    front = np.empty((0, values.shape[1]))
    growth = np.zeros(len(values))
    current = 0.0
    for position, row in enumerate(values):
        if (row < reference).all() and not (front <= row).all(axis=1).any():
            front = np.vstack([front[~(row <= front).all(axis=1)], row])
            # Rounding may take a last bit off a sum of more terms.
            current = max(current, hypervolume(front, reference))
        growth[position] = current
    return growth


def _scale(records: pd.DataFrame, name: str, given: Bounds | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One objective's values (n,) and its two bounds (2,), of a count the logarithms of both."""
    bounds = {**BOUNDS, **(given or {})}
    if name not in bounds:
        raise ObjectiveError(f"objective {name} has no fixed scale: give bounds={{{name!r}: (least, greatest)}}")
    low, high = bounds[name]
    values = minimised(records, {name: "minimize"})[:, 0]
    logarithmic = name in _LOGARITHMIC and not (low <= 0 and (values <= 0).any())
    if not (np.isfinite([low, high]).all() and low < high) or (logarithmic and low <= 0):
        rule = "0 < least < greatest" if logarithmic else "least < greatest"
        raise ObjectiveError(f"bounds of {name} must be finite with {rule}, got {(low, high)}")
    limits = np.array([low, high], dtype=np.float64)
    return (np.log10(np.clip(values, low, high)), np.log10(limits)) if logarithmic else (values, limits)
