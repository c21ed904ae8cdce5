"""The loop of every search: ask, begin, report and perhaps stop, end, tell.

It decides nothing itself and knows neither Ray nor a clock nor files: candidates come from the asker, early stopping
from the pruner, trials are kept by a ledger, and the moment is an argument. Ray Tune drives it in `search.execute`, a
virtual clock over a table of recorded results in `search.simulation`; so a simulation says what the engine does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import variance
from typing import Any, Protocol

from optuna.distributions import BaseDistribution

from results.names import curve_column
from search.decide.known_cost.history import READING, VARIANCE
from search.decide.stopping.roles import Roles
from search.decide.stopping.rules import Pruner
from search.engine.agreement import agreed
from search.engine.asked import Asked, Point
from search.engine.asker import Asker
from search.engine.budget import Budget
from search.engine.needs import Capacity, Needs
from search.engine.recipe import recipe_of
from search.store.outcome import Outcome

__all__ = ["Engine", "Ledger", "Observer", "Task"]


class Ledger(Protocol):
    """Where trials are kept: Optuna's storage in a run, numbers in a simulation."""

    objectives: dict[str, str]

    def begin(
        self,
        candidate: Point,
        costs: Mapping[str, float],
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        **facts: Any,
    ) -> int:
        """Keep a trial that begins; its number."""

    def suggested(self, number: int, candidate: Point, name: str, value: Any, distribution: BaseDistribution) -> None:
        """Keep a parameter that a running trial has declared, and the candidate that it makes."""

    def end(self, number: int, outcome: Outcome) -> None:
        """Keep how a trial ended."""


class Observer(Protocol):
    """Who watches a search: progress on a terminal, records on disk."""

    def begun(self, number: int, candidate: Point) -> None:
        """A trial begins."""

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """A trial has come one epoch further."""

    def ended(self, number: int, candidate: Point, costs: Mapping[str, float], outcome: Outcome) -> None:
        """A trial is over."""


@dataclass
class Task:
    """A trial that is running, or waits for a slot to continue in.

    Attributes:
        number: in the ledger.
        asked: the sampler's answer.
        costs: what is known of it before training.
        seeds: that it is trained with.
        curve: one item per epoch, by which the trial is judged: means over the seeds, or the first seed's values where
            the seeds are trained one after another.
        rows: one item per epoch and seed, as records have them.
        beyond: items that were reported after the stop had been decided.
        needs: CPUs and GPUs.
        alone: whether it ran out of memory beside others, and is to be tried once more with nothing beside it.
        stopped: whether its stop has been decided.
        again: whether an earlier process or run had begun it.
        since: when it began.
    """

    number: int
    asked: Asked
    costs: Mapping[str, float]
    seeds: tuple[int, ...]
    curve: list[Mapping[str, Any]] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    beyond: list[Mapping[str, Any]] = field(default_factory=list)
    needs: Needs = field(default_factory=Needs)
    alone: bool = False
    stopped: bool = False
    again: bool = False
    since: float = 0.0

    @property
    def epochs(self) -> int:
        """The last epoch, or step, of the curve."""
        return self.curve[-1]["epoch"] if self.curve else 0

    def is_new(self, point: Mapping[str, Any]) -> bool:
        """Whether a point was not told before: a last result arrives twice, a retried trial tells its curve again."""
        if "seed" in point:
            told = ((row["seed"], row["epoch"]) for row in reversed(self.rows))
            return next((epoch for seed, epoch in told if seed == point["seed"]), -1) < point["epoch"]
        return not self.curve or point["epoch"] > self.epochs


class Engine:
    """Gives the trials that `asker` asks for, and keeps each in `ledger` as it begins and as it ends.

    Args:
        asker: decides what is tried.
        ledger: keeps the trials.
        costs: of a candidate, known before it is trained.
        budget: how far to go.
        slots: how many run at once; no candidate is asked for before there is a slot to train it.
        observers: who is told.
        seeds: of a candidate that is new; one that is asked for again gets as many that follow.
        pruner: may end a trial early.
        curve: the objective that trials report over their epochs.
        first_seed: whether a trial is judged by its first seed, as the others are trained after it; by the mean over
            the seeds otherwise.
        keep: called after every answer of the sampler.
        needs: CPUs and GPUs of a candidate's trial; None where neither is counted.
        capacity: what trials of different sizes share: the next one begins when it fits beside those that run, and none
            after it begins before, so that a large one waits for no more than these. None where `slots` says it all.
        now: when the search, or its resumption, begins; of the same clock as every later `now`, in seconds.
    """

    def __init__(
        self,
        asker: Asker,
        ledger: Ledger,
        *,
        costs: Callable[[Any], Mapping[str, float]],
        budget: Budget,
        slots: int,
        observers: Sequence[Observer] = (),
        seeds: Sequence[int] = (0,),
        pruner: Pruner | None = None,
        curve: str = "accuracy",
        first_seed: bool = False,
        keep: Callable[[], None] | None = None,
        needs: Callable[[Any], Needs] | None = None,
        capacity: Capacity | None = None,
        now: float = 0.0,
    ) -> None:
        self.asker, self.ledger, self.costs, self.budget = asker, ledger, costs, budget
        self.slots, self.observers, self.seeds = slots, list(observers), tuple(seeds)
        self.needs, self.capacity = needs or (lambda _: Needs()), capacity
        self.pruner, self.keep = pruner, keep
        self.curve, self.first_seed = curve_column(curve), first_seed
        self.waiting, self.later = list[Task](), list[Task]()
        self.live: dict[int, Task] = {}
        self.begun, self.gpu_s, self.started = 0, 0.0, now
        self.judged = 0  # points of learning curves that the pruner was told
        self.completed: list[Mapping[str, float]] = []
        self.differing = False  # whether a trial has returned another value than was known, which is said once
        self.why = ""  # no further trial begins: what the budget says, or "exhausted"

    @property
    def finished(self) -> bool:
        """Whether no further trial begins, whatever comes of those that run."""
        again = any(task.needs.gpus for task in self.live.values())  # one that runs out of memory begins once more
        return bool(self.why) and not (self.waiting or self.later or again)

    def recall(self, task: Task, outcome: Outcome, *, counts: bool = True) -> None:
        """Take note of a trial that was over before this search, or this resumption of it, began.

        Args:
            task: the trial, replayed by the asker.
            outcome: how it ended.
            counts: whether it is one of the budget's trials.
        """
        self.begun += counts
        if self.pruner is not None:
            self._begin(task)
            for point in outcome.curve:
                self._judge(task.number, point)
        self._note(task, outcome, seconds=float(outcome.metrics.get("wall_s") or 0.0))

    def next(self, now: float) -> Task | None:
        """The trial that begins now; None while every slot is taken, and where there is none (see `finished`)."""
        if len(self.live) >= self.slots or any(task.alone for task in self.live.values()) or self._full():
            return None
        task = self.waiting.pop(0) if self.waiting else self._new(now)
        if task is not None and not self._fits(task, now):
            return None
        if task is None and self.later and not self.live:
            task = self.later.pop(0)
        if task is None:
            return None
        task.since = now
        self.live[task.number] = task
        if not task.alone:
            self._begin(task)
        for observer in self.observers:
            observer.begun(task.number, task.asked.candidate)
        return task

    def _full(self) -> bool:
        """Whether not even the smallest trial could begin."""
        return self.capacity is not None and self.capacity.full([task.needs for task in self.live.values()])

    def _fits(self, task: Task, now: float) -> bool:
        """Whether a trial can begin now; one that cannot is the next to begin, or ends where no machine is so large."""
        if self.capacity is None or self.capacity.fits(task.needs, [one.needs for one in self.live.values()]):
            return True
        if self.capacity.holds(task.needs):
            self.waiting.insert(0, task)
            return False
        self.live[task.number] = task  # of a run that is continued on smaller machines
        self._begin(task)
        self.fail(task.number, f"no machine has the {task.needs} that it needs", now, interrupted=True)
        return False

    def _new(self, now: float) -> Task | None:
        """A trial that the sampler asks for; None where there is to be no further one."""
        self.why = self.why or self._spent(now)
        asked = None if self.why else self.asker.ask()
        if asked is None:
            self.why = self.why or "exhausted"
            return None
        costs = self.costs(asked.candidate)
        seeds = tuple(seed + asked.repeat * len(self.seeds) for seed in self.seeds)
        facts = {"sampler": dict(asked.attributes), "seeds": list(seeds)}
        number = self.ledger.begin(asked.candidate, costs, asked.parameters, asked.distributions, **facts)
        if self.keep is not None:
            self.keep()
        self.begun += 1
        return Task(number, asked, costs, seeds, needs=self.needs(asked.candidate))

    def _begin(self, task: Task) -> None:
        """Tell the pruner of a trial that begins."""
        if self.pruner is not None:
            self.pruner.begin(task.number, self._roles(task).costs(task.costs), recipe_of(task.asked.candidate))

    def _roles(self, task: Task) -> Roles:
        """Which objective is known, which is reported over the epochs, and which is measured at the end."""
        return Roles.of(self.ledger.objectives, known=task.costs, measured=self.curve)

    def _spent(self, now: float) -> str:
        running = sum(task.needs.gpus * (now - task.since) for task in self.live.values())
        return self.budget.spent(
            begun=self.begun, elapsed_s=now - self.started, gpu_s=self.gpu_s + running,
            completed=self.completed, objectives=self.ledger.objectives,
        )  # fmt: skip

    def report(self, number: int, points: Sequence[Mapping[str, Any]], *, done: bool = False) -> bool:
        """Take the new part of a learning curve; whether the trial is to stop.

        Args:
            number: of a trial that runs.
            points: in order of "epoch"; those that have been told before are passed over.
            done: whether the training is over, so that there is nothing to stop.
        """
        task = self.live[number]
        for point in filter(task.is_new, points):
            if task.stopped:  # what a slow report says beyond would make a run depend on the clock
                task.beyond.append(point)
            elif self._take(task, point) and not done:
                task.stopped = True
        return task.stopped

    def _take(self, task: Task, point: Mapping[str, Any]) -> bool:
        """Take a point of a learning curve; whether the pruner would stop the trial."""
        task.rows += _rows(point)
        if "seed" in point:  # of a seed after the first, by which the trial is not judged
            return False
        task.curve.append(point)
        for observer in self.observers:
            observer.reported(task.number, point)
        return self._judge(task.number, point)

    def _judge(self, number: int, point: Mapping[str, Any]) -> bool:
        """What the pruner says of a point, where it has a value of the objective with a curve."""
        if self.pruner is None or self.curve not in point or point["epoch"] < 1:
            return False
        self.judged += 1
        value = _number(point[self.curve])
        return self.pruner.report(number, point["epoch"], value if math.isfinite(value) else math.nan)

    def suggest(self, number: int, name: str, distribution: BaseDistribution) -> Any:
        """The value of a parameter that a running trial declares, in a define-by-run space.

        Raises:
            ValueError: the parameter has been declared with other values before.
        """
        task = self.live[number]
        known = name in task.asked.parameters  # asked for once more: by another seed, or after a resume
        value, task.asked = self.asker.suggesting.suggest(task.asked, name, distribution)
        if not known:
            self.ledger.suggested(number, task.asked.candidate, name, value, distribution)
            if self.keep is not None:
                self.keep()
        return value

    def complete(self, number: int, metrics: Mapping[str, Any], now: float, *, notes: Sequence[str] = ()) -> Outcome:
        """A training has ended: completed, if there is a finite value for every objective.

        It is completed also where its stop had been decided, but came too late.
        """
        task = self.live[number]
        for point in filter(task.is_new, task.beyond):
            self._take(task, point)
        metrics, differing = agreed(task.asked.candidate, task.costs, metrics)
        notes = (*notes, *(note for note in differing if not self.differing))
        self.differing = self.differing or bool(differing)
        known = {**task.costs, **metrics}
        missing = [name for name in self.ledger.objectives if not math.isfinite(_number(known.get(name)))]
        if missing:
            why = f"there is no finite value for the objective {missing[0]}"
            return self._end(number, Outcome("failed", {}, task.rows, why), now)
        evidence = _measured(self.ledger.objectives, task.costs, metrics)
        return self._end(number, Outcome("completed", dict(metrics), task.rows, evidence=evidence, notes=notes), now)

    def stop(self, number: int, now: float, *, spent: Mapping[str, Any] | None = None) -> Outcome:
        """A training was stopped early: what it had reached is evidence, no result.

        Args:
            number: of a trial that runs.
            now: the moment.
            spent: what is known of its cost, by column of the records: wall_s.
        """
        task = self.live[number]
        last = task.curve[-1] if task.curve else {}
        reached = {name: last[name] for name in self.ledger.objectives if last.get(name) is not None}
        known = {**reached, **task.costs}
        values = [_number(known.get(name)) for name in self.ledger.objectives]
        evidence = {READING: values} if all(map(math.isfinite, values)) else {}
        metrics = {"epochs": task.epochs, "seeds": len(task.seeds), **reached, **(spent or {})}
        return self._end(number, Outcome("stopped", metrics, task.rows, evidence=evidence), now)

    def fail(self, number: int, error: str, now: float, *, traceback: str = "", interrupted: bool = False) -> Outcome:
        """A training has failed, for a reason in one sentence.

        Args:
            number: of a trial that runs.
            error: the reason.
            now: the moment.
            traceback: where it was raised.
            interrupted: whether a resumed search continues it.
        """
        task = self.live[number]
        metrics = {"epochs": task.epochs, "seeds": len(task.seeds)}
        found = Outcome("failed", metrics, task.rows, error, traceback=traceback, interrupted=interrupted)
        return self._end(number, found, now)

    def overdue(self, number: int, *, running_s: float, now: float) -> str:
        """Why a trial has run for too long, or the search has; empty where neither has.

        Args:
            number: of a trial that runs.
            running_s: seconds that it has run; 0 for one that waits for its process.
            now: the moment.
        """
        if number not in self.live or not self.budget.limits_trials:
            return ""
        return self.budget.overdue(running_s=running_s, elapsed_s=now - self.started)

    def postpone(self, number: int) -> None:
        """Try a trial once more at the end of the search, with nothing beside it."""
        task = self.live.pop(number)
        if self.pruner is not None:
            self.pruner.end(number, "failed")
        task.alone, task.curve, task.rows, task.beyond = True, [], [], []
        self.later.append(task)

    def _end(self, number: int, outcome: Outcome, now: float) -> Outcome:
        task = self.live.pop(number)
        self.ledger.end(number, outcome)
        values = None
        if outcome.state == "completed":
            known = {**task.costs, **outcome.metrics}
            values = [float(known[name]) for name in self.ledger.objectives]
        self.asker.tell(task.asked, outcome.state, values, evidence=outcome.evidence)
        self._note(task, outcome, seconds=now - task.since)
        for observer in self.observers:
            observer.ended(number, task.asked.candidate, task.costs, outcome)
        return outcome

    def _note(self, task: Task, outcome: Outcome, *, seconds: float) -> None:
        """What the budget and the pruner go by."""
        self.gpu_s += task.needs.gpus * seconds
        if outcome.state == "completed":
            known = {**task.costs, **outcome.metrics}
            self.completed.append({name: float(known[name]) for name in self.ledger.objectives})
        if self.pruner is not None and not task.alone:
            values = None
            if outcome.state == "completed":
                values = self._roles(task).finals({**task.costs, **outcome.metrics})
            self.pruner.end(task.number, outcome.state, values)


def _measured(
    objectives: Mapping[str, str], costs: Mapping[str, float], metrics: Mapping[str, Any]
) -> dict[str, list[float]]:
    """The variance of each objective's value as the seeds tell it; nothing where they tell of another one alone."""
    values = metrics.get("accuracies")
    uncertain = [name for name in objectives if name not in costs]
    if uncertain != ["accuracy"] or not isinstance(values, Sequence) or len(values) < 2:
        return {}
    mean = variance(map(float, values)) / len(values)
    return {VARIANCE: [mean if name == "accuracy" else 0.0 for name in objectives]}


def _rows(point: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per seed of an epoch; of an evaluator that knows of no seeds, one row of seed 0."""
    own = {name: point[name] for name in ("epoch", "accuracy", "loss") if name in point}
    seeds = point.get("seeds") or [{"seed": 0, **own}]
    return [{**own, **row} for row in seeds]


def _number(value: Any) -> float:
    """A measured value; NaN where there is none."""
    return math.nan if value is None else float(value)
