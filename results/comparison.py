"""Runs against each other: hypervolume, epsilon indicator and attainment, with intervals over repeated runs or seeds.

    found = compare({"tpe": [run.trials for run in tpe], "random": [run.trials for run in random]})

With two or more repeated runs on each side, intervals are bootstrapped over runs. With one run on a side, they are over
the draws of its accuracies (`results.confidence`): they say what the seeds leave open about these candidates, not how
another run of the same search would go, and the frame says which.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from results.attainment import SHARES, attainment
from results.confidence import drawn_fronts
from results.errors import ResultsError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, completed, is_non_dominated, minimised
from results.indicators import Bounds, hypervolume, hypervolume_curve, observed_bounds, unit_values

__all__ = ["Comparison", "compare", "epsilon", "hypervolume_cost"]

RESAMPLES, DRAWS = 2_000, 200

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How runs differ.

    Attributes:
        measures: first, second, measure, first_value, second_value, difference (first - second), low, high, over
            ("runs" or "seeds"), n (runs a side), level. A hypervolume difference above 0 is better; epsilon is what
            the first lacks of the second, and the other way round, on the unit scale: below 0 is better.
        attainment: name, share, and the objectives: each side's surfaces.
    """

    measures: pd.DataFrame
    attainment: pd.DataFrame


def compare(
    runs: Mapping[str, Sequence[pd.DataFrame]],
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
    shares: Sequence[float] = SHARES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two or more kinds of run, each with each.

    Args:
        runs: name -> records of its repeated runs, or of its only one.
        objectives: column -> direction.
        bounds: scales of objectives that have no fixed one; None takes those of all records together.
        shares: of the attainment surfaces.
        level: of the intervals.
        seed: of what is drawn.

    Returns:
        Measures with intervals, and attainment surfaces.

    Raises:
        ObjectiveError: as `results.front`, or an objective without a scale.
        ResultsError: fewer than two kinds, one run beside several, or a level that is none.
    """
    counts = {len(each) for each in runs.values()}
    if len(runs) < 2 or 0 in counts or (1 in counts and len(counts) > 1):
        raise ResultsError("a comparison needs two names or more, all with one run or all with at least two")
    if not 0 < level < 1:
        raise ResultsError(f"level must be in (0, 1), such as 0.95, got {level}")
    every = pd.concat([frame for each in runs.values() for frame in each], ignore_index=True)
    scale = {**observed_bounds(every, objectives=objectives), **(bounds or {})}
    repeated = min(counts) > 1
    sets = {
        name: list(each) if repeated else drawn_fronts(each[0], objectives=objectives, draws=DRAWS, seed=seed + at)
        for at, (name, each) in enumerate(runs.items())
    }
    drawn = {name: [_points(each, objectives, scale) for each in parts] for name, parts in sets.items()}
    seen = {name: [_points(each, objectives, scale) for each in parts] for name, parts in runs.items()}
    over = {"over": "runs" if repeated else "seeds", "n": min(counts), "level": level}
    rows = [
        {"first": first, "second": second, **row, **over}
        for first, second in itertools.combinations(runs, 2)
        for row in _measured(seen[first], seen[second], drawn[first], drawn[second], repeated, level, seed)
    ]
    tables = [attainment(each, objectives=objectives, shares=shares).assign(name=name) for name, each in sets.items()]
    surfaces = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return Comparison(pd.DataFrame(rows), surfaces[["name", "share", *objectives]])


def epsilon(first: Floats, second: Floats) -> float:
    """How much has to be taken off every objective of `first` until it is nowhere worse than `second`.

    Args:
        first: (n, m), minimised, on comparable scales.
        second: (k, m).

    Returns:
        The additive epsilon indicator: at most 0 if `first` covers `second` as it is; infinite for no `first`, minus
        infinite for no `second`. Rows with NaN do not count.

    Source: Zitzler et al., IEEE TEVC 7, 2003, section 3.

    Example:
        >>> epsilon(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75], [0.5, 0.5]]))
        0.25
    """
    first, second = (values[~np.isnan(values).any(axis=1)] for values in (first, second))
    if not len(second):
        return -np.inf
    if not len(first):
        return np.inf
    return float((first[:, None] - second[None]).max(axis=2).min(axis=0).max())


def hypervolume_cost(
    records: pd.DataFrame,
    *,
    objectives: Objectives = DEFAULT_OBJECTIVES,
    bounds: Bounds | None = None,
    gpus: float | None = None,
) -> pd.DataFrame:
    """Hypervolume against what was spent, all trials counted, failed ones too.

    Args:
        records: one row a trial, with wall_s.
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


def _points(records: pd.DataFrame, objectives: Objectives, bounds: Bounds) -> Floats:
    """A run's front on the unit scale."""
    values = unit_values(completed(records), objectives=objectives, bounds=bounds)
    return values[is_non_dominated(values)]


def _measured(
    seen_first: list[Floats],
    seen_second: list[Floats],
    first: list[Floats],
    second: list[Floats],
    repeated: bool,
    level: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Both measures of two sides: values of what was seen, intervals of what was drawn."""
    rows = []
    for name, measure in (("hypervolume", _hypervolumes), ("epsilon", _epsilons)):
        values = [float(side.mean()) for side in measure(seen_first, seen_second, True)]
        low, high = _interval(*measure(first, second, repeated), repeated, level, np.random.default_rng(seed))
        rows.append(
            {
                "measure": name,
                "first_value": values[0],
                "second_value": values[1],
                "difference": values[0] - values[1],
                "low": low,
                "high": high,
            }
        )
    return rows


def _hypervolumes(first: list[Floats], second: list[Floats], crossed: bool) -> tuple[Floats, Floats]:
    """Of each run of either side."""
    ours, theirs = ([hypervolume(each, np.ones(each.shape[1])) for each in side] for side in (first, second))
    return np.array(ours), np.array(theirs)


def _epsilons(first: list[Floats], second: list[Floats], crossed: bool) -> tuple[Floats, Floats]:
    """Of each run to the runs of the other side, on average; of draws each to the one of its number."""
    if not crossed:
        pairs = list(zip(first, second, strict=True))
        return np.array([epsilon(a, b) for a, b in pairs]), np.array([epsilon(b, a) for a, b in pairs])
    ours = np.array([[epsilon(a, b) for b in second] for a in first])
    theirs = np.array([[epsilon(b, a) for b in second] for a in first])
    return ours.mean(axis=1), theirs.mean(axis=0)


def _interval(
    first: Floats, second: Floats, repeated: bool, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Of the difference of means: bootstrapped over runs, or the quantiles of draws."""
    tail = (1 - level) / 2
    if repeated:
        drawn = np.zeros(RESAMPLES)
        for side, sign in ((first, 1.0), (second, -1.0)):
            means = side[rng.integers(0, len(side), (RESAMPLES, len(side)))].mean(axis=1)
            # Few values' resamples are too narrow: widened about the mean, as Hesterberg (2015, section 5.3) has it.
            wide = np.sqrt(len(side) / (len(side) - 1)) * stats.t.isf(tail, len(side) - 1) / stats.norm.isf(tail)
            drawn += sign * (side.mean() + wide * (means - side.mean()))
    else:
        drawn = first - second
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
