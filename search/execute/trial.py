"""The trial's actor: it evaluates one candidate after another, and says what came of each.

An actor is reused, so that torch is imported and the data are mapped once a slot. The data set lies in Ray's object
store, once a node; every actor reads the same memory.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from ray import tune

from leni.errors import FolderError
from search.execute.function_kinds import Surrounding, as_ours
from search.execute.suggestions import Suggestions
from search.execute.tracebacks import kept_traceback
from search.store.checkpoints import Checkpoints
from search.store.folder import RunFolder
from search.store.secrets import masked
from search.store.trial_output import TrialOutput
from search.training.cpus import usable_cpus
from search.training.data import Data
from search.training.evaluation import Evaluation
from search.training.function_run import GRACE_S, FunctionEvaluator, FunctionRun
from search.training.given_functions import keep_function
from search.training.latency import latency_ms
from search.training.recipe import Recipe
from search.training.surroundings import Surroundings
from search.training.training_run import TrainingEvaluator, TrainingRun
from search.training.user_functions import failure_sentence
from spaces import Candidate, Configuration
from spaces.exported import state_on_cpu

__all__ = ["TrialActor", "TrialSettings"]


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a run have in common.

    Attributes:
        recipe: how networks are trained.
        threads: torch's, as many as the CPUs that a trial was given.
        gpu: whether a trial was given a GPU or a part of one.
        evaluator: a user's `module:function`, None to train.
        code: the function itself, pickled by value, where it is in no module.
        objectives: columns that a user's function has to return a finite number for; latency_ms is measured where it is
            one.
        columns: of the records, that say what was tried.
        folder: where the command was started, which relative paths in a user's function mean.
        import_path: the driver's sys.path, where a user's module is found; Ray itself passes only parts of it on.
        declares: whether a user's function declares its parameters while it runs, as an Optuna objective.
        returned: names of the objectives in the order in which such a function returns their values.
        slice_s: seconds between two reports to the driver, at least: each costs a round trip.
        grace_s: seconds that a user's function has to end in once its trial is to stop, at least.
        checkpoints: address of `Checkpoints`, None to keep no state.
        checkpoint_s: seconds between two states of a training, at least.
        logs: folder of the run, which what a user's function prints is kept in; None to leave it where it goes.
        test: whether the test split is measured at a training's end.
        weights: address of `Checkpoints` that trained networks are kept at, None to keep none.
    """

    recipe: Recipe
    threads: int
    gpu: bool
    evaluator: str | None = None
    code: bytes | None = None
    objectives: tuple[str, ...] = ("accuracy",)
    columns: tuple[str, ...] = ()
    folder: str | None = None
    import_path: tuple[str, ...] = ()
    declares: bool = False
    returned: tuple[str, ...] = ()
    slice_s: float = 1.0
    grace_s: float = GRACE_S
    checkpoints: str | None = None
    checkpoint_s: float = 5.0
    logs: str | None = None
    test: bool = False
    weights: str | None = None


class TrialActor(tune.Trainable):
    """One slot of the search; `config` has the trial's number, its candidate as a mapping, and its seeds."""

    def setup(
        self, config: dict[str, Any], *, settings: TrialSettings, arrays: Mapping[str, Any] | None = None
    ) -> None:
        """Get ready for the first candidate.

        Args:
            config: "number", "candidate" and "seeds".
            settings: what all trials have in common.
            arrays: the data set as `Data.to_arrays` gives it; None where a user's function evaluates.
        """
        given = config.get("resources", {"cpu": settings.threads, "gpu": settings.gpu})  # as of all later candidates
        torch.set_num_threads(max(1, min(int(given["cpu"]), usable_cpus())))
        sys.path.extend(path for path in settings.import_path if path not in sys.path)
        if settings.code is not None:
            keep_function(str(settings.evaluator), settings.code)
        self.settings = settings
        self.device = "cuda" if given["gpu"] and torch.cuda.is_available() else "cpu"
        self.checkpoints = Checkpoints(settings.checkpoints) if settings.checkpoints else None
        self.evaluator: TrainingEvaluator | FunctionEvaluator
        if arrays is None:
            path = str(settings.evaluator)
            self.evaluator = FunctionEvaluator(
                path, settings.recipe, (0,), settings.objectives, settings.columns,
                Surroundings(settings.folder, path.partition(":")[0]), settings.grace_s,
                settings.checkpoint_s, self._adapted,
            )  # fmt: skip
        else:
            self.evaluator = TrainingEvaluator(Data.from_arrays(arrays), settings.recipe, (0,), self.device)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next candidate."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self.number = config["number"]
        self.evaluation = Evaluation()
        self.running: TrainingRun | FunctionRun | None = None
        self.config_given = config
        self.reported = 0
        self.worked_s = self.mark = 0.0
        self.warning, self.anew = "", False
        self.output: TrialOutput | None = None
        self.saved = time.monotonic()
        self.suggestions = Suggestions(self._wake, self._stopping)
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _start(self) -> TrainingRun | FunctionRun:
        """The evaluation, from the trial's last state where there is one."""
        values = self.config_given["candidate"]
        candidate = (Configuration if "parameters" in values else Candidate).from_dict(values)
        evaluator = replace(self.evaluator, seeds=tuple(self.config_given["seeds"]))
        state = self._last_state()
        try:
            self.worked_s = float(state["worked_s"]) if state else 0.0
            self.running = self._begun(evaluator, candidate, state["evaluation"] if state else None)
        except Exception as error:  # whatever is not as `state_dict` made it
            if state is None:
                raise
            self.warning = f"its state cannot be used ({failure_sentence(error)}): it starts anew"
            state, self.worked_s = None, 0.0
            self.running = self._begun(evaluator, candidate, None)
        self.anew = state is None and isinstance(self.running, FunctionRun)
        if state is None and len(self.config_given["seeds"]) > 1:  # the clock chose how: keep that
            self.saved = -math.inf
            self._save()
        return self.running

    def _begun(self, evaluator: Any, candidate: Any, state: Mapping[str, Any] | None) -> TrainingRun | FunctionRun:
        """A new run of the evaluator, or one that continues from a state; a function keeps its states itself."""
        if isinstance(evaluator, FunctionEvaluator):
            with contextlib.suppress(OSError):  # a node that does not see the folder prints where it did before
                if self.settings.logs is not None and self.output is None:
                    self.output = TrialOutput(RunFolder(self.settings.logs).output(self.number))
            tick = self.output.check if self.output is not None else None
            return evaluator.start(candidate, state, keep=partial(self._keep, self.number), tick=tick)
        run: TrainingRun = evaluator.start(candidate, state)
        return run

    def _keep(self, number: int, state: Mapping[str, Any]) -> None:
        """Write a state of a function, from its thread.

        Raises:
            OSError: it cannot be written.
            TypeError: it holds more than data.
        """
        if self.checkpoints is not None:
            worked_s = self.worked_s + time.monotonic() - self.mark
            self.checkpoints.save(number, {"evaluation": state, "worked_s": worked_s})

    def _last_state(self) -> Mapping[str, Any] | None:
        """What the trial left when it was cut off; None where there is nothing that can be read."""
        try:
            state = self.checkpoints.load(self.number) if self.checkpoints is not None else None
        except FolderError as error:
            self.warning = f"{error}: it starts anew"
            return None
        if state is not None and not isinstance(state, Mapping):
            self.warning = f"its state cannot be used ({type(state).__name__} in place of an object): it starts anew"
            return None
        return state

    def step(self) -> dict[str, Any]:
        """Evaluate for a while, or to the end.

        Returns:
            "curve": new points of the learning curve; "wall_s": seconds so far; "anew" in the first report, where a
            function begins without a state; "done"; and with it "metrics" as pairs
            (Tune flattens mappings), or "error" with the reason why there are none and its "traceback", and "notes";
            none of these of a trial that was stopped. "ask" has the name and the distribution of a parameter that the
            function waits for. "hung" where it does not stop, so that this process has to end.
            A failure of the evaluation is a result, not a crash: the actor lives on.
        """
        done, error, trace = False, "", ""
        self.mark = self.mark or time.monotonic()
        try:
            running = self.running or self._start()
            done = running.advance(self.settings.slice_s)
            if done and isinstance(running, TrainingRun):
                self._finish(running)
        except BaseException as failure:  # whatever a network or a user's function raises fails its trial alone
            if hasattr(failure, "ray_terminate_msg"):  # Ray ends this process
                raise
            done, error, trace = True, masked(failure_sentence(failure)), kept_traceback(failure)
        if self.running is not None:
            self.evaluation = self.running.evaluation
        self._clock()
        curve = self.evaluation.curve[self.reported :]
        self.reported += len(curve)
        report: dict[str, Any] = {"curve": curve, "done": done, "wall_s": self.worked_s}
        if self.warning:
            report["warning"], self.warning = self.warning, ""
        if self.anew:
            report["anew"], self.anew = True, False
        report |= _for_trackers(curve)
        if (question := self.suggestions.pending()) is not None:
            report["ask"] = question
        if done:
            report |= self._end(error, trace)
        elif isinstance(self.running, FunctionRun) and self.running.hung:
            report["hung"] = True
        else:
            self._save()
        return report

    def answer(self, value: Any, refused: str) -> None:
        """The value of the parameter that the function waits for, or why there is none."""
        self.suggestions.answer(value, refused)

    def _adapted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A user's function of any kind as function(config, report)."""
        candidate, settings = self.config_given["candidate"], self.settings
        around = Surrounding(
            number=self.number,
            parameters=candidate.get("parameters", candidate),
            objectives=settings.returned,
            steps=settings.recipe.epochs,
            checkpoint_s=settings.checkpoint_s,
            ask=self.suggestions.ask if settings.declares else None,
        )
        return as_ours(function, around)

    def _wake(self) -> None:
        if isinstance(self.running, FunctionRun):
            self.running.wake()

    def _stopping(self) -> bool:
        return isinstance(self.running, FunctionRun) and self.running.stopping

    def tell_stop(self) -> None:
        """The trial is to stop: a user's function is told so, and the next step waits for its end."""
        if isinstance(self.running, FunctionRun):
            self.running.stop()

    def _clock(self) -> None:
        """Count the time since the last look; a function works on between two steps, a training does not."""
        now = time.monotonic()
        self.worked_s += now - self.mark
        self.mark = now if isinstance(self.running, FunctionRun) else 0.0

    def _end(self, error: str, trace: str) -> dict[str, Any]:
        """What the last report says beside the curve."""
        stopped = isinstance(self.running, FunctionRun) and self.running.stopped
        report: dict[str, Any] = {"notes": self.evaluation.notes} if self.evaluation.notes else {}
        if error:
            report |= {"error": error, "traceback": trace}
        elif not stopped:
            report["metrics"] = list(self._metrics().items())
        self.running = None
        if self.output is not None:
            self.output.close()
            self.output = None
        return report

    def _finish(self, running: TrainingRun) -> None:
        """What is measured and kept of a training that is over, where the settings ask for it."""
        if "latency_ms" in self.settings.objectives:
            network, data = running.networks()[0], running.data
            running.evaluation.metrics["latency_ms"] = latency_ms(network, data.input_shape, self.device)
        if self.settings.test:
            running.evaluation.metrics |= running.test_metrics()
        if self.settings.weights:
            Checkpoints(self.settings.weights).save(
                self.number,
                {
                    "candidate": self.config_given["candidate"],
                    "seeds": list(self.config_given["seeds"]),
                    "states": [state_on_cpu(network) for network in running.networks()],
                },
            )

    def _save(self) -> None:
        """Keep the training's state, if the last one is long enough ago."""
        if self.checkpoints is None or not isinstance(self.running, TrainingRun):
            return
        if time.monotonic() - self.saved < self.settings.checkpoint_s:
            return
        state = self.running.state_dict()
        with contextlib.suppress(OSError):  # a full disk costs this state, not the trial; the last is still there
            self.checkpoints.save(self.number, {"evaluation": state, "worked_s": self.worked_s})
        self.saved = time.monotonic()

    def _metrics(self) -> dict[str, Any]:
        """The record's measured fields."""
        cuda = self.device == "cuda"
        return {
            "epochs": max((point["epoch"] for point in self.evaluation.curve), default=0),
            "wall_s": self.worked_s,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            **({"peak_memory": torch.cuda.max_memory_allocated()} if cuda else {}),
            **self.evaluation.metrics,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune's own checkpoints are not used: a state has to outlive the driver."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """See `save_checkpoint`."""


def _for_trackers(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of the last point: those of every training by name, others as pairs, since they may have any name."""
    last = {name: value for name, value in (curve[-1] if curve else {}).items() if isinstance(value, (int, float))}
    found: dict[str, Any] = {name: last.pop(name) for name in ("epoch", "accuracy", "loss") if name in last}
    return {**found, "reported": list(last.items())} if last else found
