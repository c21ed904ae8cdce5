"""A sampler that is shown a bounded part of a study's history, so that its answers do not slow down as trials add up.

The rule is that of `history.representative`: of the completed trials half are the best by non-dominated rank, the rest
come evenly from all others in the order in which they ended; running trials are all shown, and of the pruned ones the
latest tenth. Up to the limit nothing is left out, and the sampler answers as it would by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.decide.known_cost.history import representative

__all__ = ["BoundedSampler"]


class BoundedSampler(BaseSampler):
    """Another sampler with a bounded history.

    Args:
        sampler: decides; it must read the study's trials through `Study`, as Optuna's own do.
        limit: completed trials that it is shown at most.
    """

    def __init__(self, sampler: BaseSampler, *, limit: int) -> None:
        self.sampler, self.limit = sampler, limit

    def __str__(self) -> str:
        return str(self.sampler)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self.sampler.infer_relative_search_space(self._view(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self.sampler.sample_relative(self._view(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does."""
        return self.sampler.sample_independent(self._view(study), trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the sampler does; it sees the whole study."""
        self.sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the sampler does; it sees the whole study."""
        self.sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """As the sampler does."""
        self.sampler.reseed_rng()

    def _view(self, study: Study) -> Study:
        """The study as it is up to the limit; beyond it a copy that holds the trials of the rule."""
        trials = study._get_trials(deepcopy=False, use_cache=True)
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        if len(done) <= self.limit:
            return study
        signs = [-1.0 if way == StudyDirection.MAXIMIZE else 1.0 for way in study.directions]
        values = np.array([trial.values for trial in done]) * signs
        kept = [done[row] for row in representative(values, self.limit)]
        pruned = [trial for trial in trials if trial.state == TrialState.PRUNED][-(self.limit // 10) :]
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        view = copy.copy(study)
        view._thread_local = type(study._thread_local)()
        view._thread_local.cached_all_trials = sorted([*kept, *pruned, *running], key=lambda trial: trial.number)
        return view
