"""Ray Tune's Searcher around the engine: it translates, and decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, json_to_distribution
from ray.tune.search import Searcher

from search.engine.core import Engine
from search.store.checkpoints import Checkpoints

__all__ = ["EngineSearcher"]


class EngineSearcher(Searcher):
    """Gives Tune the engine's trials, and the engine what Tune hears of them.

    Args:
        engine: decides, and keeps the trials.
        checkpoints: where checkpoints of trainings are; those of trials that are over are removed.
        goes_on: whether a trial that the search's time has ended continues when the run is resumed, also where it has
            kept no checkpoint yet.
        finish: is given the number of a trial whose process has died, where it is not tried again.
        warn: is given what a trial says of itself that a reader of the run should know.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        checkpoints: Checkpoints | None = None,
        goes_on: bool = False,
        warn: Callable[[str], None] = lambda _: None,
        finish: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(metric="accuracy", mode="max")
        self.engine, self.checkpoints, self.goes_on, self.warn = engine, checkpoints, goes_on, warn
        self.finish = finish
        self.numbers: dict[str, int] = {}  # of the trials that run, by Tune's own name
        self.deaths: dict[str, str] = {}
        self.spent: dict[int, dict[str, float]] = {}  # what a trial has cost by its last report
        self.cut_off: dict[str, str] = {}  # trials that have run for too long, with the reason

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config; None while every slot is taken; FINISHED at the end."""
        task = self.engine.next(time.monotonic())
        if task is None:
            return Searcher.FINISHED if self.engine.finished else None
        self.numbers[trial_id] = task.number
        return {
            "number": task.number,
            "candidate": task.asked.candidate.to_dict(),
            "seeds": list(task.seeds),
            "costs": dict(task.costs),
            "resources": {"cpu": task.needs.cpus, "gpu": task.needs.gpus},
        }

    def judge(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take the new part of a learning curve; whether the trial is to stop."""
        number = self.numbers.get(trial_id)
        if number is None:
            return False
        if result.get("warning"):
            self.warn(f"trial {number}: {result['warning']}")
        if result.get("anew") and (self.engine.live[number].again or trial_id in self.deaths):
            self.warn(f"trial {number} was cut off and starts again from its beginning: it has kept no checkpoint")
        self.spent[number] = {"wall_s": result["wall_s"]} if "wall_s" in result else {}
        return self.engine.report(number, result.get("curve", ()), done=result.get("done", False))

    def suggest_parameter(self, trial_id: str, name: str, distribution: str) -> tuple[Any, str]:
        """The value of a parameter that a running trial declares.

        Args:
            trial_id: of the trial.
            name: of the parameter.
            distribution: of its values, as Optuna's JSON.

        Returns:
            The value, of a categorical parameter the index of its choice; or None with a reason why there is none.
        """
        made = json_to_distribution(distribution)
        try:
            value = self.engine.suggest(self.numbers[trial_id], name, made)
        except ValueError as error:
            return None, str(error)
        return (made.choices.index(value) if isinstance(made, CategoricalDistribution) else value), ""

    def overdue(self, running_s: Mapping[str, float]) -> list[str]:
        """Trials that must be ended now, each once.

        Args:
            running_s: seconds that a trial has run; nothing for one that waits for its process.
        """
        now, found = time.monotonic(), []
        for trial_id, number in self.numbers.items():
            why = self.engine.overdue(number, running_s=running_s.get(trial_id, 0.0), now=now)
            if why and trial_id not in self.cut_off:
                self.cut_off[trial_id] = why
                found.append(trial_id)
        return found

    def died(self, trial_id: str, error: Exception | None) -> None:
        """Why a trial's process has died: what Ray says of it. The trial may be tried again, or end by this."""
        said = "without a word: killed, out of memory, or crashed" if error is None else str(error).strip()
        lines = said.splitlines() or ["no message"]
        self.deaths[trial_id] = f"the trial's process ended: {lines[0]}"[:500]

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take the new part of a learning curve; the scheduler, where there is one, has done so before."""
        self.judge(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial is over; where there is an error, its process has died once more than it may."""
        number = self.numbers.get(trial_id)
        if number is None:
            return
        kept = self._ended(trial_id, number, result or {}, error=error)
        del self.numbers[trial_id]
        self.deaths.pop(trial_id, None)
        self.cut_off.pop(trial_id, None)
        self.spent.pop(number, None)
        if error:
            self.finish(number)
        if self.checkpoints is not None and not kept:
            self.checkpoints.remove(number)

    def _ended(self, trial_id: str, number: int, result: Mapping[str, Any], *, error: bool) -> bool:
        """Tell the engine how a trial ended; whether its checkpoint is still needed."""
        now = time.monotonic()
        if trial_id in self.cut_off and "metrics" not in result:
            late = bool(self.engine.overdue(number, running_s=0.0, now=now))
            kept = self.goes_on or (self.checkpoints is not None and self.checkpoints.holds(number))
            self.engine.fail(number, self.cut_off[trial_id], now, interrupted=kept and late)
            return kept and late
        if error and self.engine.live[number].stopped:  # its process was ended because it did not stop by itself
            self.engine.stop(number, now, spent=self.spent.get(number))
            return False
        if error:
            self.engine.fail(number, self.deaths.get(trial_id, "the trial's process ended"), now)
            return False
        self.judge(trial_id, result)
        if "metrics" in result:
            self.engine.complete(number, dict(result["metrics"]), now, notes=tuple(result.get("notes", ())))
        elif not result.get("error"):
            self.engine.stop(number, now, spent=self.spent.get(number))
        elif self._postponed(number, result["error"]):
            return True
        else:
            self.engine.fail(number, result["error"], now, traceback=str(result.get("traceback", "")))
        return False

    def _postponed(self, number: int, error: str) -> bool:
        """Whether a trial that ran out of a GPU's memory beside others is tried once more, alone."""
        task = self.engine.live[number]
        if "OutOfMemoryError" not in error or not task.needs.gpus > 0 or task.alone:
            return False
        self.engine.postpone(number)
        return True

    def save(self, checkpoint_path: str) -> None:
        """Tune keeps no state of ours: the study is the one truth."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """See `save`: Tune pickles its parts before it starts."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """See `save`."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `save`."""
