"""Optuna sampler for searches in which some objectives are known before a trial runs.

In a search over architectures the parameters and multiply-adds of a candidate can be counted; only the accuracy needs a
training. So each uncertain objective has a Gaussian process, known costs are exact, and the next trial is the candidate
of the largest expected hypervolume improvement, in closed form. In plain Optuna:

    sampler = KnownCostSampler({1: lambda params: count(**params)}, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

The first trials are spread over the range of the costs. Running trials count as if they ended as expected. A candidate
that was tried, however it ended, is not asked for again while others are left. A stopped trial is evidence where it
says what it had reached (`history.READING`), never a result. With nothing known it is plain expected improvement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from leni.errors import SpecError
from search.decide.encoding import Encoder
from search.decide.history import History, key_of
from search.decide.models import MODELLED, Models
from search.decide.pool import CostScale, Pool, make_pool
from search.decide.proposals import Conditions, closer, draw, propose

__all__ = ["KnownCostSampler"]

Array = NDArray[np.float64]
Cost = Callable[[Mapping[str, Any]], float]

WORK = 1.5e8  # candidates times modelled observations squared, at most, of one ask
FEWEST, MOST = 1_000, 16_000  # candidates of one ask where the space is listed, whatever WORK says
DRAWN = 600  # candidates of one ask where the space is not listed
ROUNDS = (0.1, 0.03, 0.01)  # steps of drawing closer to the best of them
CLOSER = 160  # candidates of each round
BEST = 8  # that are drawn closer to
LEAST = 4  # results that a model needs


class KnownCostSampler(BaseSampler):
    """Expected hypervolume improvement with known costs.

    Args:
        costs: index of an objective -> function of a trial's parameters that gives its value, in the objective's own
            direction; NaN for a candidate that is impossible. None or empty: nothing is known.
        seed: of the randomness.
        candidates: parameters of every candidate there is, where the space can be listed.
        distributions: of the parameters, by name; needed for the first trial, later ones take them from the study.
        bounds: index of an objective -> (least, greatest) value between which it is of interest; of an uncertain
            objective the worse one is the reference, of a known cost both set the scale.
        logarithmic: known costs that count by their logarithm; None for every one whose values are positive and
            span a factor of ten.
        feasible: function of a trial's parameters that says whether the candidate is allowed: a constraint on costs.
            Constraints that trials report (`trial.set_constraint`) are modelled as well.
        startup: trials that are spread over the costs before a model is asked.

    Raises:
        SpecError: an index is not one of an objective, bounds are no bounds, or startup is below 1.
    """

    def __init__(
        self,
        costs: Mapping[int, Cost] | None = None,
        *,
        seed: int | None = None,
        candidates: Iterable[Mapping[str, Any]] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        bounds: Mapping[int, tuple[float, float]] | None = None,
        logarithmic: Collection[int] | None = None,
        feasible: Callable[[Mapping[str, Any]], bool] | None = None,
        startup: int = 10,
    ) -> None:
        self.costs, self.bounds = dict(costs or {}), dict(bounds or {})
        for index in [*self.costs, *self.bounds, *(logarithmic or ())]:
            if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                raise SpecError(f"an objective's index must be a whole number from 0, got {index!r}")
        for index, (low, high) in self.bounds.items():
            if not (np.isfinite([low, high]).all() and low < high):
                raise SpecError(f"bounds of objective {index} must be finite with least < greatest, got {(low, high)}")
        if startup < 1:
            raise SpecError(f"startup must be at least 1, got {startup}")
        self.listed = None if candidates is None else [dict(candidate) for candidate in candidates]
        self.distributions = dict(distributions or {})
        self.logarithmic = None if logarithmic is None else frozenset(logarithmic)
        self.feasible, self.startup = feasible, startup
        self.generator = np.random.default_rng(seed)
        self.order = sorted(self.costs)
        self.lock = threading.RLock()
        self.study_name: str | None = None
        self.memory = _Memory()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=threading.RLock())

    def reseed_rng(self) -> None:
        """Another stream of randomness, as Optuna asks for where trials run in threads."""
        self.generator = np.random.default_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter that any trial has had so far, or that was given."""
        with self.lock:
            history = self._read(study, trial)
            known = {**self.distributions, **history.distributions}
            return {name: one for name, one in sorted(known.items()) if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the next candidate."""
        if not search_space:
            return {}
        with self.lock, _blas().limit(limits=1, user_api="blas"):
            history = self._read(study, trial)
            self._prepare(search_space, history)
            results = sum(one.result for one in history.observations)
            if history.begun < self.startup or results < min(LEAST, self.startup):
                chosen = self._spread(history)
            else:
                chosen = self._improving(history)
            return {name: value for name, value in chosen.items() if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value: of a parameter that no trial has had before, or whose condition was not foreseen."""
        with self.lock:
            return draw(param_distribution, self.generator)

    def state(self) -> Any:
        """What the next answer depends on beside the study: random numbers and the models' weights; can be pickled."""
        models = self.memory.models
        weights = {} if models is None else {name: one.state for name, one in models.processes.items()}
        return self.generator, weights, {} if models is None else dict(models.fitted)

    def restore(self, state: Any) -> None:
        """Go on from what `state` gave, of a sampler made with the same arguments."""
        self.generator, *self.memory.weights = state

    def _read(self, study: Study, trial: FrozenTrial) -> History:
        """The study so far; another study than the last time starts anew."""
        if study.study_name != self.study_name:
            highest = max([*self.costs, *self.bounds, *(self.logarithmic or ())], default=0)
            if highest >= len(study.directions):
                raise SpecError(f"the study has {len(study.directions)} objectives, numbered from 0; got {highest}")
            weights = self.memory.weights if self.study_name is None else []
            self.study_name, self.memory = study.study_name, _Memory(weights=weights)
        self.memory.history.update(study, apart_from=trial.number)
        return self.memory.history

    def _prepare(self, space: Mapping[str, BaseDistribution], history: History) -> None:
        """Encoder, models and listed candidates for this space; made anew only where it is another one."""
        memory = self.memory
        if memory.encoder is None or memory.space != space:
            memory.space, memory.encoder = dict(space), Encoder(space)
            memory.models = Models(memory.encoder, known=self.order, bounds=self.bounds, weights=memory.weights)
            if self.listed is not None:
                memory.listed = self._pool(self.listed)
                memory.rows = {key_of(one): row for row, one in enumerate(memory.listed.parameters)}
                memory.codes = _codes(list(memory.listed.parameters), list(space))
        if memory.learned * 1.1 <= len(history.observations):
            memory.learned = max(1, len(history.observations))
            memory.conditions = Conditions.learn([one.parameters for one in history.observations], space)

    def _pool(self, parameters: Sequence[Mapping[str, Any]]) -> Pool:
        assert self.memory.encoder is not None
        return make_pool(parameters, self.memory.encoder, [self.costs[index] for index in self.order], self.feasible)

    def _scale(self, history: History, pool: Pool) -> CostScale:
        """Of the known costs: listed ones if there are, else of what was seen and the pool."""
        costs = pool.costs if self.memory.listed is None else self.memory.listed.costs
        if history.observations and self.memory.listed is None:
            costs = np.concatenate([costs, history.raw(self.order)])
        wishes = [None if self.logarithmic is None else index in self.logarithmic for index in self.order]
        limits = [self.bounds.get(index) for index in self.order]
        return CostScale.of(costs, history.signs[self.order], logarithmic=wishes, bounds=limits)

    def _candidates(self, history: History, good: Sequence[Mapping[str, Any]]) -> Pool:
        """What this ask chooses from: untried ones."""
        memory, modelled = self.memory, min(MODELLED, max(1, history.begun))
        if memory.listed is None:
            known = [one.parameters for one in history.observations[-DRAWN:]]
            made = propose(memory.space, memory.conditions, good, known, count=DRAWN, generator=self.generator)
            return self._pool(self._untried(made, history))
        limit = int(np.clip(WORK / modelled**2, FEWEST, MOST))
        free = np.ones(len(memory.listed), dtype=bool)
        free[[row for key in history.begun_keys() if (row := memory.rows.get(key)) is not None]] = False
        if not free.any():  # all were tried: now a second time
            free[:] = True
        rows = np.flatnonzero(free)
        if len(rows) > limit:
            near = memory.near(good, rows)
            rows = np.union1d(near[: limit // 2], self.generator.choice(rows, limit - len(near[: limit // 2]), False))
        return memory.listed.take(rows)

    def _untried(self, made: Sequence[Mapping[str, Any]], history: History) -> list[Mapping[str, Any]]:
        begun = history.begun_keys()
        fresh = {key: one for one in made if (key := key_of(one)) not in begun}
        return list(fresh.values()) or list(made)

    def _spread(self, history: History) -> Mapping[str, Any]:
        """A random candidate from where the fewest trials have begun: in cost, or anywhere if none is known."""
        pool = self._candidates(history, [])
        if not len(pool):
            return {}
        begun = [one.parameters for one in history.observations] + list(history.running)
        if not self.order:
            return pool.parameters[_farthest(pool.columns, self.memory.encode(begun), self.generator)]
        scale = self._scale(history, pool)
        axis = len(begun) % len(self.order)
        strata = max(2, self.startup)
        places = np.clip((scale.unit(pool.costs)[:, axis] * strata).astype(int), 0, strata - 1)
        taken = np.concatenate([history.raw(self.order), self._pool(history.running).costs])
        counts = np.bincount(
            np.clip((scale.unit(taken)[:, axis] * strata).astype(int), 0, strata - 1), minlength=strata
        )
        there = np.unique(places)
        least = there[counts[there] == counts[there].min()]
        rows = np.flatnonzero(places == self.generator.choice(least))
        return pool.parameters[int(self.generator.choice(rows))]

    def _improving(self, history: History) -> Mapping[str, Any]:
        """The candidate of the largest expected improvement."""
        models = self.memory.models
        assert models is not None
        running = self._pool(history.running)
        good = models.good(history)
        pool = self._candidates(history, good)
        if not len(pool):
            return {}
        models.learn(history, running, self._scale(history, pool))
        values = models.improvement(pool)
        if self.memory.listed is None:
            pool, values = self._closer(pool, values, history)
        return pool.parameters[int(np.argmax(values))]

    def _closer(self, pool: Pool, values: Array, history: History) -> tuple[Pool, Array]:
        """A local search around the best of a pool."""
        memory = self.memory
        assert memory.models is not None
        for step in ROUNDS:
            top = [pool.parameters[row] for row in np.argsort(-values)[:BEST]]
            made = closer(memory.space, memory.conditions, top, count=CLOSER, step=step, generator=self.generator)
            fresh = self._pool(self._untried(made, history))
            if len(fresh):
                pool, values = pool.joined(fresh), np.concatenate([values, memory.models.improvement(fresh)])
        return pool, values


@cache
def _blas() -> ThreadpoolController:
    """The linear algebra's threads; more than one wait for each other where trainings keep all cores busy."""
    return ThreadpoolController()


@dataclass
class _Memory:
    """What a sampler keeps of its study between two asks; all of it could be made again from the study."""

    history: History = field(default_factory=History)
    space: dict[str, BaseDistribution] = field(default_factory=dict)
    encoder: Encoder | None = None
    models: Models | None = None
    weights: list[dict[Any, Any]] = field(default_factory=list)
    conditions: Conditions = field(default_factory=Conditions)
    learned: int = 0
    listed: Pool | None = None
    rows: dict[Any, int] = field(default_factory=dict)
    codes: NDArray[np.intp] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.intp))

    def encode(self, parameters: Sequence[Mapping[str, Any]]) -> Array:
        """Columns of trials."""
        assert self.encoder is not None
        return self.encoder.encode(parameters)

    def near(self, good: Sequence[Mapping[str, Any]], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Which of the listed rows differ from a good trial in one parameter; in the order of the good trials."""
        found: list[NDArray[np.intp]] = []
        for one in good:
            if (row := self.rows.get(key_of(one))) is not None:
                found.append(rows[(self.codes[rows] != self.codes[row]).sum(axis=1) <= 1])
        return np.array(list(dict.fromkeys(np.concatenate(found).tolist())), dtype=np.intp) if found else rows[:0]


def _codes(parameters: Sequence[Mapping[str, Any]], names: Sequence[str]) -> NDArray[np.intp]:
    """Parameters as whole numbers (n, names), equal where the values are."""
    codes = np.zeros((len(parameters), len(names)), dtype=np.intp)
    for column, name in enumerate(names):
        places: dict[Any, int] = {}
        codes[:, column] = [places.setdefault(one.get(name, _codes), len(places)) for one in parameters]
    return codes


def _farthest(columns: Array, begun: Array, generator: np.random.Generator) -> int:
    """Of some random rows, the one farthest from all that have begun."""
    rows = generator.choice(len(columns), size=min(64, len(columns)), replace=False)
    if not len(begun):
        return int(rows[0])
    squared = ((columns[rows, None, :] - begun[None, :, :]) ** 2).sum(axis=2)
    return int(rows[np.argmax(squared.min(axis=1))])
