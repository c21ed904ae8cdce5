"""How hypervolume grows over trials and over cost, of one run or of repeated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from results.errors import ResultsError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, minimised
from results.indicators import Bounds, hypervolume_curve

__all__ = ["OVER", "growth", "hypervolume_cost"]

OVER = ("trials", "hours")
"""What hypervolume is drawn over: completed trials, or hours of all trials."""

STEPS = 300  # places at which a band is read, at most


def growth(
    runs: Mapping[str, Sequence[pd.DataFrame]],
    *,
    over: str = "trials",
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
) -> pd.DataFrame:
    """Median and quartiles over repeated runs of the hypervolume so far.

    Args:
        runs: name -> records of its repeated runs, or of its only one.
        over: "trials" (completed ones) or "hours" (of all trials, added up).
        objectives: column -> direction.
        bounds: as in `results.hypervolume_of`.

    Returns:
        name, over, x, low, median, high (0..1), from where all runs of a name have begun to where the first has
        ended; of one run all three are its own.

    Raises:
        ObjectiveError: as `results.hypervolume_of`, or there is no column wall_s.
        ResultsError: over is neither.
    """
    if over not in OVER:
        raise ResultsError(f"hypervolume grows over one of {', '.join(OVER)}, got {over!r}")
    parts = []
    for name, each in runs.items():
        curves = [_curve(records, over, objectives, bounds) for records in each]
        curves = [curve for curve in curves if len(curve)]
        if not curves:
            continue
        end = min(float(curve["x"].iloc[-1]) for curve in curves)
        x = np.unique(np.concatenate([curve["x"].to_numpy(dtype=np.float64) for curve in curves]))
        x = x[(x >= max(float(curve["x"].iloc[0]) for curve in curves)) & (x <= end)]
        if len(x) > STEPS:
            x = x[np.linspace(0, len(x) - 1, STEPS).round().astype(int)]
        lines = np.array([_read(curve, x) for curve in curves])
        low, median, high = np.quantile(lines, [0.25, 0.5, 0.75], axis=0)
        parts.append(pd.DataFrame({"name": name, "over": over, "x": x, "low": low, "median": median, "high": high}))
    columns = ["name", "over", "x", "low", "median", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def hypervolume_cost(
    records: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
    gpus: float | None = None,
) -> pd.DataFrame:
    """Hypervolume against what was spent, all trials counted, failed ones too.

    Args:
        records: one row per trial, with wall_s.
        objectives: column -> direction.
        bounds: as in `results.hypervolume_of`.
        gpus: of each trial, for GPU hours; None for hours of trials.

    Returns:
        number, hours (summed over trials in order of their number), hypervolume (0..1, of the completed ones so far).

    Raises:
        ObjectiveError: as `results.hypervolume_of`, or there is no column wall_s.
    """
    order = records.sort_values("number", kind="stable") if "number" in records.columns else records
    order = order.reset_index(drop=True)
    hours = np.nancumsum(minimised(order, {"wall_s": "minimize"})[:, 0]) / 3600.0 * (1.0 if gpus is None else gpus)
    numbers = order["number"].to_numpy(dtype=np.int64) if "number" in order.columns else np.arange(len(order))
    curve = hypervolume_curve(order.assign(number=np.arange(len(order))), objectives=objectives, bounds=bounds)
    values = np.zeros(len(order))
    values[curve["number"].to_numpy(dtype=np.int64)] = curve["hypervolume"].to_numpy()
    return pd.DataFrame({"number": numbers, "hours": hours, "hypervolume": np.maximum.accumulate(values)})


def _curve(records: pd.DataFrame, over: str, objectives: Objectives, bounds: Bounds | None) -> pd.DataFrame:
    """x and hypervolume of one run, x never falling; the last row of each x."""
    if over == "hours":
        found = hypervolume_cost(records, objectives=objectives, bounds=bounds).rename(columns={"hours": "x"})
    else:
        found = hypervolume_curve(records, objectives=objectives, bounds=bounds).rename(columns={"completed": "x"})
    return found[["x", "hypervolume"]].drop_duplicates("x", keep="last")


def _read(curve: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """A step curve at x, where it has begun."""
    at = np.searchsorted(curve["x"].to_numpy(dtype=np.float64), x, side="right") - 1
    return np.asarray(curve["hypervolume"].to_numpy(dtype=np.float64)[at])
