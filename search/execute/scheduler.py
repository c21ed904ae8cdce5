"""Ray Tune's TrialScheduler around early stopping and limits of time: it translates, and decides nothing."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.execute.searcher import EngineSearcher

__all__ = ["JudgingScheduler"]

LOOK_S = 0.25  # seconds between two looks at how long trials have run


class JudgingScheduler(FIFOScheduler):
    """Stops a trial when the searcher, to whom every learning curve goes, says so, or when its time is over.

    Args:
        searcher: judges.
        tells: whether a trial is told that it is to stop, and ends by itself; it is ended between two of its steps
            otherwise. A user's function cannot be cut off between two steps.
    """

    def __init__(self, searcher: EngineSearcher, *, tells: bool = False) -> None:
        super().__init__()
        self.searcher, self.tells = searcher, tells
        self.trials: dict[str, Trial] = {}
        self.since: dict[str, float] = {}
        self.looked = time.monotonic()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Called by Tune for a new trial, and for one that is tried again."""
        super().on_trial_add(tune_controller, trial)
        self.trials[trial.trial_id] = trial
        self.since.pop(trial.trial_id, None)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Called by Tune for every report of a trial."""
        stops = self.searcher.judge(trial.trial_id, result)
        if stops and not self.tells:
            return TrialScheduler.STOP
        actor = trial.temporary_state.ray_actor
        if "ask" in result and actor is not None:
            actor.answer.remote(*self.searcher.suggest_parameter(trial.trial_id, *result["ask"]))
        if stops and actor is not None:
            trial.max_failures = 0  # whatever becomes of its process, it is not tried again
            if result.get("hung"):
                ray.kill(actor)
            else:
                actor.tell_stop.remote()
        return TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called by Tune when a trial's process has died, before it is tried again or the searcher hears of its end.

        (A `tune.Callback` would hear of it too; but where there is one, Tune imports MLflow and its like to see whether
        it is one of theirs, which takes seconds.)
        """
        self.searcher.died(trial.trial_id, trial.get_pickled_error())

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called by Tune at every turn of its loop, whatever its trials do: the place to look at the clock."""
        now = time.monotonic()
        if now - self.looked >= LOOK_S:
            self.looked = now
            self._end_overdue(tune_controller, now)
        chosen: Trial | None = super().choose_trial_to_run(tune_controller)
        return chosen

    def _end_overdue(self, tune_controller: Any, now: float) -> None:
        """End the process of every trial whose time is over; it answers no other way while a function runs."""
        self.trials = {name: trial for name, trial in self.trials.items() if name in self.searcher.numbers}
        running = {name for name, trial in self.trials.items() if trial.status == Trial.RUNNING}
        self.since = {name: self.since.get(name, now) for name in running}
        for name in self.searcher.overdue({name: now - since for name, since in self.since.items()}):
            trial = self.trials.get(name)
            actor = None if trial is None else trial.temporary_state.ray_actor
            if trial is not None and name in running and actor is not None:
                trial.max_failures = 0  # it is not tried again
                ray.kill(actor)
            elif trial is not None:
                tune_controller.stop_trial(trial)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing is kept: the study is the one truth."""
        return {}
