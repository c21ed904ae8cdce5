"""Ray Tune's TrialScheduler around early stopping: it translates, and decides nothing."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.execute.searcher import StudySearcher

__all__ = ["JudgingScheduler"]


class JudgingScheduler(FIFOScheduler):
    """Stops a trial when the searcher, to whom every learning curve goes, says so."""

    def __init__(self, searcher: StudySearcher) -> None:
        super().__init__()
        self.searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Called by Tune for every report of a trial."""
        stop = self.searcher.judge(trial.trial_id, result)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called by Tune when a trial's process has died, before it is tried again or the searcher hears of its end.

        (A `tune.Callback` would hear of it too; but where there is one, Tune imports MLflow and its like to see whether
        it is one of theirs, which takes seconds.)
        """
        self.searcher.died(trial.trial_id, trial.get_pickled_error())

    def __getstate__(self) -> dict[str, Any]:
        """Nothing is kept: the study is the one truth."""
        return {}
