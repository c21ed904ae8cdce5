"""The study: Optuna's storage, the one truth about a run's trials, and the records read from it.

A trial is written when it begins (its parameters, its candidate, its exact costs) and once more when it ends. Its state
is COMPLETE, PRUNED (stopped early) or FAIL (with its reason), RUNNING in between. optuna-dashboard reads the same
storage. A database that is gone for a while is waited for; a write that it may have taken is not made twice.
"""

from __future__ import annotations

import json
import math
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection, load_study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from leni.errors import StorageError
from results.names import SCORES, parameter_column, plain_name
from search.store.outcome import Outcome
from search.store.postgres import with_driver
from search.store.secrets import masked
from search.store.sqlite import open_storage, quicken
from spaces import Candidate, Configuration

__all__ = ["NAME", "STATES", "StudyStore", "candidate_of", "check_database", "costs_of", "curve_of"]

NAME = "leni-search"
STATES = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}
"""How a trial can end: Optuna's state, and its name in the records (`results.STATES`)."""
CUT_OFF: Mapping[str, Any] = {"metrics": {}, "curve": [], "error": "the run was cut off while it wrote this trial"}
T = TypeVar("T")


class StudyStore:
    """Trials of one run in an Optuna storage; written by one driver.

    Args:
        database: path of a SQLite file, or an address such as `postgresql://user@host/name`.
        objectives: "maximize" or "minimize" by column of the records; a trial's values are in this order.
        name: of the study in that database.
        patience_s: how long a database that does not answer is waited for.
        lock: whether a SQLite file is locked; not where the file system has no locks.

    Raises:
        StorageError: the database cannot be opened, or holds a study of other objectives under this name.
    """

    def __init__(
        self,
        database: str | Path,
        objectives: Mapping[str, str],
        *,
        name: str = NAME,
        patience_s: float = 180.0,
        lock: bool = True,
    ) -> None:
        self.objectives, self.name, self.patience_s = dict(objectives), name, patience_s
        try:
            self.storage = _open(database, lock=lock)
            self.study_id = self._study_id()
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise StorageError(
                f"the study's database cannot be opened: {_reason(error)}", code="LS-STORAGE-OPEN"
            ) from None
        self._ids: dict[int, int] = {}

    def _study_id(self) -> int:
        directions = [StudyDirection[direction.upper()] for direction in self.objectives.values()]
        for study in self.storage.get_all_studies():
            if study.study_name == self.name:
                if study.directions != directions:
                    raise StorageError(
                        f"the database holds a study {self.name!r} of other objectives", code="LS-STORAGE-TAKEN"
                    )
                return study._study_id
        study_id = self.storage.create_new_study(directions, self.name)
        names = [plain_name(column) for column in self.objectives]
        self.storage.set_study_user_attr(
            study_id, "objectives", dict(zip(names, self.objectives.values(), strict=True))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            load_study(study_name=self.name, storage=self.storage).set_metric_names(names)
        return study_id

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do it, and again while the database does not answer, as long as patience lasts."""
        end, pause = time.monotonic() + self.patience_s, 0.1
        while True:
            try:
                return action()
            except (SQLAlchemyError, StorageInternalError) as error:
                if time.monotonic() >= end:
                    raise StorageError(
                        f"the study's database has not answered for {self.patience_s:g} s: {_reason(error)}",
                        code="LS-STORAGE-SILENT",
                    ) from None
            self.storage.remove_session()
            time.sleep(pause)
            pause = min(2.0, 2 * pause)

    def begin(
        self,
        candidate: Candidate | Configuration,
        costs: Mapping[str, float],
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        **facts: Any,
    ) -> int:
        """Write a running trial.

        Args:
            candidate: what is tried.
            costs: what is known of it before its trial, by column of the records.
            parameters: its answers to the space's dimensions; empty for a candidate from outside the space.
            distributions: of these parameters.
            facts: further user attributes: which seeds, which interrupted trial it continues.

        Returns:
            The trial's number, counted from 0.
        """
        token = uuid.uuid4().hex
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(parameters),
            distributions=dict(distributions),
            user_attrs={"candidate": candidate.to_dict(), "costs": dict(costs), **facts, "token": token},
        )
        trial.datetime_start = datetime.now()

        def write() -> int:
            for known in reversed(self._all((TrialState.RUNNING,)) if attempts else ()):
                if known.user_attrs.get("token") == token:  # the last attempt did arrive
                    return known._trial_id
            attempts.append(1)
            return self.storage.create_new_trial(self.study_id, template_trial=trial)

        attempts: list[int] = []
        trial_id = self._patiently(write)
        number = self._patiently(lambda: self.storage.get_trial_number_from_id(trial_id))
        self._ids[number] = trial_id
        return number

    def suggested(
        self, number: int, candidate: Candidate | Configuration, name: str, value: Any, distribution: BaseDistribution
    ) -> None:
        """Write a parameter that a running trial has declared.

        Args:
            number: of the trial.
            candidate: what is tried now, with that parameter.
            name: of the parameter.
            value: of it.
            distribution: of its values.
        """
        trial_id, internal = self._ids[number], distribution.to_internal_repr(value)
        self._patiently(lambda: self.storage.set_trial_param(trial_id, name, internal, distribution))
        self._patiently(lambda: self.storage.set_trial_user_attr(trial_id, "candidate", candidate.to_dict()))

    def end(self, number: int, outcome: Outcome) -> None:
        """Write a trial's end, once.

        Args:
            number: of a running trial.
            outcome: its state, metrics and curve; a completed one must have every objective that is not a cost.
        """
        trial_id = self._ids.pop(number)
        result = {
            "state": outcome.state,
            "metrics": dict(outcome.metrics),
            "curve": _finite(outcome.curve),
            "error": outcome.error,
            **({"notes": list(outcome.notes)} if outcome.notes else {}),
            **({"evidence": dict(outcome.evidence)} if outcome.evidence else {}),
            **({"traceback": outcome.traceback} if outcome.traceback else {}),
            **({"interrupted": True} if outcome.interrupted else {}),
        }
        attempts: list[int] = []

        def write() -> None:
            if attempts and self.storage.get_trial(trial_id).state.is_finished():  # the last attempt did arrive
                return
            attempts.append(1)
            self.storage.set_trial_user_attr(trial_id, "result", result)
            self._finish(self.storage.get_trial(trial_id))

        self._patiently(write)

    def _finish(self, trial: FrozenTrial) -> None:
        """Give a trial the state and values that its result says."""
        result = trial.user_attrs["result"]
        known = {**costs_of(trial), **result["metrics"]}
        values = [float(known[name]) for name in self.objectives] if result["state"] == "completed" else None
        state = next(state for state, name in STATES.items() if name == result["state"])
        self.storage.set_trial_state_values(trial._trial_id, state, values)

    def recover(self) -> list[FrozenTrial]:
        """Finish what a driver wrote the result of and was then killed; the trials that really are still running."""
        running = []
        for trial in self._all((TrialState.RUNNING,)):
            if "result" in trial.user_attrs:
                self._patiently(lambda trial=trial: self._finish(trial))  # type: ignore[misc]
            else:
                self._ids[trial.number] = trial._trial_id
                running.append(trial)
        return running

    def add_once(self, templates: Sequence[FrozenTrial]) -> None:
        """Take over trials of another study, those that are not here yet; each has a user attribute "warm_start"."""
        here = {trial.user_attrs.get("warm_start") for trial in self._all(None)} if templates else set()
        for template in templates:
            if template.user_attrs["warm_start"] not in here:
                self._patiently(lambda t=template: self.storage.create_new_trial(self.study_id, template_trial=t))  # type: ignore[misc]

    def fail_running(self, reason: str, *, interrupted: bool = False) -> int:
        """End as failed whatever is still running; how many there were."""
        running = self.recover()
        for trial in running:
            self.end(trial.number, Outcome("failed", error=reason, interrupted=interrupted))
        return len(running)

    def ended(self) -> list[FrozenTrial]:
        """Every trial that is over, in order of number."""
        return self._all(tuple(STATES))

    def interrupted(self) -> list[FrozenTrial]:
        """Trials that failed only because their run ended, and that no other has continued."""
        every = self._all(None)
        continued = {trial.user_attrs.get("continues") for trial in every}
        return [
            trial
            for trial in every
            if trial.user_attrs.get("result", {}).get("interrupted") and trial.number not in continued
        ]

    def _all(self, states: tuple[TrialState, ...] | None) -> list[FrozenTrial]:
        return self._patiently(lambda: self.storage.get_all_trials(self.study_id, deepcopy=False, states=states))

    def records(self) -> list[dict[str, Any]]:
        """One row for every trial that has ended, in order of number, as results.records describes them.

        A candidate that was trained again from further seeds has one completed row, its first, with all of its seeds;
        rows of the others say "extended" and stay out of fronts.
        """
        return _merged(self.ended(), objectives=self.objectives)

    def parameter_columns(self) -> tuple[str, ...]:
        """Columns of the records that say what was tried, of trials that declared their parameters themselves."""
        names = dict.fromkeys(name for trial in self.ended() for name in trial.params)
        return tuple(parameter_column(name, taken=self.objectives) for name in names)

    def notes(self) -> list[str]:
        """What no record could hold of an evaluator's results, each sentence once."""
        ends = (trial.user_attrs.get("result", CUT_OFF) for trial in self.ended())
        return list(dict.fromkeys(note for result in ends for note in result.get("notes", ())))

    def curves(self) -> list[dict[str, Any]]:
        """One row an epoch of a seed: number, seed, epoch, accuracy (0..1), loss."""
        return [{"number": trial.number, "seed": 0, **point} for trial in self.ended() for point in curve_of(trial)]

    def close(self) -> None:
        """Let go of the database, so that SQLite folds its write-ahead log into the file."""
        self.storage.remove_session()
        if isinstance(engine := getattr(self.storage, "engine", None), Engine):
            engine.dispose()


def check_database(url: str) -> None:
    """See that a database answers, and change nothing in it but Optuna's own tables.

    Raises:
        StorageError: it does not.
    """
    try:
        storage = _open(url)
        storage.get_all_studies()
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        raise StorageError(f"the study's database cannot be opened: {_reason(error)}", code="LS-STORAGE-OPEN") from None
    if isinstance(engine := getattr(storage, "engine", None), Engine):
        engine.dispose()


def candidate_of(trial: FrozenTrial) -> Candidate | Configuration:
    """What a trial tried."""
    values = trial.user_attrs["candidate"]
    return (Configuration if "parameters" in values else Candidate).from_dict(values)


def costs_of(trial: FrozenTrial) -> dict[str, int | float]:
    """What was known of a trial before it began, by column of the records."""
    found = trial.user_attrs.get("costs")
    if found is None:  # a study of an older version
        found = {name: trial.user_attrs[name] for name in ("params", "macs") if name in trial.user_attrs}
    return dict(found)


def curve_of(trial: FrozenTrial) -> Iterable[Mapping[str, Any]]:
    """A trial's learning curve, an item an epoch of a seed; empty where it has none."""
    curve: Iterable[Mapping[str, Any]] = trial.user_attrs.get("result", CUT_OFF)["curve"]
    return curve


def _reason(error: Exception) -> str:
    """The database's own words, in one line."""
    cause = getattr(error.__cause__ or error, "orig", None) or error.__cause__ or error
    text = masked(" ".join(str(cause).split()))[:300]
    if any(word in text for word in ("no password supplied", "password authentication failed")):
        text += (
            "; a password is taken from PGPASSWORD, from ~/.pgpass, or from a variable that the address names as $NAME"
        )
    return text


def _open(database: str | Path, *, lock: bool = True) -> BaseStorage:
    """The storage; SQLite with patience for readers."""
    if isinstance(database, Path):
        return open_storage(database, lock=lock)
    if not database.startswith("sqlite"):
        return RDBStorage(_literal(with_driver(database)), engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(_literal(database), engine_kwargs={"connect_args": {"timeout": 60}})
    event.listen(storage.engine, "connect", lambda connection, _: quicken(connection))
    storage.engine.dispose()  # connections made before the listener was there
    return storage


def _literal(address: str) -> str:
    """An address in which Optuna finds no fields to fill in."""
    return address.replace("{", "{{").replace("}", "}}")


def _finite(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curve as strict JSON, which has no NaN."""
    return [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in curve
    ]


def _merged(trials: Sequence[FrozenTrial], *, objectives: Collection[str]) -> list[dict[str, Any]]:
    """A row a trial, those of the same candidate with other seeds put together in the first of them."""
    rows, first = [], dict[str, tuple[dict[str, Any], set[int]]]()
    for trial in trials:
        row, seeds = _record(trial, objectives), set(trial.user_attrs.get("seeds", ()))
        rows.append(row)
        if row["state"] != "completed" or "accuracies" not in row:
            continue
        whole, known = first.setdefault(candidate_of(trial).to_json(), (row, seeds))
        if whole is row or known & seeds:
            continue
        known |= seeds
        before, more = json.loads(whole["accuracies"]), json.loads(row["accuracies"])
        values = before + more
        for name in SCORES:
            if whole.get(name) is not None and row.get(name) is not None:
                whole[name] = (len(before) * whole[name] + len(more) * row[name]) / len(values)
        whole |= {"accuracies": json.dumps(values), "accuracy": fmean(values), "accuracy_std": stdev(values)}
        whole["seeds"], row["state"] = len(values), "extended"
    return rows


def _record(trial: FrozenTrial, objectives: Collection[str]) -> dict[str, Any]:
    """One row from one trial."""
    result = trial.user_attrs.get("result", CUT_OFF)
    start, end = trial.datetime_start, trial.datetime_complete
    costs = costs_of(trial)
    metrics = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
        for name, value in result["metrics"].items()
    }
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        **dict.fromkeys(objectives),
        **_candidate_columns(candidate_of(trial), objectives),
        "params": None,
        "macs": None,
        **costs,
        "wall_s": (end - start).total_seconds() if start and end else None,
        "error": result["error"],
        **({"traceback": result["traceback"]} if result.get("traceback") else {}),
        "started_at": start.astimezone(UTC) if start else None,
        "candidate": json.dumps(trial.user_attrs["candidate"]),
        **metrics,
    }


def _candidate_columns(candidate: Candidate | Configuration, objectives: Collection[str]) -> dict[str, Any]:
    """What was tried, by column of the records."""
    if isinstance(candidate, Candidate):
        return candidate.columns()
    return {parameter_column(name, taken=objectives): value for name, value in candidate.values}
