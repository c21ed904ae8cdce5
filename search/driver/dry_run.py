"""What a run would be, without running it: the space's size, the trials, and the time they take by a measured step."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from search.decide.quiet import without_optunas_lines
from search.driver.declared_space import with_declared_space
from search.driver.kept_layers import kept_layers
from search.driver.prepare import Prepared, prepare
from search.driver.sample import random_candidates
from search.engine.needs import Needs
from search.spec import Spec
from search.store.folder import RunFolder
from search.training.cpus import usable_cpus
from search.training.data import Part
from search.training.replicas import Replicas
from search.training.timing import torch_threads
from spaces import Candidate
from spaces.memory import step_memory

__all__ = ["Plan", "plan", "slots_here", "trial_seconds"]

SAMPLE = 4  # candidates that are measured
STEPS = 4  # of each


@dataclass(frozen=True)
class Plan:
    """What a run would be.

    Attributes:
        space: its name, and how many candidates it has; None where there are infinitely many.
        size: see `space`.
        trials: that would begin.
        slots: that would run at once, by the CPUs and GPUs that this process may use.
        trial_s: seconds of a trial, mean over the candidates that were measured; None where a user's function trains.
        wall_s: seconds of the run, without starting up and stopping early; None likewise.
        measured: candidates whose training step was measured.
        files: what would be written.
        notes: what of the data set is left out, and what of a network is changed or cannot be, a sentence each.
        known: by name of what a user knows of candidates before their trials, the least and the greatest value of some
            that were looked at.
        needs: CPUs and GPUs of a trial, in words, where they depend on the configuration.
        memory: bytes that a training step of all seeds of the first candidates takes at most (`spaces.memory`), an
            estimate; None where there is no first candidate.
    """

    space: str
    size: int | None
    trials: int
    slots: int
    trial_s: float | None
    wall_s: float | None
    measured: int
    files: Sequence[str]
    notes: Sequence[str] = ()
    known: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    needs: str = ""
    memory: int | None = None

    def show(self, console: Console | None = None) -> None:
        """Print it as a table."""
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "space", f"{self.space}, {'infinitely many' if self.size is None else f'{self.size:,}'} candidates"
        )
        table.add_row("trials", f"{self.trials:,}, {self.slots} at once")
        if self.needs:
            table.add_row("each needs", self.needs)
        for name, (least, most) in self.known.items():
            table.add_row("known", Text(f"{name} {least:,} to {most:,}, of some candidates"))
        if self.trial_s is None or self.wall_s is None:
            table.add_row("time", "not estimated: a user's function evaluates")
        else:
            table.add_row("a trial", f"{self.trial_s:.3g} s (a step of {self.measured} candidates measured)")
            table.add_row("in all", f"{self.wall_s:.3g} s, {self.wall_s / 3600:.3g} h, if no trial is stopped early")
        if self.memory is not None:
            table.add_row("memory", f"{self.memory / 2**20:,.0f} MiB a step of the largest reference, an estimate")
        for note in self.notes:
            table.add_row("note", Text(note))
        for index, name in enumerate(self.files):
            table.add_row("" if index else "writes", escape(name))
        (console or Console()).print(table, highlight=False, soft_wrap=True)


def plan(spec: Spec) -> Plan:
    """What `run(spec)` would be; checks what it checks, and starts and writes nothing.

    Raises:
        LeniSearchError: as `run`.
    """
    spec = with_declared_space(spec)
    folder = RunFolder(spec.out or Path("runs") / "...")
    if spec.out:
        folder.check_free()
    prepared = prepare(spec)
    space = spec.search_space()
    least, most = prepared.resources.range()
    slots = slots_here(spec, least)
    trials = spec.trials if space.size is None else min(spec.trials, space.size + len(prepared.first))
    with without_optunas_lines():
        seconds = trial_seconds(spec, prepared)
    trial_s = fmean(seconds) if seconds else None
    names = ("spec", "environment", "study", "trials", "curves", "front", "checkpoints", "ray")
    files = [str(getattr(folder, name)) for name in names]
    wall_s = None if trial_s is None else trial_s * trials / slots
    notes = [*prepared.notes, *kept_layers(space)]
    known = prepared.known.ranges()
    return Plan(
        space.name, space.size, trials, slots, trial_s, wall_s, len(seconds), files, notes, known,
        "" if prepared.resources.rule is None else f"{least} to {most}, of some candidates",
        _memory(spec, prepared),
    )  # fmt: skip


def _memory(spec: Spec, prepared: Prepared) -> int | None:
    """Bytes of a training step of the candidate among the first ones that takes most; None where there is none."""
    data = prepared.data
    listed = [one for one in prepared.first if isinstance(one, Candidate)][:SAMPLE] if data else []
    if data is None or not listed:
        return None
    batch = min(spec.recipe().batch_size, len(data.train.labels))
    shape, classes = data.input_shape, data.classes
    return spec.seeds * max(step_memory(one, input_shape=shape, classes=classes, batch=batch) for one in listed)


def slots_here(spec: Spec, needs: Needs) -> int:
    """Trials at once, at most, by the CPUs and GPUs that this process may use; `needs` of the smallest trial."""
    slots = int(usable_cpus() / needs.cpus) or 1
    if needs.gpus:
        slots = min(slots, int(torch.cuda.device_count() / needs.gpus) or 1)
    return min(slots, spec.trials, spec.workers or slots)


def trial_seconds(spec: Spec, prepared: Prepared) -> list[float]:
    """Seconds of the whole training of a few candidates with all their seeds, from a few measured steps of each.

    The candidates are the first of a fixed list, and random ones of a search's space; none where a user's function
    trains.
    """
    data = prepared.data
    if data is None:
        return []
    recipe = spec.recipe()
    batch = min(recipe.batch_size, len(data.train.labels))
    # A pass over the validation part is a third of a step for each of its batches: forward alone.
    batches = len(data.train.labels) // batch + len(data.validation.labels) / batch / 3
    few = replace(data, train=_first(data.train, STEPS * batch), validation=_first(data.validation, 1))
    device = "cuda" if prepared.gpus else "cpu"
    found: list[float] = []
    with torch_threads(max(1, int(spec.cpus_per_trial))):
        for candidate in random_candidates(spec, SAMPLE, check=prepared.known.allowed):
            if not isinstance(candidate, Candidate):
                continue
            replicas = Replicas(candidate, few, recipe, seeds=spec.first_seeds(), device=device)
            replicas.epoch()  # compiles, and chooses how several seeds are trained
            started = time.perf_counter()
            replicas.epoch()
            found.append((time.perf_counter() - started) / STEPS * batches * recipe.epochs)
    return found


def _first(part: Part, count: int) -> Part:
    return Part(part.images[:count], part.labels[:count])
