"""The models behind an ask: posteriors of uncertain objectives and of constraints, and the front to be improved.

There are two views of an objective: one stretches the values near the best, the other takes them nearly as they are. A
candidate's worth is the geometric mean of its expected improvements in both. Either alone is misled somewhere: where a
single choice breaks a network, as on NAS-Bench-201, the first expects wonders of the cheapest candidates; where errors
vary smoothly, as on NAS-Bench-Macro, the second needs twice as many trials. What both expect much of is worth a trial.

With three and more uncertain objectives values are taken nearly as they are: stretched in each of them a front is
little but its ends, and on DTLZ2 the search did no better than chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from results.fronts import is_non_dominated, ranks
from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.expected_improvement import Factor, Known, expected_improvement
from search.decide.known_cost.history import History, Observation, representative
from search.decide.known_cost.pool import CostScale, Pool
from search.decide.known_cost.posterior import CHEAPEST, READING_NOISE, ObjectivePosterior, Scale, reference_of
from search.decide.known_cost.surrogate import HELPS, GaussianProcess, Posterior

__all__ = ["MODELLED", "Models"]

Array = NDArray[np.float64]
Name = tuple[int | str, int]  # objective or constraint, view
MODELLED = 300  # observations that a model holds at most: see history.representative
FITTED = 120  # of them, those that its weights are fitted to
REFIT = 1.15  # weights are fitted again when there are so many times as many observations
VIEWS = (3.0, 0.1)  # offsets of the scales: nearly as they are, stretched
PLAIN = (10.0,)  # likewise, of more than FEW uncertain objectives
FEW = 2
SHORTLIST = 0.25  # fraction of the candidates, the best by the first view, that the second looks at
SHORTEST = 200  # of them, at least
GOOD = 20  # trials whose neighbours are candidates
END = 0.01  # beyond the largest known cost, where the reference is
FEWEST = 8  # observations, from which on a hint has to show that it helps
CLIP = 3.0  # standard deviations from the mean, beyond which a constraint's value says no more


@dataclass(frozen=True)
class _View:
    """What is expected of candidates by one scale of the uncertain objectives.

    Attributes:
        posteriors: one per uncertain objective.
        front: (f, m), known costs first.
        reference: (m,).
    """

    posteriors: Sequence[ObjectivePosterior]
    front: Array
    reference: Array

    def improvement(self, pool: Pool, units: Array) -> Array:
        """Expected hypervolume improvement (n,) of candidates whose known costs are `units` (n, k)."""
        factors: list[Factor] = [Known(column) for column in units.T]
        posteriors = [posterior.factor(pool.columns) for posterior in self.posteriors]
        value = expected_improvement([*factors, *posteriors], self.front, self.reference, count=len(pool))
        if not (value > 0).any() and posteriors:  # no improvement is expected: take the least known one
            value = np.sum([posterior.deviation for posterior in posteriors], axis=0) * 1e-300
        return value


class Models:
    """The models of one study and one space.

    Args:
        encoder: of the parameters.
        known: indices of the objectives that are known.
        bounds: by index of an objective, (least, greatest), in its own direction.
        weights: of the processes and how many trials they were fitted at, as an earlier sampler left them.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        known: Sequence[int],
        bounds: Mapping[int, tuple[float, float]],
        weights: Sequence[Mapping[Any, Any]] = (),
    ) -> None:
        self.encoder, self.known, self.bounds = encoder, list(known), bounds
        self.processes: dict[Name, GaussianProcess] = {}
        self.fitted: dict[Name, int] = {}
        for name, state in weights[0].items() if weights else ():
            process = self._new()
            if len(state) == len(process.state):
                process.state, self.processes[name], self.fitted[name] = state, process, weights[1][name]
        self.columns = np.empty((0, encoder.width))  # of the observations so far
        self.views: list[_View] = []
        self.limits: list[tuple[Posterior, float]] = []
        self.costs: CostScale | None = None

    def good(self, history: History) -> list[Mapping[str, Any]]:
        """Parameters of the trials whose neighbours are worth a look: the best by rank, front first."""
        rows = np.flatnonzero(history.counted)
        best = rows[np.argsort(ranks(history.values[rows]), kind="stable")[:GOOD]] if len(rows) else rows
        return [history.observations[row].parameters for row in best]

    def learn(self, history: History, running: Pool, costs: CostScale) -> None:
        """Take in what the study says now.

        Args:
            history: with at least one result.
            running: trials without a result.
            costs: scale of the known costs.
        """
        kept = representative(_finite(history.values), MODELLED)
        observations = [history.observations[row] for row in kept]
        values, counted = _finite(history.values[kept]), history.counted[kept]
        new = [one.parameters for one in history.observations[len(self.columns) :]]
        self.columns = np.concatenate([self.columns, self.encoder.encode(new)])
        columns = self.columns[kept]
        units = costs.unit(values[:, self.known] * history.signs[self.known])
        self.costs = costs
        uncertain = [index for index in range(len(history.signs)) if index not in self.known]
        limits = {index: self._reference(index, values, units, counted, history.signs[index]) for index in uncertain}
        known = np.concatenate([units, costs.unit(running.costs)])
        points = np.concatenate([counted, np.ones(len(running), dtype=bool)])
        reference = np.array([1.0 + END] * len(self.known) + list(limits.values()))
        self.views = []
        for view, offset in enumerate(VIEWS if len(uncertain) <= FEW else PLAIN):
            posteriors = [
                self._posterior(
                    (index, view), offset, observations, columns, values[:, index], limits[index], running.columns
                )
                for index in uncertain
            ]
            rows = np.column_stack([known, *(posterior.observed() for posterior in posteriors)])[points]
            self.views.append(_View(posteriors, rows[is_non_dominated(rows)], reference))
        self.limits = self._constraints(observations, columns)

    def _reference(self, index: int, values: Array, units: Array, counted: NDArray[np.bool_], sign: float) -> float:
        """Beyond which value an objective is of no interest; see `reference_of`."""
        limits = self.bounds.get(index)
        worst = None if limits is None else max(sign * limits[0], sign * limits[1])
        own = values[:, index]
        if len(self.known):
            cheap = own[counted & (units <= CHEAPEST).all(axis=1)]
            front = cheap.min(keepdims=True) if len(cheap) else own[:0]
        else:
            inside = values[counted]
            front = inside[is_non_dominated(inside), index] if len(inside) else own[:0]
        return reference_of(own, front, worst=worst)

    def _process(self, key: Name, columns: Array, values: Array, variance: Array, count: int) -> GaussianProcess:
        """The process of an objective or constraint, fitted if that is due."""
        process = self.processes.setdefault(key, self._new())
        hints = [] if isinstance(key[0], str) else self.encoder.hints.of(key[0])
        process.linear = helpful(process, hints, columns, values, variance)
        if count >= REFIT * self.fitted.get(key, 0):
            rows = representative(values[:, None], FITTED)
            process.fit(columns[rows], values[rows], variance[rows])
            self.fitted[key] = count
            process.linear = helpful(process, hints, columns, values, variance)
        return process

    def _new(self) -> GaussianProcess:
        """A process that has not been fitted."""
        return GaussianProcess(self.encoder.components, parameters=len(self.encoder.columns))

    def _posterior(
        self,
        key: tuple[int, int],
        offset: float,
        observations: Sequence[Observation],
        columns: Array,
        values: Array,
        limit: float,
        pending: Array,
    ) -> ObjectivePosterior:
        """What is believed of one objective in one view."""
        index, _ = key
        scale = Scale.of(values, limit, offset=offset)
        told = np.array([np.nan if one.variance is None else one.variance[index] for one in observations])
        replicated = bool(np.isfinite(told).any())
        measured = _shrunk(told) if replicated else np.zeros(len(told))
        variance = scale.variance(values, measured)
        variance += np.array([0.0 if one.result else READING_NOISE for one in observations])
        standard = scale.forward(values)
        count = observations[-1].number + 1
        process = self._process(key, columns, standard, variance, count)
        return ObjectivePosterior.after(
            process, scale, columns, standard, variance=variance, replicated=replicated, pending=pending
        )

    def _constraints(self, observations: Sequence[Observation], columns: Array) -> list[tuple[Posterior, float]]:
        """The posterior of each constraint that trials report, and the limit on its scale."""
        names = sorted({name for one in observations for name in one.constraints})
        found = []
        for name in names:
            rows = np.array([row for row, one in enumerate(observations) if name in one.constraints])
            values = np.array([observations[row].constraints[name] for row in rows])
            values = np.nan_to_num(values, posinf=1e30, neginf=-1e30)
            middle, spread = np.median(values), np.median(np.abs(values - np.median(values))) * 1.5 or values.std()
            spread = spread or 1.0
            standard = np.clip((values - middle) / spread, -CLIP, CLIP)
            none = np.zeros(len(rows))
            process = self._process((name, 0), columns[rows], standard, none, observations[-1].number + 1)
            posterior = process.condition(columns[rows], standard, none, replicated=False)
            found.append((posterior, float(np.clip(-middle / spread, -CLIP, CLIP))))
        return found

    def improvement(self, pool: Pool) -> Array:
        """Expected hypervolume improvement (n,) of candidates, times the probability that constraints are met.

        In both views; 0 where the first one has it among the lesser ones.
        """
        assert self.costs is not None
        units = self.costs.unit(pool.costs)
        value, rows = np.ones(len(pool)), np.arange(len(pool))
        for view in self.views:
            found = np.zeros(len(pool))
            found[rows] = view.improvement(pool.take(rows), units[rows])
            value = value * found ** (1 / len(self.views))
            size = max(SHORTEST, round(SHORTLIST * len(pool)))
            rows = rows[np.argsort(-value[rows], kind="stable")[:size]]
        for posterior, limit in self.limits:
            mean, deviation = posterior.predict(pool.columns)
            value = value * ndtr((limit - mean) / deviation)
        return value


def helpful(
    process: GaussianProcess, hints: Sequence[int], columns: Array, values: Array, variance: Array
) -> tuple[int, ...]:
    """The hints that lower the leave-one-out error of a process, one after another, as long as one lowers it enough."""
    process.linear = ()
    if not hints:
        return ()
    if len(values) < FEWEST:
        return tuple(hints)
    least = process.condition(columns, values, variance, replicated=False).left_out()
    while left := [hint for hint in hints if hint not in process.linear]:
        chosen, errors = process.linear, []
        for hint in left:
            process.linear = (*chosen, hint)
            errors.append(process.condition(columns, values, variance, replicated=False).left_out())
        best = int(np.argmin(errors))
        process.linear = chosen
        if not errors[best] < HELPS * least:
            break
        process.linear, least = (*chosen, left[best]), errors[best]
    return process.linear


def _shrunk(variances: Array) -> Array:
    """Variances (n,) half way to their mean, which also stands for missing ones.

    A few replicas tell little by themselves: two that agree by chance would make a candidate certain.
    """
    mean = float(np.nanmean(variances))
    return np.where(np.isnan(variances), mean, (variances + mean) / 2)


def _finite(values: Array) -> Array:
    """Infinite values as the worst or best finite one of their objective."""
    result = values.copy()
    for column in result.T:
        finite = column[np.isfinite(column)]
        high, low = (finite.max(), finite.min()) if len(finite) else (1.0, 0.0)
        column[np.isposinf(column)], column[np.isneginf(column)] = high, low
    return result
