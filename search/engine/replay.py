"""What a study knows, told again to a new engine: how a run is resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from search.engine.core import Engine, Task
from search.store.outcome import Outcome
from search.store.trials import STATES, StudyStore, candidate_of, costs_of, curve_of

__all__ = ["replay"]


def replay(
    engine: Engine,
    store: StudyStore,
    *,
    moved: Callable[[int, int], None] = lambda old, new: None,
) -> None:
    """Tell the engine, its sampler and its pruner of every trial, and let it continue those that were running.

    Trials are told in order of number. One whose run was interrupted is taken up as a new trial, which continues from
    the old one's state.

    Args:
        engine: new, with the study as its ledger.
        store: the study, which may hold trials.
        moved: told of the old and the new number of a trial that is taken up as a new one.
    """
    running = {trial.number: trial for trial in store.recover()}
    interrupted = {trial.number: trial for trial in store.interrupted()}
    for trial in store.ended():
        if trial.number in interrupted:
            continue
        cut_off = trial.user_attrs.get("result", {}).get("interrupted", False)
        if not cut_off:  # one that was, and that another went on with, is that other
            counts = "warm_start" not in trial.user_attrs
            engine.recall(_task(engine, trial), _outcome(engine, trial), counts=counts)
    for trial in running.values():
        engine.waiting.append(_task(engine, trial))
    for trial in interrupted.values():
        engine.waiting.append(_continued(engine, store, trial, moved))
    for task in engine.waiting:
        task.again = True
    engine.begun += len(engine.waiting)


def _task(engine: Engine, trial: FrozenTrial) -> Task:
    seeds = tuple(trial.user_attrs.get("seeds", engine.seeds))
    candidate = candidate_of(trial)
    asked = engine.asker.replay(trial, candidate)
    return Task(trial.number, asked, costs_of(trial), seeds, needs=engine.needs(candidate))


def _continued(engine: Engine, store: StudyStore, old: FrozenTrial, moved: Callable[[int, int], None]) -> Task:
    """A new trial of the study that continues an old one."""
    again = create_trial(
        state=TrialState.RUNNING, params=old.params, distributions=old.distributions, user_attrs=old.user_attrs
    )
    task = _task(engine, again)
    facts = {"sampler": dict(task.asked.attributes), "seeds": list(task.seeds), "continues": old.number}
    task.number = store.begin(
        task.asked.candidate,
        task.costs,
        old.params,
        old.distributions,
        **facts,
    )
    moved(old.number, task.number)
    return task


def _outcome(engine: Engine, trial: FrozenTrial) -> Outcome:
    """How a trial ended, with the curve by which it was judged: of its first seed, or the mean over its seeds."""
    result: Mapping[str, Any] = trial.user_attrs.get("result", {})
    first = next(iter(trial.user_attrs.get("seeds", engine.seeds)))
    epochs: dict[int, list[float]] = {}
    for row in curve_of(trial):
        if engine.curve in row and (not engine.first_seed or row.get("seed", first) == first):
            value = row[engine.curve]
            epochs.setdefault(row["epoch"], []).append(float("nan") if value is None else value)
    curve = [{"epoch": epoch, engine.curve: sum(values) / len(values)} for epoch, values in sorted(epochs.items())]
    return Outcome(STATES[trial.state], result.get("metrics", {}), curve, result.get("error", ""))
