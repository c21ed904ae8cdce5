"""Optuna sampler for searches in which some objectives are known before a trial runs.

In a search over architectures the parameters and multiply-adds of a candidate can be counted; only the accuracy needs a
training. So each uncertain objective has a Gaussian process, known costs are exact, and the next trial is the candidate
of the largest expected hypervolume improvement, in closed form. In plain Optuna:

    sampler = KnownCostSampler({1: lambda params: count(**params)}, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

The first trials are spread over the range of the costs; `hints` of candidates, such as proxies or an earlier run, say
which of them come first, and stay in the models where the results show that they help. Running trials count as if they
ended as expected. A candidate that was tried, however it ended, is not asked for again while others are left. A stopped
trial is evidence where it says what it had reached (`history.READING`), never a result. With nothing known it is plain
expected improvement.
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
from search.decide.generators import set_states, states_of
from search.decide.known_cost.counting import CostCounter
from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.first_trials import farthest, in_the_emptiest, promising
from search.decide.known_cost.hints import Hint, Hints
from search.decide.known_cost.history import History
from search.decide.known_cost.kept import Kept
from search.decide.known_cost.models import Models
from search.decide.known_cost.pool import CostScale, Pool
from search.decide.known_cost.proposals import Conditions, draw, propose
from search.decide.known_cost.sources import Candidates

__all__ = ["KnownCostSampler"]

Array = NDArray[np.float64]
Cost = Callable[[Mapping[str, Any]], float]
LEAST = 4  # results that a model needs
REFERENCE = 500  # random candidates among which hints are ranked where the space cannot be listed
PATIENCE = 50  # candidates of the spread that may turn out to be impossible


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
        hints: numbers of candidates that may tell of an uncertain objective: see `hints`.
        counted: where `costs` takes long, candidates that it is asked for in one ask: see `counting`. None for all.
        conditions: function of values for all parameters that gives those which exist, where parameters depend on
            others; None where this is learned from the trials.

    Raises:
        SpecError: an index is not one of an objective, bounds are no bounds, or startup or counted is below 1.
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
        hints: Sequence[Hint] = (),
        counted: int | None = None,
        conditions: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.costs, self.bounds, self.hints = dict(costs or {}), dict(bounds or {}), list(hints)
        for index in [*self.costs, *self.bounds, *(logarithmic or ()), *(hint.objective for hint in self.hints)]:
            if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                raise SpecError(f"an objective's index must be a whole number from 0, got {index!r}")
        for index, (low, high) in self.bounds.items():
            if not (np.isfinite([low, high]).all() and low < high):
                raise SpecError(f"bounds of objective {index} must be finite with least < greatest, got {(low, high)}")
        for name, value in (("startup", startup), ("counted", counted)):
            if value is not None and value < 1:
                raise SpecError(f"{name} must be at least 1, got {value}")
        self.listed = None if candidates is None else [dict(candidate) for candidate in candidates]
        self.distributions = dict(distributions or {})
        self.logarithmic = None if logarithmic is None else frozenset(logarithmic)
        self.feasible, self.startup, self.counted = feasible, startup, counted
        self.conditions = None if conditions is None else Conditions(given=conditions)
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
        self.generator.bit_generator.state = np.random.default_rng().bit_generator.state

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
            candidates, models = self._prepare(search_space, history)
            results = sum(one.result for one in history.observations)
            if history.begun < self.startup or results < min(LEAST, self.startup):
                chosen = self._spread(history, candidates)
            else:
                chosen = self._improving(history, candidates, models)
            return {name: value for name, value in chosen.items() if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value: of a parameter that no trial has had before, or whose condition was not foreseen."""
        with self.lock:
            return draw(param_distribution, self.generator)

    def state(self) -> dict[str, Any]:
        """What the next answer depends on beside the study: numbers, texts, lists and tables alone."""
        models, counter = self.memory.models, self.memory.counter
        fitted = {} if models is None else models.fitted
        return {
            "generators": states_of(self),
            "processes": [] if models is None else [
                [list(name), one.state.tolist(), fitted.get(name, 0)] for name, one in models.processes.items()
            ],
            "book": [] if counter is None else [list(entry) for entry in counter.book.values()],
            "weights": [] if counter is None else [
                [cost, state.tolist(), count] for cost, (state, count) in counter.weights.items()
            ],
            "noted": self.memory.noted,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, of a sampler made with the same arguments.

        Raises:
            ValueError: it is no such state; the sampler has been left alone, but for its random numbers.
            TypeError: likewise.
            KeyError: likewise.
            OverflowError: likewise.
        """
        kept = Kept.read(state)
        set_states(self, state["generators"])
        self.memory = _Memory(history=self.memory.history, kept=kept)

    def _read(self, study: Study, trial: FrozenTrial) -> History:
        """The study so far; another study than the last time starts anew."""
        if study.study_name != self.study_name:
            highest = max([*self.costs, *self.bounds, *(self.logarithmic or ())], default=0)
            if highest >= len(study.directions):
                raise SpecError(f"the study has {len(study.directions)} objectives, numbered from 0; got {highest}")
            kept = self.memory.kept if self.study_name is None else None
            self.study_name, self.memory = study.study_name, _Memory(kept=kept)
        self.memory.history.update(study, apart_from=trial.number)
        return self.memory.history

    def _prepare(self, space: Mapping[str, BaseDistribution], history: History) -> tuple[Candidates, Models]:
        """Candidates and models of this space; made anew only where it is another one."""
        memory = self.memory
        if memory.candidates is None or memory.models is None or memory.counter is None or memory.space != space:
            memory.space, encoder = dict(space), Encoder(space, Hints(self.hints, self._reference(space)))
            counter = CostCounter([self.costs[index] for index in self.order], self.feasible, self.counted)
            counter.encoder = encoder
            kept = memory.kept or Kept(noted=memory.noted)
            counter.book, counter.weights, memory.noted = dict(kept.book), dict(kept.weights), kept.noted
            memory.counter = counter
            weights = (kept.processes, kept.fitted)
            memory.models = Models(encoder, known=self.order, bounds=self.bounds, weights=weights)
            memory.candidates = Candidates(
                memory.space, self.listed, counter, self.generator, conditions=self.conditions
            )
            memory.kept = None
        for one in history.observations[memory.noted :]:
            memory.counter.see(one.parameters, (one.values * history.signs)[self.order])
        memory.noted = len(history.observations)
        return memory.candidates, memory.models

    def _scale(self, history: History, candidates: Candidates, pool: Pool) -> CostScale:
        """The scale of the known costs: of all listed candidates if all are counted, else of trials and the pool."""
        listed = candidates.listed
        if listed is not None and listed.exact.all():
            costs = listed.costs
        else:
            costs = np.concatenate([pool.costs, history.raw(self.order)])
        wishes = [None if self.logarithmic is None else index in self.logarithmic for index in self.order]
        limits = [self.bounds.get(index) for index in self.order]
        return CostScale.of(costs, history.signs[self.order], logarithmic=wishes, bounds=limits)

    def _spread(self, history: History, candidates: Candidates) -> Mapping[str, Any]:
        """A candidate from where the fewest trials have begun: in cost, or anywhere if none is known."""
        counter = candidates.counter
        pool = counter.prepare(candidates.of(history, []), self.generator)
        running = counter.pool(list(history.running), exact=True)
        for _ in range(PATIENCE):
            if not len(pool):
                return {}
            width = counter.encoder.width - len(self.hints)
            scores = pool.columns[:, width:] * history.signs[[hint.objective for hint in self.hints]]
            if not self.order:
                seen = counter.encoder.encode([one.parameters for one in history.observations])
                begun = np.concatenate([seen, running.columns])
                row = farthest(pool.columns[:, :width], begun[:, :width], scores, self.generator)
            else:
                taken = np.concatenate([history.raw(self.order), running.costs])
                scale = self._scale(history, candidates, pool)
                rows = in_the_emptiest(scale, pool.costs, taken, strata=self.startup, generator=self.generator)
                row = promising(rows, scores, self.generator)
            if counter.count(pool.parameters[row]) is not None:
                return pool.parameters[row]
            pool = pool.take(np.arange(len(pool)) != row)
        return {}

    def _reference(self, space: Mapping[str, BaseDistribution]) -> Sequence[Mapping[str, Any]]:
        """Candidates among which hints are ranked: all that are listed, else random ones, the same in every run."""
        if self.listed is not None or not self.hints:
            return self.listed or []
        generator = np.random.default_rng(0)
        conditions = self.conditions or Conditions(always=frozenset(space))
        return propose(space, conditions, [], [], count=REFERENCE, generator=generator)

    def _improving(self, history: History, candidates: Candidates, models: Models) -> Mapping[str, Any]:
        """The candidate of the largest expected improvement."""
        counter = candidates.counter
        running = counter.pool(list(history.running), exact=True)
        pool = counter.prepare(candidates.of(history, models.good(history)), self.generator)
        if not len(pool):
            return {}
        models.learn(history, running, self._scale(history, candidates, pool))
        pool, values = candidates.searched(pool, models.improvement(pool), history, models)
        return counter.best(pool, values, models.improvement) or {}


@cache
def _blas() -> ThreadpoolController:
    """The linear algebra's threads; more than one wait for each other where trainings keep all cores busy."""
    return ThreadpoolController()


@dataclass
class _Memory:
    """What a sampler keeps of its study between two asks; all but `kept` could be made again from the study.

    Attributes:
        noted: observations whose costs the counter has seen.
        kept: what an earlier sampler left.
    """

    history: History = field(default_factory=History)
    space: dict[str, BaseDistribution] = field(default_factory=dict)
    counter: CostCounter | None = None
    models: Models | None = None
    candidates: Candidates | None = None
    noted: int = 0
    kept: Kept | None = None
