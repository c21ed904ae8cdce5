"""Forecasts of a training's final values, from its costs, its recipe and, where that tells something, its curve.

Learned from completed trainings alone. For each uncertain objective and epoch a ridge regression is chosen among these
by its leave-one-out error: of the costs, or of the costs and the parts of the recipe that help; each without the
curve, or with the last reading, the mean of the latest third of the readings, or the best one so far. So an epoch that
says nothing leaves the forecast as it is without it, with the deviation that the completed trainings have around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.decide.stopping.evidence import Evidence
from search.decide.stopping.recipe import CLIP, Column, columns_of
from search.decide.stopping.regression import Group, Ridge, forward

__all__ = ["Forecasts"]

Array = NDArray[np.float64]
LATEST = 256  # completed trainings that are learned from, so that an answer's time is bounded
AGAIN = 1.1  # the parts of the recipe are chosen anew when there are so many times as many of them
COST_PENALTY, READING_PENALTY, RECIPE_PENALTY = 0.5, 0.5, 3.0


@dataclass(frozen=True)
class _Model:
    """A chosen regression: which parts of the recipe, which summary of the curve."""

    ridge: Ridge
    parts: Sequence[str]
    summary: int | None
    worst: float
    centre: float
    spread: float


class Forecasts:
    """Forecasts of what `evidence` holds; each regression is fitted when it is first asked for."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.revision = -1
        self.models: dict[tuple[int, int], _Model] = {}
        self.chosen: dict[int, tuple[int, Sequence[str]]] = {}
        self.rows: list[int] = []
        self.columns: dict[str, Column] = {}
        self.groups: dict[str, Array] = {}
        self.scale: tuple[Array, Array] = (np.empty(0), np.empty(0))

    def at(self, objective: int, epoch: int, rows: Sequence[int]) -> tuple[Array, Array]:
        """Means and standard deviations of final values, minimised, (rows,) each.

        Args:
            objective: 0 for the measured one.
            epoch: that the rows have reached, from 1.
            rows: of the evidence.
        """
        self._refresh()
        if (objective, epoch) not in self.models:
            self.models[objective, epoch] = self._learn(objective, epoch)
        model = self.models[objective, epoch]
        parts = [self._costs(rows)]
        recipes = [self.evidence.recipes[row] for row in rows]
        parts += [self.columns[name].encode([recipe.get(name) for recipe in recipes]) for name in model.parts]
        if model.summary is not None:
            curves = self.evidence.curves[list(rows), :epoch]
            told = summaries(curves, model.worst)[:, model.summary]
            parts.append(_standardised(told, model.centre, model.spread)[:, None])
        return model.ridge.predict(np.column_stack(parts))

    def _refresh(self) -> None:
        """Take note of trainings that were completed since."""
        if self.revision == self.evidence.revision:
            return
        self.revision = self.evidence.revision
        self.models = {}
        self.rows = self.evidence.completed[-LATEST:]
        costs = self._scaled_costs(self.rows)
        self.scale = costs.mean(axis=0), costs.std(axis=0)
        recipes = [self.evidence.recipes[row] for row in self.rows]
        self.columns = columns_of(recipes)
        self.groups = {
            name: column.encode([recipe.get(name) for recipe in recipes]) for name, column in self.columns.items()
        }

    def _scaled_costs(self, rows: Sequence[int]) -> Array:
        costs = self.evidence.costs[list(rows)]
        logarithmic = self.evidence.limits[0] > 0
        return np.log10(costs, where=logarithmic & (costs > 0), out=costs.copy())

    def _costs(self, rows: Sequence[int]) -> Array:
        """(rows, costs), standardised."""
        centre, spread = self.scale
        return _standardised(self._scaled_costs(rows), centre, spread)

    def _learn(self, objective: int, epoch: int) -> _Model:
        """The regression with the least leave-one-out error."""
        target = self.evidence.finals[self.rows, objective]
        costs = Group(self._costs(self.rows), COST_PENALTY)
        curves = self.evidence.curves[self.rows, :epoch]
        finite = curves[np.isfinite(curves)]
        worst = float(finite.max() + np.ptp(finite)) if len(finite) else 0.0
        told = summaries(curves, worst)
        best: _Model | None = None
        for parts in dict.fromkeys([(), tuple(self._parts(objective, costs, target))]):
            groups = [costs, *(Group(self.groups[name], RECIPE_PENALTY) for name in parts)]
            for summary in (None, *range(told.shape[1])):
                column = told[:, summary] if summary is not None else np.zeros(1)
                seen = column[np.isfinite(column)]
                if summary is not None and (len(seen) < 2 or np.ptp(seen) == 0):
                    continue
                centre, spread = float(seen.mean()), float(seen.std())
                reading = [] if summary is None else [
                    Group(_standardised(column, centre, spread)[:, None], READING_PENALTY)
                ]  # fmt: skip
                ridge = Ridge.fit([*groups, *reading], target)
                if best is None or ridge.press < best.ridge.press:
                    best = _Model(ridge, parts, summary, worst, centre, spread)
        assert best is not None  # the first of them has no summary
        return best

    def _parts(self, objective: int, costs: Group, target: Array) -> Sequence[str]:
        """The dimensions of the recipe that help."""
        count, parts = self.chosen.get(objective, (0, ()))
        if not count <= len(self.evidence.completed) < AGAIN * count:
            names = list(self.groups)
            groups = [Group(self.groups[name], RECIPE_PENALTY) for name in names]
            parts = [names[place] for place in forward([costs], groups, target)]
            self.chosen[objective] = len(self.evidence.completed), parts
        return [name for name in parts if name in self.groups]


def summaries(curves: Array, worst: float) -> Array:
    """What a curve so far comes to, in three ways.

    Args:
        curves: (n, epochs), minimised; NaN where no reading was told, infinite where it was not finite.
        worst: what counts for an infinite one.

    Returns:
        (n, 3): the last reading, the mean of the latest third, the best; NaN where no reading was told. After one epoch
        (n, 1), as they are the same.
    """
    told = ~np.isnan(curves)
    last = np.maximum.accumulate(np.where(told, np.arange(curves.shape[1]), 0), axis=1)
    filled = np.take_along_axis(curves, last, axis=1)  # an epoch without a reading has that of the epoch before
    filled = np.where(np.isposinf(filled), worst, filled)
    if curves.shape[1] == 1:
        return filled
    width = max(2, curves.shape[1] // 3)
    first = np.where(np.isnan(filled), np.inf, filled).min(axis=1)
    best = np.where(np.isinf(first), np.nan, first)
    recent = filled[:, -width:]
    counts = (~np.isnan(recent)).sum(axis=1)
    means = np.where(counts > 0, np.nansum(recent, axis=1) / np.maximum(counts, 1), np.nan)
    return np.column_stack([filled[:, -1], means, best])


def _standardised(values: Array, centre: Array | float, spread: Array | float) -> Array:
    """Clipped places; a missing value is in the middle."""
    scaled = np.clip((values - centre) / np.where(np.asarray(spread) > 0, spread, 1.0), -CLIP, CLIP)
    return np.where(np.isnan(scaled), 0.0, scaled)
