"""A run from its spec to its front: what `leni-search run` does, in reading order."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console

import results
from leni.errors import SpecError
from search.decide.asker import Asker
from search.decide.samplers import sampler
from search.execute.cluster import slots, started
from search.execute.searcher import StudySearcher
from search.execute.trial import TrialSettings
from search.execute.tuning import tune_trials
from search.folder import RunFolder, environment, next_free, write_environment, write_text
from search.progress import Progress
from search.spec import Spec
from search.study import Outcome, StudyStore
from search.training.data import Data, load
from search.training.evaluator import load_function
from spaces import Candidate, Cost, cost

__all__ = ["run"]

PLUGIN_SHAPE = ((1, 8, 8), 10)  # images and classes that costs are counted for where a user's function evaluates


def run(spec: Spec | None = None, *, quiet: bool = False, console: Console | None = None, **keys: Any) -> results.Run:
    """Run a search to its end, or to Ctrl-C, and read what it wrote.

    Args:
        spec: what to search; None takes the defaults.
        quiet: whether no progress is shown.
        console: where progress goes; None for standard error.
        keys: of a spec, instead of `spec`: run(trials=24, data="digits").

    Returns:
        The run, as `results.load` reads its folder. `environment["ended"]` says how it ended: "complete",
        "exhausted" (the space has no further candidate), or "interrupted".

    Raises:
        SpecError: what was asked for is not possible here; nothing has been started or written.
        DataError: the data set is missing or broken; likewise.
        FolderError: the folder is taken; likewise.
    """
    if spec is not None and keys:
        raise SpecError(f"give either a spec or its keys, got both: {', '.join(keys)}")
    spec = spec or Spec(**keys)
    gpus = spec.gpus()
    folder = RunFolder(spec.out or _default_folder(spec))
    folder.check_free()
    if spec.evaluator:
        load_function(spec.evaluator)
    data = None if spec.evaluator else _load(spec)
    with started(spec.address), _sigterm_as_ctrl_c(), _without_optunas_lines():
        at_once = min(spec.trials, slots(spec.cpus_per_trial, gpus, workers=spec.workers))
        folder.create()
        write_text(folder.spec, spec.to_toml())
        console = console or Console(stderr=True)
        progress = Progress(
            trials=spec.trials, epochs=spec.epochs, objectives=spec.directions(), console=console, quiet=quiet
        )
        _search(spec, folder, data, gpus=gpus, at_once=at_once, progress=progress)
    return results.load(folder.path)


def _load(spec: Spec) -> Data:
    return load(
        spec.data,
        folder=spec.data_folder,
        download=spec.download,
        seed=spec.split_seed,
        train_size=spec.train_size,
        image_size=spec.image_size,
    )


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """End a run as Ctrl-C does when a machine is shut down; after Ray has started, whose own handler aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def _without_optunas_lines() -> Iterator[None]:
    """Optuna says a line for each study and each trial; the progress says them once."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _default_folder(spec: Spec) -> Path:
    """runs/digits-channel-compensation-001, or the next that is free."""
    return next_free(Path("runs"), f"{spec.evaluator or spec.data}-{spec.search_space().name}".replace(":", "-"))


def _search(spec: Spec, folder: RunFolder, data: Data | None, *, gpus: float, at_once: int, progress: Progress) -> None:
    """Ask, train and tell until there is nothing left to do; whatever happens, write down what there is."""
    store = StudyStore(folder.study_url, spec.directions())
    shape, classes = (data.input_shape, data.classes) if data else PLUGIN_SHAPE
    count = partial(cost, input_shape=shape, classes=classes)
    space = spec.search_space()
    asker = Asker(
        space,
        sampler(spec.sampler, seed=spec.seed),
        directions=list(spec.directions().values()),
        seed=spec.seed,
        check=count,
        first=space.references() if spec.references else (),
    )
    writer = RecordWriter(store, folder)
    searcher = StudySearcher(asker, store, cost=count, trials=spec.trials, slots=at_once, observers=[progress, writer])
    settings = TrialSettings(
        spec.recipe(),
        spec.seed,
        threads=max(1, int(spec.cpus_per_trial)),
        gpu=gpus > 0,
        evaluator=spec.evaluator,
        import_path=tuple(sys.path),
    )
    facts = environment(seed=spec.seed, objectives=spec.directions(), data=spec.data, trials=spec.trials, slots=at_once)
    write_environment(folder.environment, {**facts, "ended": "running"})
    ended = "interrupted"
    try:
        with progress:
            tune_trials(
                searcher,
                settings=settings,
                arrays=data.to_arrays() if data else None,
                resources={"cpu": spec.cpus_per_trial, "gpu": gpus},
                folder=folder.ray,
            )
        if not searcher.live and (searcher.left == 0 or searcher.exhausted):
            ended = "exhausted" if searcher.exhausted else "complete"
    except KeyboardInterrupt:
        pass  # a second Ctrl-C, or one before Tune listens: the same end, at once
    finally:
        store.fail_running("the run was interrupted before this trial was over")
        writer.write()
        write_environment(folder.environment, {**facts, "ended": ended})
        _write_front(folder)
        store.close()


class RecordWriter:
    """Writes the records from the study now and then, and at the end; it takes at most a twentieth of the time."""

    def __init__(self, store: StudyStore, folder: RunFolder) -> None:
        self.store, self.folder = store, folder
        self.due = time.monotonic() + 5.0

    def begun(self, number: int, candidate: Candidate) -> None:
        """Nothing to write yet."""

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """Nothing to write yet."""

    def ended(self, number: int, candidate: Candidate, cost: Cost, outcome: Outcome) -> None:
        """A trial is over: write, if the last time is long enough ago."""
        if time.monotonic() >= self.due:
            started = time.monotonic()
            self.write()
            self.due = time.monotonic() + max(5.0, 20 * (time.monotonic() - started))

    def write(self) -> None:
        """Write trials.parquet and curves.parquet from the study."""
        results.write(results.to_frame(self.store.records()), self.folder.trials)
        results.write(results.to_curves(self.store.curves()), self.folder.curves)


def _write_front(folder: RunFolder) -> None:
    """front.csv and the figure, from the records."""
    finished = results.load(folder.path)
    write_text(folder.front, results.to_csv(finished.front()))
    chart = finished.figure()
    for path in folder.figures:
        results.save(chart, path)


class _CallableModule(types.ModuleType):
    """`search.run` is this module for who imported it first, the function for everybody else: both can be called."""

    def __call__(self, *args: Any, **keys: Any) -> results.Run:
        return run(*args, **keys)


sys.modules[__name__].__class__ = _CallableModule
