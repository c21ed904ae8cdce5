"""What a study knows, told again to a new searcher: how a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from search.execute.searcher import StudySearcher, Task
from search.store.trials import STATES, Outcome, candidate_of, curve_of

__all__ = ["replay"]


def replay(searcher: StudySearcher, *, known: Sequence[str]) -> None:
    """Tell the searcher, its sampler and its stopper of every trial, and let it go on with those that were running.

    Trials are told in order of number. One whose run was interrupted is taken up as a new trial, which goes on from the
    old one's state.

    Args:
        searcher: new, over a study that may hold trials.
        known: names of costs that are known before training.
    """
    store = searcher.store
    running = {trial.number: trial for trial in store.recover()}
    interrupted = {trial.number: trial for trial in store.interrupted()}
    for trial in store.ended():
        if trial.number in interrupted:
            continue
        cut_off = trial.user_attrs.get("result", {}).get("interrupted", False)
        if not cut_off:  # one that was, and that another went on with, is that other
            counts = "warm_start" not in trial.user_attrs
            searcher.recall(_task(searcher, trial, known), _outcome(trial), counts=counts)
    for trial in running.values():
        searcher.waiting.append(_task(searcher, trial, known))
    for trial in interrupted.values():
        searcher.waiting.append(_continued(searcher, trial, known))
    searcher.begun += len(searcher.waiting)


def _task(searcher: StudySearcher, trial: FrozenTrial, known: Sequence[str]) -> Task:
    costs = {name: trial.user_attrs[name] for name in known if name in trial.user_attrs}
    seeds = tuple(trial.user_attrs.get("seeds", searcher.seeds))
    return Task(trial.number, searcher.asker.replay(trial, candidate_of(trial)), costs, seeds)


def _continued(searcher: StudySearcher, old: FrozenTrial, known: Sequence[str]) -> Task:
    """A new trial of the study that goes on with an old one."""
    again = create_trial(
        state=TrialState.RUNNING, params=old.params, distributions=old.distributions, user_attrs=old.user_attrs
    )
    task = _task(searcher, again, known)
    facts = {"sampler": dict(task.asked.attributes), "seeds": list(task.seeds), "continues": old.number}
    task.number = searcher.store.begin(
        task.asked.candidate,
        task.costs,
        old.params,
        old.distributions,
        **facts,
    )
    if searcher.checkpoints is not None:
        searcher.checkpoints.move(old.number, task.number)
    return task


def _outcome(trial: FrozenTrial) -> Outcome:
    """How a trial ended, its curve as means over its seeds."""
    result: Mapping[str, Any] = trial.user_attrs.get("result", {})
    epochs: dict[int, list[float]] = {}
    for row in curve_of(trial):
        value = row.get("accuracy")
        epochs.setdefault(row["epoch"], []).append(float("nan") if value is None else value)
    curve = [{"epoch": epoch, "accuracy": sum(values) / len(values)} for epoch, values in sorted(epochs.items())]
    return Outcome(STATES[trial.state], result.get("metrics", {}), curve, result.get("error", ""))
