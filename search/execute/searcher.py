"""Ray Tune's Searcher around ask, study and tell: it translates, and decides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ray.tune.search import Searcher

from search.decide.stopping.rules import Stopper
from search.engine.asker import Asked, Asker, Point
from search.engine.budget import Budget
from search.store.checkpoints import Checkpoints
from search.store.trials import Outcome, StudyStore

__all__ = ["Observer", "StudySearcher", "Task"]


class Observer(Protocol):
    """Who watches a run: progress on a terminal, records on disk."""

    def begun(self, number: int, candidate: Point) -> None:
        """A trial begins."""

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """A trial has come one epoch further."""

    def ended(self, number: int, candidate: Point, costs: Mapping[str, float], outcome: Outcome) -> None:
        """A trial is over."""


@dataclass
class Task:
    """A trial that is running, or waits for a slot to go on in.

    Attributes:
        number: in the study.
        asked: the sampler's answer.
        costs: what is known of it before training.
        seeds: that it is trained with.
        curve: an item an epoch, means over the seeds.
        rows: an item an epoch of a seed, as records have them.
        alone: whether it ran out of memory beside others, and is to be tried once more with nothing beside it.
        stopped: whether its stop has been decided.
    """

    number: int
    asked: Asked
    costs: Mapping[str, float]
    seeds: tuple[int, ...]
    curve: list[Mapping[str, Any]] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    alone: bool = False
    stopped: bool = False
    since: float = field(default_factory=time.monotonic)


class StudySearcher(Searcher):
    """Gives Tune the candidates that `asker` asks for, and writes each trial to `store` as it begins and as it ends.

    Args:
        asker: decides.
        store: remembers.
        costs: of a candidate, known before it is trained.
        budget: how far to go.
        slots: how many run at once; no candidate is asked for before there is a slot to train it.
        observers: who is told.
        seeds: of a candidate that is new; one that is asked for again gets as many that follow.
        stopper: may end a trial early.
        checkpoints: where states of trainings are, of trials that are over they are removed.
        waiting: trials of the study to go on with first.
        keep: is given the sampler's state after every answer.
        gpus: of one trial.
        goes_on: whether a trial that the search's time has ended goes on from its state when the run is resumed.
        warn: is given what a trial says of itself that a reader of the run should know.
    """

    def __init__(
        self,
        asker: Asker,
        store: StudyStore,
        *,
        costs: Callable[[Any], Mapping[str, float]],
        budget: Budget,
        slots: int,
        observers: Sequence[Observer],
        seeds: Sequence[int] = (0,),
        stopper: Stopper | None = None,
        checkpoints: Checkpoints | None = None,
        waiting: Sequence[Task] = (),
        keep: Callable[[bytes], None] | None = None,
        gpus: float = 0.0,
        goes_on: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(metric="accuracy", mode="max")
        self.asker, self.store, self.costs, self.budget = asker, store, costs, budget
        self.slots, self.observers, self.seeds, self.gpus = slots, list(observers), tuple(seeds), gpus
        self.stopper, self.checkpoints, self.keep, self.warn = stopper, checkpoints, keep, warn
        self.waiting, self.later = list(waiting), list[Task]()
        self.live: dict[str, Task] = {}
        self.deaths: dict[str, str] = {}
        self.ended: dict[str, str] = {}  # trials that have run for too long, with the reason
        self.goes_on = goes_on
        self.begun, self.gpu_s, self.started = len(self.waiting), 0.0, time.monotonic()
        self.completed: list[Mapping[str, float]] = []
        self.why = ""  # no further trial begins: what the budget says, or "exhausted"

    def recall(self, task: Task, outcome: Outcome, *, counts: bool = True) -> None:
        """Take note of a trial that was over before this run, or this resumption of it, began.

        Args:
            task: the trial, replayed by the asker.
            outcome: how it ended.
            counts: whether it is one of the budget's trials.
        """
        self.begun += counts
        if self.stopper is not None:
            self.stopper.begin(task.number, self._static(task))
            for point in outcome.curve:
                self.stopper.report(task.number, point["epoch"], _number(point["accuracy"]))
        self._note(task, outcome, seconds=float(outcome.metrics.get("wall_s") or 0.0))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config; None while every slot is taken; FINISHED at the end."""
        if len(self.live) >= self.slots or any(task.alone for task in self.live.values()):
            return None
        task = self.waiting.pop(0) if self.waiting else self._new()
        if task is None:
            if not self.later:
                return Searcher.FINISHED
            if self.live:
                return None
            task = self.later.pop(0)
        task.since = time.monotonic()
        self.live[trial_id] = task
        if self.stopper is not None and not task.alone:
            self.stopper.begin(task.number, self._static(task))
        for observer in self.observers:
            observer.begun(task.number, task.asked.candidate)
        return {
            "number": task.number,
            "candidate": task.asked.candidate.to_dict(),
            "seeds": list(task.seeds),
            "costs": dict(task.costs),
        }

    def _new(self) -> Task | None:
        """A trial that the sampler asks for; None where there is to be no further one."""
        self.why = self.why or self._spent()
        asked = None if self.why else self.asker.ask()
        if asked is None:
            self.why = self.why or "exhausted"
            return None
        costs = self.costs(asked.candidate)
        seeds = tuple(seed + asked.repeat * len(self.seeds) for seed in self.seeds)
        facts = {"sampler": dict(asked.attributes), "seeds": list(seeds)}
        number = self.store.begin(asked.candidate, costs, asked.parameters, asked.distributions, **facts)
        if self.keep is not None:
            self.keep(self.asker.state())
        self.begun += 1
        return Task(number, asked, costs, seeds)

    def _static(self, task: Task) -> tuple[float, ...]:
        """The objectives that are known before training; larger is worse."""
        return tuple(task.costs[name] for name in self.store.objectives if name in task.costs)

    def _spent(self) -> str:
        now = time.monotonic()
        running = sum(now - task.since for task in self.live.values())
        return self.budget.spent(
            begun=self.begun, elapsed_s=now - self.started, gpu_s=self.gpu_s + self.gpus * running,
            completed=self.completed, objectives=self.store.objectives,
        )  # fmt: skip

    def judge(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take the new part of a learning curve; whether the trial is to stop."""
        task = self.live.get(trial_id)
        if task is None:
            return False
        done = result.get("done", False)
        if result.get("warning"):
            self.warn(f"trial {task.number}: {result['warning']}")
        for point in result.get("curve", ()):
            if task.stopped or (task.curve and point["epoch"] <= task.curve[-1]["epoch"]):
                continue  # a last result reaches us twice, and a trial that goes on tells its curve again
            task.curve.append(point)
            task.rows += _rows(point)
            for observer in self.observers:
                observer.reported(task.number, point)
            stops = self.stopper is not None and self.stopper.report(
                task.number, point["epoch"], _number(point["accuracy"])
            )
            if stops and not done:  # what a slow report says beyond would make a run depend on the clock
                task.stopped = True
                return True
        return False

    def overdue(self, running_s: Mapping[str, float]) -> list[str]:
        """Trials that must be ended now, each once.

        Args:
            running_s: seconds that a trial has run; nothing for one that waits for its process.
        """
        elapsed_s, found = time.monotonic() - self.started, []
        for trial_id in self.live if self.budget.limits_trials else ():
            why = self.budget.overdue(running_s=running_s.get(trial_id, 0.0), elapsed_s=elapsed_s)
            if why and trial_id not in self.ended:
                self.ended[trial_id] = why
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
        task = self.live.get(trial_id)
        if task is None:
            return
        if trial_id in self.ended and "metrics" not in (result or {}):
            cut_off = Outcome("failed", {"epochs": len(task.curve)}, task.rows, self.ended.pop(trial_id))
            late = self.budget.overdue(running_s=0.0, elapsed_s=time.monotonic() - self.started)
            self._end(trial_id, replace(cut_off, interrupted=self.goes_on and bool(late)))
            return
        if error:
            why = self.deaths.get(trial_id, "the trial's process ended")
            self._end(trial_id, Outcome("failed", {"epochs": len(task.curve)}, task.rows, why))
            return
        result = result or {}
        self.judge(trial_id, result)
        epochs = {"epochs": len(task.curve), "seeds": len(task.seeds)}
        if "metrics" in result:
            outcome = self._completed(task, dict(result["metrics"]))
            self._end(trial_id, replace(outcome, notes=tuple(result.get("notes", ()))))
        elif result.get("error"):
            if "OutOfMemoryError" in result["error"] and self.gpus > 0 and not task.alone:
                self._postpone(trial_id)
                return
            trace = str(result.get("traceback", ""))
            self._end(trial_id, Outcome("failed", epochs, task.rows, result["error"], traceback=trace))
        else:
            reached = {"accuracy": task.curve[-1]["accuracy"]} if task.curve else {}
            self._end(trial_id, Outcome("stopped", {**epochs, **reached}, task.rows))

    def _completed(self, task: Task, metrics: dict[str, Any]) -> Outcome:
        """Completed, if there is a finite value for every objective."""
        known = {**task.costs, **metrics}
        for name in self.store.objectives:
            if not math.isfinite(_number(known.get(name))):
                return Outcome("failed", {}, task.rows, f"there is no finite value for the objective {name}")
        return Outcome("completed", metrics, task.rows)

    def _postpone(self, trial_id: str) -> None:
        """Try once more at the end of the search, with nothing beside it."""
        task = self.live.pop(trial_id)
        if self.stopper is not None:
            self.stopper.end(task.number, "failed")
        task.alone, task.curve, task.rows = True, [], []
        self.later.append(task)

    def _end(self, trial_id: str, outcome: Outcome) -> None:
        task = self.live.pop(trial_id)
        self.deaths.pop(trial_id, None)
        self.ended.pop(trial_id, None)
        self.store.end(task.number, outcome)
        values = None
        if outcome.state == "completed":
            known = {**task.costs, **outcome.metrics}
            values = [float(known[name]) for name in self.store.objectives]
        self.asker.tell(task.asked, outcome.state, values)
        self._note(task, outcome, seconds=time.monotonic() - task.since)
        if self.checkpoints is not None and not outcome.interrupted:
            self.checkpoints.remove(task.number)
        for observer in self.observers:
            observer.ended(task.number, task.asked.candidate, task.costs, outcome)

    def _note(self, task: Task, outcome: Outcome, *, seconds: float) -> None:
        """What the budget and the stopper go by."""
        self.gpu_s += self.gpus * seconds
        if outcome.state == "completed":
            known = {**task.costs, **outcome.metrics}
            self.completed.append({name: float(known[name]) for name in self.store.objectives})
        if self.stopper is not None and not task.alone:
            self.stopper.end(task.number, outcome.state)

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


def _rows(point: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An epoch's row a seed; of an evaluator that knows of no seeds, one row of seed 0."""
    own = {"epoch": point["epoch"], "accuracy": point["accuracy"], "loss": point.get("loss")}
    seeds = point.get("seeds") or [{"seed": 0, **own}]
    return [{**own, **row} for row in seeds]


def _number(value: Any) -> float:
    """A measured value; NaN where there is none."""
    return math.nan if value is None else float(value)
