"""What a run is made of, from its spec: checked and loaded before anything is started or written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from rich.console import Console

from search.decide.known_cost.hints import Hint
from search.decide.known_cost.knowledge import knowledge_of
from search.decide.samplers import HINTED, default_sampler, sampler
from search.decide.stopping.roles import Roles
from search.decide.stopping.rules import Pruner, pruner
from search.driver.cost_limits import check_cost_limits
from search.driver.data import spec_data
from search.driver.hints import prior_hints, proxy_hints
from search.driver.known_costs import KnownCosts, known_costs
from search.driver.limits import check_limits
from search.driver.trial_resources import TrialResources, trial_resources
from search.engine.asker import Asker, Point
from search.engine.budget import Budget
from search.engine.core import Engine
from search.engine.needs import Capacity
from search.engine.warm_start import completed_trials, read_candidates
from search.execute.trackers import check_trackers
from search.execute.trial import TrialSettings
from search.objectives import parsed_objective
from search.spec import KNOWN, Spec
from search.store.checkpoints import Checkpoints
from search.store.folder import RunFolder
from search.store.trials import StudyStore, check_database
from search.training.data import Data
from search.training.given_functions import packed
from search.training.trained_start import check_weights
from search.training.user_functions import load_function
from spaces import Candidate, ParameterSpace, SearchSpace, cost
from spaces.define_by_run import DefineByRunSpace

__all__ = ["Prepared", "make_budget", "make_engine", "make_pruner", "make_sampler", "prepare", "trial_settings"]

PLUGIN_SHAPE = ((1, 8, 8), 10)  # images and classes that costs are counted for where a user's function evaluates
SLICE_S, SHORT_SLICE_S = 1.0, 0.25  # seconds between two reports of a training; short ones where it may be stopped
REPORTS_PER_S = 100  # of all functions that may be stopped together, at most, each 20 times a second at most


@dataclass(frozen=True)
class Prepared:
    """What is checked before anything starts."""

    gpus: float
    resources: TrialResources
    data: Data | None
    known: KnownCosts
    first: tuple[Point, ...]
    given: tuple[optuna.trial.FrozenTrial, ...]
    folder: str
    hints: tuple[Hint, ...] = ()
    network_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out of the data set and what is changed in networks, a sentence each."""
        return (*(self.data.notes if self.data else ()), *self.network_notes)

    def costs(self, candidate: Any) -> dict[str, int | float]:
        """What is known of a candidate before its trial, by column of the records.

        Raises:
            CandidateError: it cannot be built, or is impossible.
        """
        return self.known(candidate)

    def allowed(self, candidate: Any, capacity: Capacity | None = None) -> None:
        """Refuse a candidate that is never tried.

        Args:
            candidate: that a sampler asks for.
            capacity: what the machines have.

        Raises:
            CandidateError: it cannot be built, is impossible, outside of a limit, or needs more than any machine has.
        """
        self.known.allowed(candidate)
        if self.resources.rule is not None:
            self.resources.check(candidate, capacity)


def prepare(spec: Spec, *, console: Console | None = None, quiet: bool = False) -> Prepared:
    """Check and load all that a run needs, before anything is started or written.

    Args:
        spec: of the run.
        console: where the progress of decoding images goes; None for standard error.
        quiet: whether none is shown.

    Raises:
        LeniSearchError: as `run`.
    """
    gpus, here = spec.gpus(), str(Path.cwd())
    if spec.evaluator:
        load_function(spec.evaluator)
        os.chdir(here)  # where the module has left it while it was imported
    check_trackers(spec.loggers)
    space = spec.search_space()
    enqueued = read_candidates(spec.enqueue, space) if spec.enqueue else ()
    references = space.references() if spec.references and not spec.candidates else ()
    given = completed_trials(spec.warm_start, spec) if spec.warm_start else ()
    if states := spec.checkpoint_address():
        Checkpoints(states).check()
    if database := spec.database_address():
        check_database(database)
    first = (*spec.only_candidates(), *enqueued, *references)
    data = None if spec.evaluator else spec_data(spec, console=console, quiet=quiet)
    known = known_costs(spec, _counter(data) if isinstance(space, SearchSpace) else None, first=first)
    if isinstance(space, SearchSpace) and set(known.limits) <= set(KNOWN):
        check_limits(spec, known, first=first)
    else:
        check_cost_limits(spec, known, first=first)
    resources = trial_resources(spec, known, gpus=gpus, first=first)
    hints = prior_hints(spec, known=known.columns)
    hints += proxy_hints(spec, data, check=known.allowed) if data else []
    notes = _network_notes(space, data, spec.recipe().weights)
    return Prepared(gpus, resources, data, known, first, tuple(given), here, tuple(hints), notes)


def _counter(data: Data | None) -> Callable[[Candidate], Mapping[str, int]]:
    """Counts a network's parameters and multiply-adds, for the images and classes that it is to be trained on."""
    shape, classes = (data.input_shape, data.classes) if data else PLUGIN_SHAPE

    def count(candidate: Candidate) -> Mapping[str, int]:
        return vars(cost(candidate, input_shape=shape, classes=classes))

    return count


def _network_notes(space: SearchSpace | ParameterSpace, data: Data | None, weights: str) -> tuple[str, ...]:
    """What is changed in the networks of a space for the data set, a sentence each.

    Raises:
        NetworkError: one cannot be had for these images and classes.
        SpecError: the file of trained weights cannot be read, or is of another network.
    """
    if data is None or not isinstance(space, SearchSpace):
        return ()
    found: list[str] = []
    for row in space.rows_of_backbones:
        found += row.notes(data.input_shape[0], data.classes)
        if weights:
            found += check_weights(row.name, weights, shape=data.input_shape, classes=data.classes)
    return tuple(found)


def make_sampler(spec: Spec, known: KnownCosts, hints: Sequence[Hint] = ()) -> BaseSampler:
    """The sampler of a spec, with what can be known of its space.

    Args:
        spec: of the run.
        known: what is known of its candidates.
        hints: what may tell of its uncertain objectives.
    """
    names = list(spec.directions())
    objectives = [name for name in names if name in known.columns]
    name = spec.sampler or default_sampler(known=bool(objectives), hinted=bool(hints))
    knowledge = None
    if name in HINTED:  # gp knows no cost, but which candidates there are
        knowledge = knowledge_of(
            spec.search_space(), names, known=objectives, count=known.allowed, bounds=spec.column_bounds(),
            quick=known.quick,
        )  # fmt: skip
        knowledge = replace(knowledge, hints=hints)
    return sampler(name, seed=spec.seed, knowledge=knowledge)


def measured(spec: Spec, known: Collection[str]) -> str:
    """The column of the objective that has a learning curve: accuracy, else the first that is not known before.

    Args:
        spec: of the run.
        known: columns of what is known of a candidate before its trial.
    """
    return next(iter(Roles.of(spec.directions(), known=known, measured="accuracy").measured))


def make_pruner(spec: Spec, known: Collection[str]) -> Pruner | None:
    """The pruner of a spec; None where no training is stopped.

    Args:
        spec: of the run.
        known: columns of what is known of a candidate before its trial.
    """
    curve = measured(spec, known)
    roles = Roles.of(spec.directions(), known=known, measured=curve)
    usual = (0.0, 1.0) if curve == "accuracy" and isinstance(spec.search_space(), SearchSpace) else None
    return pruner(
        spec.pruner_name(),
        epochs=spec.epochs,
        costs=len(roles.known),
        others=len(roles.others),
        maximise=roles.maximise,
        bounds=spec.column_bounds().get(curve, usual),
        keep=spec.keep,
    )


def make_budget(spec: Spec) -> Budget:
    """How far a search goes."""
    return Budget(
        spec.trials,
        wall_s=spec.max_hours and 3600 * spec.max_hours,
        grace_s=spec.grace_s,
        trial_s=spec.max_trial_hours and 3600 * spec.max_trial_hours,
        gpu_s=spec.max_gpu_hours and 3600 * spec.max_gpu_hours,
        stable_trials=spec.until_stable,
        stable_threshold=spec.stable_threshold,
    )


def make_engine(
    spec: Spec,
    folder: RunFolder,
    store: StudyStore,
    prepared: Prepared,
    *,
    at_once: int,
    observers: list[Any],
    capacity: Capacity | None = None,
) -> Engine:
    """The engine of a run, which knows nothing of the study yet.

    Args:
        spec: of the run.
        folder: of the run.
        store: its study.
        prepared: what was checked before.
        at_once: how many trials run at once, at most.
        observers: who is told.
        capacity: what trials of different sizes share; None where all need the same.
    """
    asker = Asker(
        spec.search_space(),
        make_sampler(spec, prepared.known, prepared.hints),
        directions=list(spec.directions().values()),
        seed=spec.seed,
        check=lambda candidate: prepared.allowed(candidate, capacity),
        first=prepared.first,
        duplicates="allow" if isinstance(spec.search_space(), DefineByRunSpace) else spec.duplicates,
        only_first=bool(spec.candidates),
    )
    return Engine(
        asker,
        store,
        costs=prepared.costs,
        budget=make_budget(spec),
        slots=at_once,
        observers=observers,
        seeds=spec.first_seeds(),
        pruner=make_pruner(spec, prepared.known.columns),
        curve=measured(spec, prepared.known.columns),
        first_seed=spec.evaluator is not None,
        keep=lambda: folder.keep_sampler(asker.state()),
        needs=prepared.resources,
        capacity=capacity,
        now=time.monotonic(),
    )


def trial_settings(spec: Spec, folder: RunFolder, prepared: Prepared, *, stops: bool, at_once: int) -> TrialSettings:
    """What all trials of a run have in common.

    Args:
        spec: of the run.
        folder: of the run.
        prepared: what was checked before.
        stops: whether trials may be stopped early.
        at_once: how many run at once.
    """
    known = prepared.known.columns if spec.evaluator else ()
    short = max(0.05, at_once / REPORTS_PER_S) if spec.evaluator else SHORT_SLICE_S
    return TrialSettings(
        spec.recipe(),
        threads=max(1, int(spec.cpus_per_trial)),
        gpu=prepared.gpus > 0,
        evaluator=spec.evaluator,
        code=packed(spec.evaluator),
        objectives=tuple(name for name in spec.directions() if name not in known),
        columns=spec.columns(),
        declares=isinstance(spec.search_space(), DefineByRunSpace),
        returned=tuple(name for name, _ in map(parsed_objective, spec.objectives)),
        folder=prepared.folder,
        import_path=tuple(str(Path(prepared.folder, part)) for part in sys.path),
        slice_s=0.0 if spec.loggers else short if stops else SLICE_S,
        **({} if spec.grace_s is None else {"grace_s": spec.grace_s}),
        checkpoints=spec.checkpoint_address() or str(folder.checkpoints),
        checkpoint_s=spec.checkpoint_s,
        logs=str(folder.path) if spec.evaluator else None,
        test=spec.test,
        weights=folder.weights_address(spec.checkpoint_address()) if spec.keep_weights else None,
    )
