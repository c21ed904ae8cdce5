"""The study: Optuna's storage, the one truth about a run's trials, and the records read from it.

A trial is written when it begins (its parameters, its candidate, its exact costs) and once more when it ends. Its state
is COMPLETE, PRUNED (stopped early) or FAIL (with its reason), RUNNING in between. optuna-dashboard reads the same
storage.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection, load_study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Engine, event

from spaces import Candidate

__all__ = ["Outcome", "StudyStore"]

NAME = "leni-search"
STATES = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: completed, stopped or failed.
        metrics: what was measured: accuracy (0..1), epochs, seeds, wall_s, device, and what an evaluator adds.
        curve: one mapping an epoch: epoch, accuracy, loss, and seed.
        error: why it failed; empty otherwise.
    """

    state: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[Mapping[str, Any]] = ()
    error: str = ""


class StudyStore:
    """Trials of one run in an Optuna storage; written by one driver.

    Args:
        url: of a database, `sqlite:///study.db`.
        objectives: "maximize" or "minimize" by name; a trial's values are in this order.
    """

    def __init__(self, url: str, objectives: Mapping[str, str]) -> None:
        self.objectives = dict(objectives)
        self.storage = _open(url)
        self.study_id = self._study_id()
        self._ids: dict[int, int] = {}

    def _study_id(self) -> int:
        for study in self.storage.get_all_studies():
            if study.study_name == NAME:
                return study._study_id
        directions = [StudyDirection[direction.upper()] for direction in self.objectives.values()]
        study_id = self.storage.create_new_study(directions, NAME)
        self.storage.set_study_user_attr(study_id, "objectives", self.objectives)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            load_study(study_name=NAME, storage=self.storage).set_metric_names(list(self.objectives))
        return study_id

    def begin(
        self,
        candidate: Candidate,
        costs: Mapping[str, int],
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> int:
        """Write a running trial.

        Args:
            candidate: what is tried.
            costs: what is known of it before training: params, macs.
            parameters: its answers to the space's dimensions; empty for a candidate from outside the space.
            distributions: of these parameters.

        Returns:
            The trial's number, counted from 0.
        """
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(parameters),
            distributions=dict(distributions),
            user_attrs={"candidate": candidate.to_dict(), **costs},
        )
        trial.datetime_start = datetime.now()
        trial_id = self.storage.create_new_trial(self.study_id, template_trial=trial)
        number = self.storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return number

    def end(self, number: int, outcome: Outcome) -> None:
        """Write a trial's end, once.

        Args:
            number: of a running trial.
            outcome: its state, metrics and curve; a completed one must have every objective that is not a cost.
        """
        trial_id = self._ids.pop(number)
        trial = self.storage.get_trial(trial_id)
        known = {**trial.user_attrs, **outcome.metrics}
        self.storage.set_trial_user_attr(
            trial_id,
            "result",
            {"metrics": dict(outcome.metrics), "curve": _finite(outcome.curve), "error": outcome.error},
        )
        values = [float(known[name]) for name in self.objectives] if outcome.state == "completed" else None
        state = next(state for state, name in STATES.items() if name == outcome.state)
        self.storage.set_trial_state_values(trial_id, state, values)

    def fail_running(self, reason: str) -> int:
        """End as failed whatever is still running; how many there were."""
        running = self.storage.get_all_trials(self.study_id, deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            self._ids[trial.number] = trial._trial_id
            self.end(trial.number, Outcome("failed", error=reason))
        return len(running)

    def records(self) -> list[dict[str, Any]]:
        """One row for every trial that has ended, in order of number, as results.records describes them."""
        return [_record(trial) for trial in self._ended()]

    def curves(self) -> list[dict[str, Any]]:
        """One row an epoch: number, seed, epoch, accuracy (0..1), loss."""
        return [
            {"number": trial.number, "seed": 0, **point}
            for trial in self._ended()
            for point in trial.user_attrs.get("result", {}).get("curve", ())
        ]

    def _ended(self) -> list[FrozenTrial]:
        return self.storage.get_all_trials(self.study_id, deepcopy=False, states=tuple(STATES))

    def close(self) -> None:
        """Let go of the database, so that SQLite folds its write-ahead log into the file."""
        self.storage.remove_session()
        if isinstance(engine := getattr(self.storage, "engine", None), Engine):
            engine.dispose()


def _open(url: str) -> BaseStorage:
    """The storage; SQLite with a write-ahead log, which halves the price of a trial, and patience with readers."""
    if not url.startswith("sqlite"):
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})

    @event.listens_for(storage.engine, "connect")
    def quicken(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()  # connections made before the listener was there
    return storage


def _finite(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curve as strict JSON, which has no NaN."""
    return [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in curve
    ]


def _record(trial: FrozenTrial) -> dict[str, Any]:
    """One row from one trial."""
    candidate = Candidate.from_json(json.dumps(trial.user_attrs["candidate"]))
    result = trial.user_attrs.get("result", {"metrics": {}, "error": "the run was cut off while it wrote this trial"})
    start, end = trial.datetime_start, trial.datetime_complete
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        **candidate.columns(),
        "params": trial.user_attrs.get("params"),
        "macs": trial.user_attrs.get("macs"),
        "wall_s": (end - start).total_seconds() if start and end else None,
        "error": result["error"],
        "started_at": start.astimezone(UTC) if start else None,
        **result["metrics"],
    }
