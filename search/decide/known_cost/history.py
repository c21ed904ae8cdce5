"""What a study says about its trials, as arrays: read once a trial, minimised, bounded by a rule.

A model of a few hundred points answers in milliseconds, one of thousands does not. `representative` keeps at most a
given number: half of them the best by non-dominated rank, the rest evenly from all others in the order in which they
came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from results.fronts import ranks

__all__ = ["READING", "VARIANCE", "History", "Observation", "key_of", "representative"]

VARIANCE = "variance"
"""Trial's user attribute: variance of each objective's value, as replicas tell; a list, or one number for all."""

READING = "reading"
"""User attribute of a stopped or failed trial: what its objectives were when it ended, a list; evidence, no result."""

Array = NDArray[np.float64]
Key = tuple[tuple[str, Any], ...]


def key_of(parameters: Mapping[str, Any]) -> Key:
    """Parameters as something to look up by."""
    return tuple(sorted(parameters.items()))


@dataclass(frozen=True)
class Observation:
    """One trial that says something of the objectives."""

    number: int
    parameters: Mapping[str, Any]
    values: Array  # (m,), minimised
    variance: Array | None  # (m,), None where no replicas tell
    result: bool  # False for a reading of a trial that was stopped
    constraints: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        """Whether it meets its constraints."""
        return all(value <= 0 for value in self.constraints.values())


@dataclass
class History:
    """Trials of one study so far; `update` reads what is new.

    Attributes:
        signs: (m,), -1 for an objective that is maximised.
        observations: in the order in which they were read.
        values: (n, m), of the observations, minimised.
        counted: (n,), which of them are results that meet their constraints.
        running: parameters of trials without a result yet.
        tried: key of every trial that has ended, however it did, in the order in which they were read.
        over: trials that were completed or stopped, whether or not they say something.
        distributions: by name, the last that was seen.
        settled: trials from the study's first on that have all been read.
    """

    signs: Array = field(default_factory=lambda: np.ones(1))
    observations: list[Observation] = field(default_factory=list)
    values: Array = field(default_factory=lambda: np.empty((0, 1)))
    counted: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    running: list[Mapping[str, Any]] = field(default_factory=list)
    tried: dict[Key, None] = field(default_factory=dict)
    over: int = 0
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    settled: int = 0

    def update(self, study: Study, *, apart_from: int) -> None:
        """Read the trials that have ended since the last time, and those that are running.

        Args:
            study: the study.
            apart_from: number of the trial that is being asked for.
        """
        self.signs = np.array([-1.0 if way == StudyDirection.MAXIMIZE else 1.0 for way in study.directions])
        self.running = []
        fresh = []
        trials = study._get_trials(deepcopy=False, use_cache=True)
        for trial in trials[self.settled :]:
            if trial.number in self.seen or trial.number == apart_from or trial.state == TrialState.WAITING:
                continue
            if trial.state == TrialState.RUNNING:
                if trial.params:
                    self.running.append(trial.params)
                    self.distributions.update(trial.distributions)
                continue
            fresh.append(trial)
        self._read(fresh)
        while self.settled < len(trials) and trials[self.settled].number in self.seen:
            self.settled += 1

    def _read(self, fresh: Sequence[FrozenTrial]) -> None:
        """Trials that have ended."""
        made = []
        for trial in fresh:
            self.seen.add(trial.number)
            self.over += trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if trial.params:
                self.tried[key_of(trial.params)] = None
                self.distributions.update(trial.distributions)
                if (found := _observation(trial, self.signs)) is not None:
                    made.append(found)
        if made:
            before = self.values if self.observations else np.empty((0, len(self.signs)))
            self.observations += made
            self.values = np.concatenate([before, [one.values for one in made]])
            self.counted = np.concatenate([self.counted, [one.result and one.feasible for one in made]])

    def begun_keys(self) -> set[Key]:
        """Keys of every trial that has begun, the running ones too."""
        return self.tried.keys() | {key_of(parameters) for parameters in self.running}

    def raw(self, objectives: Sequence[int]) -> Array:
        """Values (n, k) of some objectives, in their own direction."""
        if not self.observations:
            return np.empty((0, len(objectives)))
        return self.values[:, list(objectives)] * self.signs[list(objectives)]

    @property
    def begun(self) -> int:
        """Trials that have begun, apart from those that failed and say nothing."""
        return max(self.over, len(self.observations)) + len(self.running)


def _observation(trial: FrozenTrial, signs: Array) -> Observation | None:
    """What a finished trial says; None if nothing."""
    result = trial.state == TrialState.COMPLETE
    given: Any = trial.values if result else trial.user_attrs.get(READING)
    if not result and given is None and len(signs) == 1 and trial.intermediate_values:
        given = [trial.intermediate_values[max(trial.intermediate_values)]]
    if given is None or len(given) != len(signs):
        return None
    values = np.array([math.nan if value is None else float(value) for value in given]) * signs
    if np.isnan(values).any():
        return None
    variance = trial.user_attrs.get(VARIANCE)
    spread = None
    if variance is not None:
        spread = np.broadcast_to(np.asarray(variance, dtype=np.float64), signs.shape).copy()
        if not (np.isfinite(spread).all() and (spread >= 0).all()):
            spread = None
    return Observation(trial.number, trial.params, values, spread, result, trial.constraints)


def representative(values: Array, limit: int) -> NDArray[np.intp]:
    """Which rows stand for all: see the top of this file.

    Args:
        values: (n, m), minimised.
        limit: rows to keep at most.

    Returns:
        Row numbers, ascending; all of them where n is at most the limit.
    """
    if len(values) <= limit:
        return np.arange(len(values))
    order = np.argsort(ranks(values), kind="stable")
    best, others = order[: limit // 2], np.sort(order[limit // 2 :])
    spaced = others[np.linspace(0, len(others) - 1, limit - len(best)).round().astype(int)]
    return np.unique(np.concatenate([best, spaced]))
