"""Which candidate is tried next: an Optuna sampler behind one ask and tell, each candidate once.

The sampler works on a study in memory, fed with what the run's storage holds; so an answer that is not used (it was
tried before, or it cannot be built) never reaches the storage.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from leni.errors import CandidateError
from search.decide.bounded import BoundedSampler
from search.decide.generators import reseed, set_states, states_of
from search.engine.asked import Asked, Point
from search.engine.suggesting import Suggesting
from search.store.trials import STATES
from spaces import WalkedSpace

__all__ = ["Asked", "Asker", "Point"]

PATIENCE = 25  # answers that cannot be used, before an untried candidate is drawn at random
LISTED = 20_000  # candidates of a space that are listed to find the untried ones
STATE_VERSION = 1
_KEPT = (RandomSampler, TPESampler, NSGAIISampler, NSGAIIISampler, QMCSampler)
"""Optuna's samplers whose state is their generators', what they note in the study, and what the trials say."""

ASKED = "asked"  # how many answers the sampler had given before this one, in an answer's attributes
_STATES = {name: state for state, name in STATES.items()}


class Asker:
    """Candidates of a space, each at most once, unless repeats are asked for.

    Args:
        space: where they come from.
        sampler: decides; one of Optuna's, or any BaseSampler.
        directions: "maximize" or "minimize", or Optuna's own, one an objective.
        seed: for the candidates that are drawn when the sampler repeats itself.
        check: raises CandidateError for a candidate that cannot be built; such a one costs no trial.
        first: candidates to try before the sampler is asked, in or outside the space.
        duplicates: of a candidate that the sampler asks for again: "skip" asks for another; "reseed" gives it again if
            it is finished, with the count of its repeats; "allow" gives it again as if it were new, as Optuna does.
        only_first: whether those of `first` are all there is, and the sampler is never asked.
    """

    def __init__(
        self,
        space: WalkedSpace[Any],
        sampler: BaseSampler,
        *,
        directions: Sequence[Any],
        seed: int,
        check: Callable[[Any], Any],
        first: Iterable[Point] = (),
        duplicates: str = "skip",
        only_first: bool = False,
    ) -> None:
        self.space, self.check, self.only_first, self.duplicates = space, check, only_first, duplicates
        self.study = optuna.create_study(directions=list(directions), sampler=sampler)
        self.seed, self.random = seed, random.Random(seed)
        self.waiting = list(dict.fromkeys(first))
        self.tried: dict[Point, int] = {}
        self.finished: set[Point] = set()
        self.suggesting = Suggesting(self.study)

    def ask(self) -> Asked | None:
        """The next candidate; None where every one has been tried."""
        while self.waiting:
            asked = self._enqueued(self.waiting.pop(0))
            if asked is not None:
                return self._taken(asked)
        if self.only_first:
            return None
        for _ in range(PATIENCE):
            asked = self._suggested()
            if asked is not None:
                return self._taken(asked)
        asked = self._untried()
        return None if asked is None else self._taken(asked)

    def tell(
        self,
        asked: Asked,
        state: str,
        values: Sequence[float] | None = None,
        *,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the sampler know how a candidate ended.

        Args:
            asked: what `ask` or `replay` gave.
            state: completed, stopped or failed; a stopped one has no values, so that no reading at part of the
                training is mistaken for a result.
            values: of the objectives, of a completed one.
            evidence: what samplers of ours read beside the values, see `search.decide.known_cost.history`.
        """
        self.suggesting.close(asked)
        if state == "completed":
            self.finished.add(asked.candidate)
        if asked.trial is not None:
            storage = self.study._storage
            trial_id = storage.get_trial_id_from_study_id_trial_number(self.study._study_id, asked.trial)
            for name, value in (evidence or {}).items():
                storage.set_trial_user_attr(trial_id, name, value)
            self.study.tell(asked.trial, values, state=_STATES[state])

    def replay(self, trial: FrozenTrial, candidate: Point) -> Asked:
        """Take a trial of a storage for one of this sampler's own, whatever its state.

        Returns:
            What `ask` gave in its time; a running one can be told.
        """
        count = self.tried.get(candidate, 0)
        self.tried[candidate] = count + 1
        if trial.state == TrialState.COMPLETE:
            self.finished.add(candidate)
        attributes = trial.user_attrs.get("sampler", {})
        storage, study_id = self.study._storage, self.study._study_id
        known = None
        while storage.get_n_trials(study_id) < attributes.get(ASKED, 0):  # answers that were of no use counted too
            storage.create_new_trial(study_id, template_trial=create_trial(state=TrialState.FAIL))
        if trial.params or self.space.parameters(candidate) is not None:
            copy = create_trial(
                state=trial.state, values=trial.values, params=trial.params, distributions=trial.distributions,
                user_attrs=trial.user_attrs.get("result", {}).get("evidence"),
                system_attrs={name: value for name, value in attributes.items() if name != ASKED},
            )  # fmt: skip
            trial_id = storage.create_new_trial(study_id, template_trial=copy)
            known = storage.get_trial_number_from_id(trial_id)
        return Asked(candidate, trial.params, trial.distributions, known, count, attributes)

    @property
    def keepable(self) -> bool:
        """Whether `state` holds all that the sampler's next answer depends on beside the trials."""
        sampler = self.study.sampler
        while isinstance(sampler, BoundedSampler):
            sampler = sampler.sampler
        return hasattr(sampler, "restore") or type(sampler) in _KEPT

    def state(self) -> bytes:
        """Where the random numbers stand; with the trials, all that the next answer depends on. JSON, no code."""
        notes = self.study._storage.get_study_system_attrs(self.study._study_id)
        own = getattr(self.study.sampler, "state", None)  # of one that knows the whole space: without it
        return json.dumps(
            {
                "version": STATE_VERSION,
                "sampler": own() if own else states_of(self.study.sampler),
                "random": states_of(self.random)[""],
                "notes": {name: value for name, value in notes.items() if _is_json(value)},
            }
        ).encode()

    def restore(self, state: bytes) -> bool:
        """Go on with random numbers that `state` gave; False, and nothing done, where they cannot be read."""
        before = self.state()
        try:
            self._restore(json.loads(state))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            self._restore(json.loads(before))
            return False
        return True

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != STATE_VERSION:
            raise ValueError(f"the state has version {state['version']!r}")
        notes = dict(state["notes"])
        own = getattr(self.study.sampler, "restore", None)
        if own:
            own(state["sampler"])
        else:
            set_states(self.study.sampler, state["sampler"])
        set_states(self.random, {"": state["random"]})
        for name, value in notes.items():
            self.study._storage.set_study_system_attr(self.study._study_id, name, value)

    def reseed(self, trials: int) -> None:
        """Begin with other random numbers, which follow from the seed and a number of trials."""
        reseed(self.study.sampler, self.seed, trials, 0)
        reseed(self.random, self.seed, trials, 1)

    def _taken(self, asked: Asked) -> Asked:
        self.tried[asked.candidate] = asked.repeat + 1
        return asked

    def _usable(self, candidate: Point) -> bool:
        """Whether it has not been tried (or may be again), and can be built."""
        again = self.duplicates == "allow" or (self.duplicates == "reseed" and candidate in self.finished)
        if candidate in self.tried and not again:
            return False
        try:
            self.check(candidate)
        except CandidateError:
            return False
        return True

    def _enqueued(self, candidate: Point) -> Asked | None:
        """A given candidate, unless it has been tried."""
        if candidate in self.tried or not self._usable(candidate):
            return None
        return self._given(candidate)

    def _given(self, candidate: Point) -> Asked:
        """A candidate as the sampler's answer; it learns of it only where the space could have given it."""
        known = self.space.parameters(candidate)
        if known is None:
            return Asked(candidate, {}, {}, None)
        parameters, distributions = known
        self.study.enqueue_trial(parameters)
        trial = _ask(self.study)
        self.space.suggest(trial)
        repeat = self.tried.get(candidate, 0) if self.duplicates == "reseed" else 0
        return Asked(candidate, parameters, distributions, trial.number, repeat, {ASKED: trial.number})

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
        if self.space.substitutes and (own := self.space.parameters(candidate)) and own[0] != trial.params:
            self.study.tell(trial, state=TrialState.FAIL)  # the sampler learns what was tried in place of its answer
            return self._given(candidate)
        noted = self.study._storage.get_trial(trial._trial_id).system_attrs
        attributes = {ASKED: trial.number, **{name: value for name, value in noted.items() if _is_json(value)}}
        repeat = self.tried.get(candidate, 0) if self.duplicates == "reseed" else 0
        return Asked(candidate, trial.params, trial.distributions, trial.number, repeat, attributes)

    def _untried(self) -> Asked | None:
        """Any candidate that is left, by listing the space where it ends, by drawing where it does not."""
        if all(values.values() is not None for values in self.space.dimensions().values()):
            listed = list(islice(self.space.candidates(), LISTED))
            self.random.shuffle(listed)
            left = (candidate for candidate in listed if candidate not in self.tried)
            found = next(filter(self._usable, left), None)
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


def _is_json(value: Any) -> bool:
    """Whether a storage can keep a sampler's note."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
