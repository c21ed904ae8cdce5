"""Ray Tune trainables as evaluators, unchanged: functions that call `ray.tune.report`, and subclasses of `Trainable`.

A function runs with a session of ours in place of Tune's: what it reports goes to the engine, and the checkpoint that
it finds is the one that it reported last. A class is stepped as Tune does it, and saves and restores itself.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray.train._internal import session as ray_session
from ray.tune import Checkpoint, Trainable
from ray.tune.result import AUTO_RESULT_KEYS, DONE

from search.training.reporter import Reporter, TrialStopped

__all__ = ["call_ray_function", "call_trainable"]

STEPS = "leni-search-steps"  # in a class trainable's checkpoint: how many steps it has made


class _Session(SimpleNamespace):
    """What `ray.tune.report`, `get_checkpoint` and `get_context` find while a function runs."""

    reporter: Reporter
    loaded_checkpoint: Checkpoint | None

    def report(self, metrics: Mapping[str, Any], checkpoint: Checkpoint | None = None) -> None:
        """Hand a report on.

        Raises:
            TrialStopped: the trial is to stop.
        """
        if checkpoint is None:
            stops = self.reporter(metrics)
        else:
            with checkpoint.as_directory() as folder:
                stops = self.reporter(metrics, checkpoint=folder)
                self.loaded_checkpoint = checkpoint
        if stops:
            raise TrialStopped


def call_ray_function(
    function: Callable[[dict[str, Any]], Any],
    config: Mapping[str, Any],
    report: Reporter,
    *,
    number: int,
) -> Any:
    """Call a function trainable to its end.

    Args:
        function: `function(config)`, which reports by `ray.tune.report`.
        config: the parameters, and nothing else.
        report: where its reports go, with the checkpoint to go on from.
        number: of the trial.

    Returns:
        What the function returned: a mapping of metrics, or None for those reported last.

    Raises:
        TrialStopped: the trial is to stop.
    """
    name = f"trial_{number:05d}"
    found = None if report.checkpoint is None else Checkpoint.from_directory(str(report.checkpoint))
    session = _Session(
        reporter=report, loaded_checkpoint=found, experiment_name="leni-search", trial_name=name, trial_id=name,
        trial_dir=str(Path.cwd()), trial_resources=None, run_id=name, metadata={}, storage=None,
        world_rank=None, world_size=None, local_rank=None, local_world_size=None, node_rank=None, accelerator=None,
    )  # fmt: skip
    before, ray_session._session = ray_session._session, session
    try:
        return function(dict(config))
    finally:
        ray_session._session = before


def call_trainable(
    kind: type[Trainable],
    config: Mapping[str, Any],
    report: Reporter,
    *,
    steps: int,
    checkpoint_s: float,
) -> dict[str, Any]:
    """Step a class trainable until it says that it is done, or to its last step.

    Args:
        kind: the class.
        config: the parameters, and nothing else.
        report: where its results go, with the checkpoint to go on from.
        steps: at most; Tune has it as `stop={"training_iteration": steps}`.
        checkpoint_s: seconds between two checkpoints, at least.

    Returns:
        The metrics of the last step.

    Raises:
        TrialStopped: the trial is to stop; the trainable has been cleaned up.
    """
    with tempfile.TemporaryDirectory(prefix="leni-trainable-") as scratch, _made(kind, config, scratch) as trainable:
        if report.checkpoint is not None:
            _restore(trainable, report.checkpoint)
        last: dict[str, Any] = {}
        saved = time.monotonic()
        while trainable.iteration < steps:
            result = trainable.train()
            last = {name: value for name, value in result.items() if name not in AUTO_RESULT_KEYS and name != DONE}
            state = None
            if time.monotonic() - saved >= checkpoint_s:
                state, saved = _state(trainable, scratch), time.monotonic()
            if report(last, checkpoint=state, step=trainable.iteration):
                raise TrialStopped
            if result.get(DONE):
                break
        return last


@contextlib.contextmanager
def _made(kind: type[Trainable], config: Mapping[str, Any], scratch: str) -> Iterator[Trainable]:
    """A trainable with a folder of its own in place of one under ~/ray_results, cleaned up in the end."""

    def own_folder(self: Trainable) -> None:
        self._logdir = scratch

    own = type(kind.__name__, (kind,), {"_setup_logdir": own_folder, "__module__": kind.__module__})
    trainable = own(dict(config))
    try:
        yield trainable
    finally:
        trainable.stop()


def _state(trainable: Trainable, scratch: str) -> Any:
    """What a trainable can go on from: a folder, or an object with its step; None of one that saves nothing.

    (`Trainable.save` would pickle what `save_checkpoint` returns, and reading that could run code.)
    """
    if type(trainable).save_checkpoint is Trainable.save_checkpoint:
        return None
    folder = Path(scratch, "checkpoint")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    state = trainable.save_checkpoint(str(folder))
    if isinstance(state, dict):
        return {STEPS: trainable.iteration, "state": state}
    (folder / STEPS).write_text(str(trainable.iteration))
    return str(folder)


def _restore(trainable: Trainable, checkpoint: Any) -> None:
    """Put a trainable where `_state` found it."""
    if isinstance(checkpoint, Mapping):
        trainable._iteration = int(checkpoint[STEPS])
        trainable.load_checkpoint(dict(checkpoint["state"]))
    else:
        trainable._iteration = int(Path(checkpoint, STEPS).read_text())
        trainable.load_checkpoint(str(checkpoint))
