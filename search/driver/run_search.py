"""A run from its spec to its front: what `leni-search run` and `resume` do, in reading order."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

import results
from leni.errors import FolderError, SpecError, StorageError
from results.names import plain_name
from search.decide.quiet import without_optunas_lines
from search.driver.declared_space import with_declared_space
from search.driver.known_costs import changed_costs
from search.driver.notes import Notes, restore_sampler
from search.driver.prepare import Prepared, make_engine, measured, prepare, trial_settings
from search.driver.progress import Progress
from search.driver.recording import RecordWriter
from search.engine.core import Engine
from search.engine.needs import Capacity
from search.engine.replay import replay
from search.execute.cluster import capacity, slots, started
from search.execute.raylet_lines import without_raylet_lines
from search.execute.searcher import EngineSearcher
from search.execute.trackers import Tracker, finish, trackers
from search.execute.tuning import tune_trials
from search.spec import Spec
from search.store.checkpoints import Checkpoints
from search.store.folder import RunFolder, environment, next_free, take_next, write_environment, write_text
from search.store.trial_checks import check_trials
from search.store.trial_output import finish_output
from search.store.trials import NAME, StudyStore, candidate_of, costs_of
from search.training.cpus import usable_cpus
from search.training.data import Data
from search.training.given_functions import label_of

__all__ = ["resume", "run"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


def run(
    spec: Spec | None = None,
    *,
    quiet: bool = False,
    verbose: bool = False,
    console: Console | None = None,
    **keys: Any,
) -> results.Run:
    """Run a search to its end, or to Ctrl-C, and read what it wrote.

    Args:
        spec: what to search; None takes the defaults.
        quiet: whether no progress is shown.
        verbose: whether the traceback of every trial that fails is shown as it happens.
        console: where progress goes; None for standard error.
        keys: of a spec, instead of `spec`: run(trials=24, data="digits").

    Returns:
        The run, as `results.load` reads its folder. `environment["ended"]` says how it ended: "complete",
        "exhausted" (the space has no further candidate), "time", "gpu-hours", "stable", or "interrupted".

    Raises:
        SpecError: what was asked for is not possible here; nothing has been started or written.
        DataError: the data set is missing or broken; likewise.
        FolderError: the folder is taken, or cannot be written; likewise.
        StorageError: the database cannot be opened; or, later, has not answered for too long.
    """
    if spec is not None and keys:
        raise SpecError(f"give either a spec or its keys, got both: {', '.join(keys)}")
    spec = with_declared_space(spec or Spec(**keys))
    runs, stem = Path("runs"), _default_name(spec)
    RunFolder(spec.out or next_free(runs, stem)).check_free()
    prepared = prepare(spec, console=console, quiet=quiet)
    with _terminal(quiet), started(spec.address, quiet=quiet), _sigterm_as_ctrl_c():
        at_once, shared = _room(spec, prepared)
        folder = RunFolder(spec.out or take_next(runs, stem))
        new = spec.out is None or folder.create()
        with folder.driven(lock=spec.lock):
            with folder.begun(new=new):
                write_text(folder.spec, spec.to_toml())
                store = _store(spec, folder, NAME if spec.storage is None else folder.path.name)
                if store.ended() or store.recover():
                    raise StorageError(
                        f"the database already holds a study {store.name!r}; give another folder with --out",
                        code="LS-STORAGE-TAKEN",
                    )
                tracked = trackers(spec.loggers, folder)
            progress = _progress(spec, console, quiet=quiet, verbose=verbose)
            _search(spec, folder, store, prepared, tracked, progress, at_once=at_once, shared=shared)
    return results.load(folder.path)


def resume(
    path: str | Path,
    *,
    add_trials: int = 0,
    quiet: bool = False,
    verbose: bool = False,
    console: Console | None = None,
    **changes: Any,
) -> results.Run:
    """Continue a run that was interrupted or killed, at any moment, to the number of trials that was asked for.

    Finished trials are neither lost nor repeated; those that were running continue from their last state and,
    on the CPU, end with the numbers of an uninterrupted training. The sampler and the pruner continue
    where they were. A state that cannot be read is reported on screen, in run.log and in environment.json's "notes",
    and its training starts again.

    Args:
        path: the run's folder.
        add_trials: to begin beyond what was asked for; extends a finished run.
        quiet: as `run`.
        verbose: as `run`.
        console: as `run`.
        changes: keys of the spec that say how it runs, not what: workers, address, cpus_per_trial, gpus_per_trial, ...

    Returns:
        As `run`.

    Raises:
        FolderError: the folder holds no run, or another process drives it.
        LeniSearchError: as `run`.
    """
    folder = RunFolder(path)
    folder.check_run()
    facts = folder.facts()
    spec = Spec.read(folder.spec, trials=facts.trials + add_trials or None, **changes)
    with _no_modules_of(folder):
        prepared = prepare(spec, console=console, quiet=quiet)
    with (
        _no_modules_of(folder),
        _terminal(quiet),
        started(spec.address, quiet=quiet),
        _sigterm_as_ctrl_c(),
        folder.driven(lock=spec.lock),
    ):
        at_once, shared = _room(spec, prepared)
        store = _store(spec, folder, facts.study or NAME)
        try:
            check_trials(store)
        except StorageError:
            store.close()
            raise
        write_text(folder.spec, spec.to_toml())
        tracked = trackers(spec.loggers, folder)
        progress = _progress(spec, console, quiet=quiet, verbose=verbose)
        _search(spec, folder, store, prepared, tracked, progress, at_once=at_once, shared=shared, earlier=facts.notes)
    return results.load(folder.path)


def _room(spec: Spec, prepared: Prepared) -> tuple[int, Capacity | None]:
    """How many trials run at once, at most, and what they share where they are of different sizes.

    Raises:
        SpecError: not even one fits, of those that were looked at.
    """
    if prepared.resources.rule is None:
        return min(spec.trials, slots(spec.cpus_per_trial, prepared.gpus, workers=spec.workers)), None
    shared, seen = capacity(), prepared.resources.seen
    if not any(map(shared.holds, seen)):
        has = " and ".join(map(str, shared.machines))
        raise SpecError(
            f"{prepared.resources.label} asks for {min(seen, key=lambda one: (one.gpus, one.cpus))} at least, but no "
            f"machine of Ray's has as much: {has}",
            code="LS-RESOURCES",
        )
    fit = int(shared.free(()).cpus / prepared.resources.range()[0].cpus + 1e-9)
    return min(spec.trials, spec.workers or fit), shared


def _store(spec: Spec, folder: RunFolder, name: str) -> StudyStore:
    return StudyStore(
        spec.database_address() or folder.study,
        spec.directions(),
        name=name,
        patience_s=spec.patience_s,
        lock=spec.lock,
    )


@contextmanager
def _no_modules_of(folder: RunFolder) -> Iterator[None]:
    """Look for no module in a run's folder, also where that is the current one: it may be somebody else's."""
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if not Path(entry or ".").resolve().is_relative_to(folder.path)]
    try:
        yield
    finally:
        sys.path[:] = before


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


def _default_name(spec: Spec) -> str:
    """The default folder's name without its number: digits-channel-compensation."""
    what = label_of(spec.evaluator) if spec.evaluator else spec.data
    return f"{what}-{spec.search_space().name}".replace(":", "-").replace("/", "-")


def _progress(spec: Spec, console: Console | None, *, quiet: bool, verbose: bool) -> Progress:
    return Progress(
        trials=spec.trials,
        epochs=spec.epochs,
        objectives=spec.directions(),
        console=console or Console(stderr=True),
        quiet=quiet,
        verbose=verbose,
    )


@contextmanager
def _terminal(quiet: bool) -> Iterator[None]:
    """A terminal without Optuna's lines, and if it is to be quiet without the raylet's."""
    with without_optunas_lines(), without_raylet_lines() if quiet else nullcontext():
        yield


def _search(
    spec: Spec,
    folder: RunFolder,
    store: StudyStore,
    prepared: Prepared,
    tracked: Sequence[Tracker],
    progress: Progress,
    *,
    at_once: int,
    shared: Capacity | None,
    earlier: Sequence[str] = (),
) -> None:
    """Ask, train and tell until there is nothing left to do; whatever happens, write down what there is."""
    facts = {**_facts(spec, store, at_once), **_data_facts(prepared.data)}
    notes = _first_notes(prepared, progress, Notes(folder, progress.warn, earlier))
    running = {"ended": "running", **({"notes": notes.texts} if notes.texts else {})}
    write_environment(folder.environment, {**facts, **running})
    writer = RecordWriter(store, folder)
    ended, writable = "interrupted", True
    engine: Engine | None = None
    try:
        checkpoints = Checkpoints(spec.checkpoint_address() or str(folder.checkpoints))
        engine = make_engine(
            spec, folder, store, prepared, at_once=at_once, observers=[progress, writer], capacity=shared
        )
        store.add_once(prepared.given)
        replay(engine, store, moved=checkpoints.move)
        earlier_trials = ((trial.number, candidate_of(trial), costs_of(trial)) for trial in store.ended())
        if sentence := changed_costs(prepared.known, earlier_trials):
            notes.add(sentence)
        if engine.begun:
            restore_sampler(engine.asker, folder, notes, trials=engine.begun)
        progress.recall(engine)
        with progress:
            tune_trials(
                EngineSearcher(
                    engine,
                    checkpoints=checkpoints,
                    goes_on=prepared.data is not None,
                    warn=notes.add,
                    finish=lambda number: finish_output(folder.output(number)),
                ),
                settings=trial_settings(spec, folder, prepared, stops=engine.pruner is not None, at_once=at_once),
                arrays=prepared.data.to_arrays() if prepared.data else None,
                folder=folder.ray,
                retries=spec.retries,
                callbacks=[tracker.callback for tracker in tracked],
            )
        if not engine.live and not engine.waiting and engine.why:
            ended = engine.why
    except KeyboardInterrupt:
        pass  # a second Ctrl-C, or one before Tune listens: the same end, at once
    except StorageError as error:
        writable = False
        raise StorageError(
            f"{error}; finished trials are kept, and `leni-search resume {folder.path}` continues the run"
        ) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        writable = False
        raise _full(folder, error) from None
    finally:
        if writable:
            facts = {**facts, **_end_facts(spec, store, prepared, engine, notes), "ended": ended}
            _close(folder, store, writer, facts)
            finish(tracked, progress.console)
        store.close()


def _end_facts(
    spec: Spec, store: StudyStore, prepared: Prepared, engine: Engine | None, notes: Notes
) -> dict[str, Any]:
    """What is known of a run at its end: how it was pruned, what was searched, and what a reader should know."""
    unjudged = _unjudged(spec, engine, prepared.known.columns)
    mistakes = [*prepared.known.mistakes, *prepared.resources.mistakes]
    said = list(dict.fromkeys([*notes.texts, *store.notes(), *mistakes, *unjudged]))
    chosen = spec.columns() or store.parameter_columns()
    return {**_pruning(spec, engine), **({"notes": said} if said else {}), "chosen": chosen}


def _first_notes(prepared: Prepared, progress: Progress, notes: Notes) -> Notes:
    """The notes, with what there is to say before the first trial."""
    for note in prepared.data.notes if prepared.data and not progress.quiet else ():
        progress.console.print(note, markup=False, highlight=False, soft_wrap=True)
    for note in prepared.network_notes:
        notes.add(note)
    return notes


def _full(folder: RunFolder, error: OSError) -> FolderError:
    """What to say where there is no room for the run's files."""
    return FolderError(
        f"{folder.path} cannot be written: {error.strerror}; finished trials are kept, and "
        f"`leni-search resume {folder.path}` continues the run",
        code="LS-FOLDER-WRITE",
    )


def _close(folder: RunFolder, store: StudyStore, writer: RecordWriter, facts: Mapping[str, Any]) -> None:
    """Leave no trial running, and write records and front."""
    store.fail_running("the run was interrupted; `resume` continues it", interrupted=True)
    writer.write()
    write_environment(folder.environment, facts)
    finished = results.load(folder.path)
    write_text(folder.front, results.to_csv(finished.front()))
    chart = finished.figure()
    for path in folder.figures:
        results.save(chart, path)


def _facts(spec: Spec, store: StudyStore, at_once: int) -> Mapping[str, Any]:
    return environment(
        seed=spec.seed,
        objectives=spec.directions(),
        chosen=spec.columns(),
        data=spec.data,
        sampler=spec.sampler,
        trials=spec.trials,
        slots=at_once,
        cpus=usable_cpus(),
        study=store.name,
    )


def _pruning(spec: Spec, engine: Engine | None) -> dict[str, Any]:
    """Which pruner there was, and what the trials that it stopped were worth by its own estimate."""
    if engine is None or engine.pruner is None:
        return {}
    name, given_away = spec.pruner_name(), engine.pruner.given_away()
    keep = {"keep": spec.keep} if name == "learned" else {}
    return {"pruning": {"pruner": name, **keep, "given_away": given_away}}


def _unjudged(spec: Spec, engine: Engine | None, known: Collection[str]) -> tuple[str, ...]:
    """That a pruner which was asked for had nothing to judge by, where no function has reported its objective."""
    if spec.evaluator is None or spec.pruner is None or engine is None or engine.pruner is None or engine.judged:
        return ()
    name = plain_name(measured(spec, known))
    return (f"the pruner {spec.pruner} had nothing to judge by: {label_of(spec.evaluator)} reported no {name!r}",)


def _data_facts(data: Data | None) -> Mapping[str, Any]:
    """How many images each part of the data set has, which intervals need, and what was left out of it."""
    if data is None:
        return {}
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    facts: dict[str, Any] = {"images": {name: len(part.labels) for name, part in parts.items()}}
    return {**facts, "data_notes": list(data.notes), "images_skipped": data.skipped} if data.notes else facts
