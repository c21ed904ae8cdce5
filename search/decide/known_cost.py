"""Optuna sampler for searches in which some objectives are known before a trial runs.

In a search over architectures the parameters and multiply-adds of a candidate can be counted; only the accuracy needs a
training. So each uncertain objective has a Gaussian process, known costs are exact, and the next trial is the candidate
of the largest expected hypervolume improvement, in closed form. In plain Optuna:

    sampler = KnownCostSampler({1: lambda params: count(**params)}, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

The first trials are spread over the range of the costs. Running trials count as if they ended as expected. A candidate
that was tried, however it ended, is not asked for again while others are left. A stopped trial is evidence where it says
what it had reached (`history.READING`), never a result. With nothing known it is plain expected improvement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from scipy.special import ndtr

from leni.errors import SpecError
from results.fronts import is_non_dominated
from search.decide.belief import CHEAPEST, READING_NOISE, Belief, Scale, reference_of
from search.decide.encoding import Encoder
from search.decide.expected_improvement import Factor, Known, expected_improvement
from search.decide.history import History, Observation, key_of, representative, rows_of
from search.decide.proposals import Conditions, draw, propose
from search.decide.surrogate import GaussianProcess

__all__ = ["KnownCostSampler"]

Array = NDArray[np.float64]
Cost = Callable[[Mapping[str, Any]], float]

MODELLED = 300  # observations that a model holds at most: see history.representative
FITTED = 120  # of them, those that its weights are fitted to
REFIT = 1.15  # weights are fitted again when there are so many times as many observations
WORK = 1.5e8  # candidates times observations squared, at most, of one ask
FEWEST, MOST = 1_000, 16_000  # candidates of one ask, whatever WORK says
DRAWN = 1_000  # candidates of one ask where the space is not listed
ROUNDS = 3  # of drawing closer to the best of them
BEST = 8  # candidates that are drawn closer to
END = 0.01  # beyond the largest known cost, where the reference is
LOGARITHMIC = 10.0  # largest over smallest cost from which a positive cost counts by its logarithm


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
            history = self._update(study, trial)
            known = {**self.distributions, **history.distributions}
            return {name: one for name, one in sorted(known.items()) if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the next candidate."""
        if not search_space:
            return {}
        with self.lock:
            self._check(study)
            history = self._update(study, trial)
            pool = self._pool(history, search_space)
            if pool is None:
                return {}
            results = [one for one in history.observations if one.result]
            if history.begun < self.startup or len(results) < min(4, self.startup):
                chosen = self._spread(pool, history)
            else:
                chosen = self._improving(pool, history, study)
            return {name: value for name, value in chosen.items() if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value: of a parameter that no trial has had before, or whose condition was not foreseen."""
        with self.lock:
            return draw(param_distribution, self.generator)
