"""A user's function in place of a training: called in a thread, so that what it reports is known while it runs.

A user's evaluator is `module:function`, called as function(config, report), once for each seed:

    def evaluate(config: dict, report: Reporter) -> dict: ...

`config` is the candidate's fields (`Candidate.to_dict`), or the values of a space of its own, with "seed" and "epochs".
`report(metrics)` gives the learning curve and says whether the trial is to stop (`search.training.reporter`). What is
returned holds the objectives and what else is worth keeping (`search.training.metrics`), of a network of ours "params"
and "macs" where they differ from what is known of it; where nothing is returned, the last report counts. RReLU and
dropout in it may use torch's global generator: it is seeded.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search.training.calls import call
from search.training.evaluation import Evaluation
from search.training.function_state import FunctionState, Keeper
from search.training.metrics import COUNTS, Returned, read_metrics
from search.training.recipe import Recipe
from search.training.reporter import Reporter, TrialStopped
from search.training.reports import Reports
from search.training.seed_means import mean_metrics
from search.training.surroundings import Surroundings
from search.training.user_checkpoint import packed, unpacked
from search.training.user_functions import load_function
from spaces import Candidate, Configuration

__all__ = ["FunctionEvaluator", "FunctionRun"]

Adapter = Callable[[Callable[..., Any]], Callable[..., Any]]

COSTS = ("params", "macs")  # known of every network of ours without its evaluation
GRACE_S = 10.0
TICK_S = 0.5


@dataclass(frozen=True)
class FunctionEvaluator:
    """Calls a user's function with each seed; a metric is the mean over them.

    Attributes:
        path: `module:function`.
        recipe: its epochs are told to the function.
        seeds: one call each.
        objectives: columns of what the function has to return, but for the costs of a network of ours.
        taken: columns of the parameters, which are not for metrics.
        surroundings: what is put back before each call; None to leave the process as it is.
        adapt: makes function(config, report) of a function of another kind; None for one that is of this kind.
        grace_s: seconds that a function has to end in once its trial is to stop, at least; twice the longest time
            between two of its reports, where that is longer.
        checkpoint_s: seconds between two states that are kept, at least, unless keeping one takes little of the time.
    """

    path: str
    recipe: Recipe
    seeds: tuple[int, ...]
    objectives: tuple[str, ...] = ("accuracy",)
    taken: tuple[str, ...] = ()
    surroundings: Surroundings | None = None
    grace_s: float = GRACE_S
    checkpoint_s: float = 5.0
    adapt: Adapter | None = None

    def start(
        self,
        candidate: Candidate | Configuration,
        state: Mapping[str, Any] | None = None,
        *,
        keep: Callable[[Mapping[str, Any]], None] | None = None,
        tick: Callable[[], None] | None = None,
    ) -> FunctionRun:
        """Begin the evaluation, or continue from what `keep` was given.

        Args:
            candidate: what is tried.
            state: that `keep` was given; None to begin.
            keep: writes a state; None to keep none.
            tick: called now and then while `advance` waits.

        Raises:
            KeyError, TypeError, ValueError: the state is not that of a function.
        """
        return FunctionRun(self, candidate, state, keep=keep, tick=tick)

    def evaluate(self, candidate: Candidate | Configuration) -> Evaluation:
        """The evaluation, when the function has ended.

        Raises:
            EvaluationError: an objective did not come back, or no finite number.
        """
        run = self.start(candidate)
        while not run.advance(math.inf):
            pass
        return run.evaluation


class FunctionRun:
    """The calls of a user's function for one trial, in a thread of their own.

    Args:
        evaluator: the function, its seeds and objectives.
        candidate: what is tried.
        state: that `keep` was given; None to begin.
        keep: writes a state; None to keep none.
        tick: called now and then while `advance` waits.

    Attributes:
        evaluation: what is known so far.
        over: whether the function has ended.
        stopped: whether it ended because its trial is to stop, so that there is no result.
        hung: whether it has not ended although its trial is to stop and the grace time is over.
    """

    def __init__(
        self,
        evaluator: FunctionEvaluator,
        candidate: Candidate | Configuration,
        state: Mapping[str, Any] | None = None,
        *,
        keep: Callable[[Mapping[str, Any]], None] | None = None,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self.tick = tick or (lambda: None)
        self.evaluator, self.candidate = evaluator, candidate
        self.evaluation = Evaluation()
        self._kept = FunctionState.of(state) if state else FunctionState()
        self.evaluation.curve += self._kept.curve
        self.evaluation.notes += self._kept.notes
        self._keeper = Keeper(keep, every_s=evaluator.checkpoint_s) if keep is not None else None
        self.over = self.stopped = self.hung = False
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._fresh = False  # something was reported since `advance` returned
        self._advanced, self._reported = -math.inf, time.monotonic()  # so that the first report is not waited with
        self._longest_s, self._deadline = 0.0, math.inf
        self._thread = threading.Thread(target=self._work, name="evaluator", daemon=True)

    def advance(self, seconds: float) -> bool:
        """Wait for the next report, but at least as long since the last time, or for the function's end.

        Args:
            seconds: between two returns, at least, unless the function ends.

        Returns:
            Whether the function has ended.

        Raises:
            BaseException: what the function raised.
            EvaluationError: an objective did not come back, or no finite number.
        """
        if self._thread.ident is None:
            self._reported = time.monotonic()
            self._thread.start()
        with self._changed:
            while not self.over and (left := self._left(seconds)) > 0:
                self._changed.wait(min(left, TICK_S))
                self.tick()
            self._advanced, self._fresh = time.monotonic(), False
            self.hung = not self.over and self._stopping.is_set()
        if self._failure is not None:
            raise self._failure
        return self.over

    def _left(self, seconds: float) -> float:
        """Seconds that are left to wait for."""
        if self._stopping.is_set():
            return self._deadline - time.monotonic()
        if not self._fresh:
            return math.inf
        return max(0.0, self._advanced + seconds - time.monotonic())

    def stop(self) -> None:
        """The trial is to stop: the function is told at its next report, and has the grace time to end."""
        with self._changed:
            if self._stopping.is_set():
                return
            grace_s = max(self.evaluator.grace_s, 2 * self._longest_s)
            self._deadline = time.monotonic() + grace_s
            self._stopping.set()
            self._changed.notify()

    @property
    def stopping(self) -> bool:
        """Whether the trial is to stop."""
        return self._stopping.is_set()

    def wake(self) -> None:
        """Have `advance` return at once: the function waits for something that its caller has to see."""
        with self._changed:
            self._fresh, self._advanced = True, -math.inf
            self._changed.notify()

    def _work(self) -> None:
        """The thread: a call with each seed, and what comes of them."""
        told, found = False, self._kept.found
        try:
            for seed in self.evaluator.seeds[len(found) :]:
                reports = self._reports(seed)
                with tempfile.TemporaryDirectory(prefix="leni-search-") as folder:
                    reporter = self._reporter(reports, Path(folder))
                    try:
                        found.append(self._call(seed, reporter, reports))
                    finally:
                        told = reporter.told
                        self._note(reports.notes)
                if told and reports.step < self.evaluator.recipe.epochs:
                    raise TrialStopped
                if len(found) < len(self.evaluator.seeds):
                    self._keep(None, None)
            network = isinstance(self.candidate, Candidate)
            self.evaluation.metrics = mean_metrics(found, COUNTS if network else (), self.evaluator.path)
            self._note(note for one in found for note in one.notes)
        except BaseException as failure:  # noqa: BLE001 - whatever a user's function raises is its trial's alone
            self.stopped = told or isinstance(failure, TrialStopped)
            self._failure = None if self.stopped else failure
        with self._changed:
            self.over = True
            self._changed.notify()

    def _call(self, seed: int, reporter: Reporter, reports: Reports) -> Returned:
        """One call, from its surroundings to its metrics."""
        path, candidate = self.evaluator.path, self.candidate
        network = isinstance(candidate, Candidate)
        values = candidate.to_dict() if isinstance(candidate, Candidate) else candidate.columns()
        needed = [name for name in self.evaluator.objectives if not (network and name in COSTS)]
        function = load_function(path)
        if self.evaluator.adapt is not None:
            function = self.evaluator.adapt(function)
        moved = self.evaluator.surroundings.restore() if self.evaluator.surroundings else ""
        torch.manual_seed(seed)
        with reporter:
            returned = call(function, {"seed": seed, "epochs": self.evaluator.recipe.epochs, **values}, reporter)
        result = reports.last if returned is None else returned
        kept = read_metrics(result, path, objectives=needed, taken=self.evaluator.taken, network=network)
        kept.notes += [f"{path}: {moved}"] if moved else []
        return kept

    def _reports(self, seed: int) -> Reports:
        """The reports of a call: none, or those before the checkpoint that it continues from."""
        made = self.evaluator
        later = seed != made.seeds[0]
        reports = Reports(made.path, seed, later=later, objectives=made.objectives, taken=made.taken)
        if self._kept.reports is not None:
            reports.load_state_dict(self._kept.reports)
        return reports

    def _reporter(self, reports: Reports, folder: Path) -> Reporter:
        """The function's second argument, with the checkpoint that the call continues from."""
        content, self._kept.checkpoint, self._kept.reports = self._kept.checkpoint, None, None
        checkpoint = None if content is None else unpacked(content, folder)
        return Reporter(
            lambda metrics, checkpoint, step: self._receive(reports, metrics, checkpoint, step),
            self._stopping,
            checkpoint=checkpoint,
        )

    def _receive(self, reports: Reports, metrics: Any, checkpoint: Any, step: Any) -> None:
        """One report, from any thread of the function."""
        with self._changed:
            now = time.monotonic()
            self._longest_s, self._reported = max(self._longest_s, now - self._reported), now
            point = reports.add(metrics, step)
            if point is not None:
                self.evaluation.curve.append(point)
                self._fresh = True
                self._changed.notify()
        if checkpoint is not None:
            self._keep(reports, checkpoint)

    def _keep(self, reports: Reports | None, checkpoint: Any) -> None:
        """Keep a state: in the middle of a call its reports and its checkpoint, None between two calls."""
        if self._keeper is None or self._stopping.is_set() or not self._keeper.due():
            return

        def state() -> Mapping[str, Any]:
            told = None if reports is None else reports.state_dict()
            content = None if checkpoint is None else packed(checkpoint)
            evaluation, found = self.evaluation, list(self._kept.found)
            return FunctionState(list(evaluation.curve), list(evaluation.notes), found, told, content).to_dict()

        if why := self._keeper.keep(state):
            self._note([f"{self.evaluator.path}: its checkpoint could not be kept: {why}"])

    def _note(self, notes: Iterable[str]) -> None:
        """Add sentences to the evaluation's notes, each once."""
        self.evaluation.notes += [note for note in notes if note not in self.evaluation.notes]
