"""Runs against each other: hypervolume, epsilon indicator and attainment, with intervals over repeated runs.

    found = compare({"tpe": [run.trials for run in tpe], "random": [run.trials for run in random]})

With two or more repeated runs on each side, intervals are bootstrapped over runs. A single run on each side has no
interval: its seeds say how sure each candidate's accuracy is, but a front is the best of many candidates, flattered by
as much as the search had chances, and another run of the same search would have gone another way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from results.analyses.attainment import SHARES, attained, attainment
from results.analyses.growth import OVER, growth
from results.errors import ResultsError
from results.fronts import (
    DEFAULT_OBJECTIVES,
    Objectives,
    completed,
    front,
    is_non_dominated,
    minimised,
    wanted_and_costs,
)
from results.indicators import Bounds, hypervolume, observed_bounds, unit_values
from results.notebook import Drawing, Shown

if TYPE_CHECKING:
    pass

__all__ = ["Comparison", "compare", "epsilon"]

RESAMPLES = 2_000
POINTS = 9  # costs at which what is attained is compared, at most

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """How runs differ.

    Attributes:
        measures: first, second, measure, first_value, second_value, difference (first - second), low, high, over
            ("runs", or "nothing": single runs, no interval), n (runs a side, at least), level. A hypervolume difference
            above 0 is better; epsilon is what the first lacks of the second, and the other way round, on the unit
            scale: below 0 is better.
        differences: first, second, the cost, first_value, second_value, difference, low, high: the best that is to be
            had at no more than the cost, on average over a side's runs, above 0 where the first is better; without rows
            where there are more than two objectives or no cost is within reach of all.
        attainment: name, share, and the objectives: each side's surfaces.
        growth: name, over ("trials", "hours"), x, low, median, high: see `results.growth`.
        sentences: in words.
        objectives: what was compared by.
    """

    measures: pd.DataFrame
    differences: pd.DataFrame
    attainment: pd.DataFrame
    growth: pd.DataFrame
    sentences: tuple[str, ...]
    objectives: Objectives

    def _drawing(self) -> Drawing:
        repeated = bool((self.measures["over"] == "runs").any())
        options = {"objectives": self.objectives, "repeated": repeated}
        return Drawing("comparison_figure", (self.attainment, self.growth), options)

    def _tables(self) -> tuple[pd.DataFrame, ...]:
        return self.measures, self.differences


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
        objectives: column -> direction, two or three.
        bounds: scales of objectives that have no fixed one; None takes those of all records together.
        shares: of the attainment surfaces.
        level: of the intervals.
        seed: of what is drawn.

    Returns:
        Measures with intervals, differences of what is attained, attainment surfaces, growth.

    Raises:
        ObjectiveError: as `results.front`, or an objective without a scale.
        ResultsError: fewer than two kinds, one run beside several, a run without a front, or a level outside of (0, 1).
    """
    _check(runs, objectives, level)
    every = pd.concat([frame for each in runs.values() for frame in each], ignore_index=True)
    scale = {**observed_bounds(every, objectives=objectives), **(bounds or {})}
    what = "runs" if min(len(each) for each in runs.values()) > 1 else "nothing"
    costs = _costs(runs, objectives)
    sides = {name: _Side.of(each, objectives, scale, costs) for name, each in runs.items()}
    rows: dict[str, list[dict[str, Any]]] = {"measures": [], "differences": []}
    for first, second in itertools.combinations(runs, 2):
        pair = _Pair(sides[first], sides[second], what, level, seed)
        ends = {"over": what, "n": min(len(runs[first]), len(runs[second])), "level": level}
        rows["measures"] += [{"first": first, "second": second, **row, **ends} for row in pair.measures()]
        rows["differences"] += [
            {"first": first, "second": second, **row, **ends} for row in pair.attained(objectives, costs)
        ]
    tables = [attainment(each, objectives=objectives, shares=shares).assign(name=name) for name, each in runs.items()]
    surfaces = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    measures = pd.DataFrame(rows["measures"])
    return Comparison(
        measures,
        pd.DataFrame(rows["differences"]),
        surfaces[["name", "share", *objectives]],
        _growth(runs, objectives, scale),
        tuple(_sentences(measures)),
        objectives,
    )


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


def _check(runs: Mapping[str, Sequence[pd.DataFrame]], objectives: Objectives, level: float) -> None:
    """What `compare` needs, or a sentence."""
    counts = {len(each) for each in runs.values()}
    if len(runs) < 2 or 0 in counts or (1 in counts and len(counts) > 1):
        raise ResultsError("a comparison needs two names or more, all with one run or all with at least two")
    if not 0 < level < 1:
        raise ResultsError(f"level must be in (0, 1), such as 0.95, got {level}")
    for name, each in runs.items():
        if any(front(records, objectives=objectives).empty for records in each):
            raise ResultsError(f"a run of {name} has no completed trial to compare")


@dataclass(frozen=True)
class _Side:
    """One kind of run: fronts on the unit scale, and what is attained at each cost, a run each."""

    fronts: list[Floats]
    attained: Floats  # (runs, costs)

    @classmethod
    def of(cls, runs: Sequence[pd.DataFrame], objectives: Objectives, bounds: Bounds, costs: Floats) -> _Side:
        """From the records of its runs."""
        points = [_points(each, objectives, bounds) for each in runs]
        reached = [attained(each, costs, objectives=objectives) for each in runs] if len(costs) else []
        return cls(points, np.array(reached))


@dataclass(frozen=True)
class _Pair:
    """Two sides, and what intervals are over."""

    first: _Side
    second: _Side
    over: str
    level: float
    seed: int

    def measures(self) -> list[dict[str, Any]]:
        """Hypervolume and epsilon."""
        first, second = self.first.fronts, self.second.fronts
        return [
            {"measure": "hypervolume", **self._row(_hypervolumes(first), _hypervolumes(second))},
            {"measure": "epsilon", **self._row(*_epsilons(first, second))},
        ]

    def attained(self, objectives: Objectives, costs: Floats) -> list[dict[str, Any]]:
        """What is attained at each cost; of an objective that is minimised, the difference's sign is turned."""
        if not len(costs):
            return []
        wanted, (cost,) = wanted_and_costs(objectives)
        sign = -minimised([[1.0]], {wanted: objectives[wanted]})[0, 0]
        rows = []
        for at, value in enumerate(costs):
            row = self._row(sign * self.first.attained[:, at], sign * self.second.attained[:, at])
            ends = {name: sign * row[name] for name in ("first_value", "second_value")}
            rows.append({cost: float(value), **row, **ends})
        return rows

    def _row(self, first: Floats, second: Floats) -> dict[str, float]:
        """Values, their difference, and its interval."""
        values = [float(side.mean()) for side in (first, second)]
        rng = np.random.default_rng(self.seed)
        low, high = _interval(first, second, self.over == "runs", self.level, rng)
        difference = values[0] - values[1] if values[0] != values[1] else 0.0  # two infinite ones are no NaN
        return {"first_value": values[0], "second_value": values[1], "difference": difference, "low": low, "high": high}


def _costs(runs: Mapping[str, Sequence[pd.DataFrame]], objectives: Objectives) -> Floats:
    """A few costs of the fronts, within reach of every run; for two objectives alone."""
    _, costs = wanted_and_costs(objectives)
    if len(costs) != 1:
        return np.empty(0)
    fronts = [front(each, objectives=objectives) for parts in runs.values() for each in parts]
    found = np.unique(np.concatenate([minimised(each, {costs[0]: "minimize"})[:, 0] for each in fronts]))
    reached = [attained(each, found, objectives=objectives) for parts in runs.values() for each in parts]
    found = found[np.isfinite(np.array(reached)).all(axis=0)]
    if len(found) > POINTS:
        found = found[np.linspace(0, len(found) - 1, POINTS).round().astype(int)]
    return np.asarray(found)


def _growth(runs: Mapping[str, Sequence[pd.DataFrame]], objectives: Objectives, bounds: Bounds) -> pd.DataFrame:
    """Over trials, and over hours where all runs have them."""
    every = [records for each in runs.values() for records in each]
    timed = all("wall_s" in records.columns and records["wall_s"].notna().any() for records in every)
    parts = [growth(runs, over=over, objectives=objectives, bounds=bounds) for over in (OVER if timed else OVER[:1])]
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _sentences(measures: pd.DataFrame) -> Iterator[str]:
    """One a pair, of its hypervolume, and what the intervals are over."""
    for row in measures[measures["measure"] == "hypervolume"].to_dict("records"):
        first, second, low, high = (row[name] for name in ("first", "second", "low", "high"))
        text = f"{first} has a hypervolume of {row['first_value']:.4f}, {second} {row['second_value']:.4f}"
        if row["over"] == "nothing":
            yield (
                f"{text}: a single run each cannot tell whether that is luck; repeat both searches, or confirm both "
                "fronts."
            )
            continue
        ends = f"{row['level']:.0%} interval {low:+.4f} to {high:+.4f} over {row['over']}"
        verdict = f"{first} is better" if low > 0 else f"{second} is better" if high < 0 else "the data leave it open"
        yield f"{text}: difference {row['difference']:+.4f}, {ends}: {verdict}."


def _points(records: pd.DataFrame, objectives: Objectives, bounds: Bounds) -> Floats:
    """A run's front on the unit scale."""
    values = unit_values(completed(records), objectives=objectives, bounds=bounds)
    return values[is_non_dominated(values)]


def _hypervolumes(fronts: list[Floats]) -> Floats:
    """The hypervolume of each run or draw."""
    return np.array([hypervolume(each, np.ones(each.shape[1])) for each in fronts])


def _epsilons(first: list[Floats], second: list[Floats]) -> tuple[Floats, Floats]:
    """The epsilon indicator of each run to the runs of the other side, on average."""
    ours = np.array([[epsilon(a, b) for b in second] for a in first])
    theirs = np.array([[epsilon(b, a) for b in second] for a in first])
    return ours.mean(axis=1), theirs.mean(axis=0)


def _interval(
    first: Floats, second: Floats, repeated: bool, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Ends of the interval of the difference of means, bootstrapped over repeated runs; NaN for single runs."""
    if not repeated:
        return math.nan, math.nan
    tail = (1 - level) / 2
    drawn = np.zeros(RESAMPLES)
    for side, sign in ((first, 1.0), (second, -1.0)):
        means = side[rng.integers(0, len(side), (RESAMPLES, len(side)))].mean(axis=1)
        # Few values' resamples are too narrow: widened about the mean, as Hesterberg (2015, section 5.3) has it.
        wide = np.sqrt(len(side) / (len(side) - 1)) * stats.t.isf(tail, len(side) - 1) / stats.norm.isf(tail)
        drawn += sign * (side.mean() + wide * (means - side.mean()))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
