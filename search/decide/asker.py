"""Which candidate is tried next: an Optuna sampler behind one ask and tell, each candidate once.

The sampler works on a study in memory, fed with what the run's storage holds; so an answer that is not used (it was
tried before, or it cannot be built) never reaches the storage.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import Trial, TrialState

from leni.errors import CandidateError
from spaces import Candidate, SearchSpace

__all__ = ["Asked", "Asker"]

PATIENCE = 25  # answers that cannot be used, before an untried candidate is drawn at random
LISTED = 20_000  # candidates of a space that are listed to find the untried ones


@dataclass(frozen=True)
class Asked:
    """A candidate to try, and what a storage keeps of where it came from."""

    candidate: Candidate
    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    trial: Trial | None


class Asker:
    """Candidates of a space, each at most once.

    Args:
        space: where they come from.
        sampler: decides; one of Optuna's, or any BaseSampler.
        directions: "maximize" or "minimize", or Optuna's own, one an objective.
        seed: for the candidates that are drawn when the sampler repeats itself.
        check: raises CandidateError for a candidate that cannot be built; such a one costs no trial.
        first: candidates to try before the sampler is asked, in or outside the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: BaseSampler,
        *,
        directions: Sequence[Any],
        seed: int,
        check: Callable[[Candidate], Any],
        first: Iterable[Candidate] = (),
    ) -> None:
        self.space, self.check = space, check
        self.study = optuna.create_study(directions=list(directions), sampler=sampler)
        self.random = random.Random(seed)
        self.waiting = list(dict.fromkeys(first))
        self.tried: set[Candidate] = set()

    def ask(self) -> Asked | None:
        """The next candidate; None where every one has been tried."""
        while self.waiting:
            asked = self._enqueued(self.waiting.pop(0))
            if asked is not None:
                return self._taken(asked)
        for _ in range(PATIENCE):
            asked = self._suggested()
            if asked is not None:
                return self._taken(asked)
        asked = self._untried()
        return None if asked is None else self._taken(asked)

    def tell(self, asked: Asked, values: Sequence[float] | None) -> None:
        """Let the sampler know how a candidate ended.

        Args:
            asked: what `ask` gave.
            values: of the objectives, None where it failed or was stopped.
        """
        if asked.trial is not None:
            state = TrialState.FAIL if values is None else TrialState.COMPLETE
            self.study.tell(asked.trial, values, state=state)

    def _taken(self, asked: Asked) -> Asked:
        self.tried.add(asked.candidate)
        return asked

    def _usable(self, candidate: Candidate) -> bool:
        """Whether it has not been tried, and can be built."""
        if candidate in self.tried:
            return False
        try:
            self.check(candidate)
        except CandidateError:
            return False
        return True

    def _enqueued(self, candidate: Candidate) -> Asked | None:
        """A given candidate; the sampler learns of it only where the space could have given it."""
        if not self._usable(candidate):
            return None
        known = self.space.parameters(candidate)
        if known is None:
            return Asked(candidate, {}, {}, None)
        parameters, distributions = known
        self.study.enqueue_trial(parameters)
        trial = _ask(self.study)
        self.space.suggest(trial)
        return Asked(candidate, parameters, distributions, trial)

    def _suggested(self) -> Asked | None:
        """The sampler's next answer, where it can be used."""
        trial = _ask(self.study)
        try:
            candidate = self.space.suggest(trial)
        except CandidateError:
            candidate = None
        if candidate is None or not self._usable(candidate):
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        return Asked(candidate, trial.params, trial.distributions, trial)

    def _untried(self) -> Asked | None:
        """Any candidate that is left, by listing the space where it ends, by drawing where it does not."""
        if all(values.values() is not None for values in self.space.dimensions().values()):
            listed = list(islice(self.space.candidates(), LISTED))
            self.random.shuffle(listed)
            found = next((candidate for candidate in listed if self._usable(candidate)), None)
            return None if found is None else self._enqueued(found)
        drawing = Asker(
            self.space,
            RandomSampler(seed=self.random.randrange(2**31)),
            directions=self.study.directions,
            seed=0,
            check=self.check,
        )
        drawing.tried = self.tried
        drawn = next((asked for _ in range(LISTED) if (asked := drawing._suggested())), None)
        return None if drawn is None else self._enqueued(drawn.candidate)


def _ask(study: optuna.Study) -> Trial:
    """A trial of the study, without the warnings that samplers give of their own experimental parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return study.ask()
