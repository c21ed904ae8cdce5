"""An ablation study: a base candidate with one part or several changed, from the same seeds, on the engine of a search.

The plan says which candidates (`spaces.factorial`); what they are worth is said in `results.ablation`. In between they
are trained as fixed lists, one for each recipe of the plan, in a folder that a later study continues. Accuracies are
those on the validation split: the test split is for the confirmed front.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

import results
from leni.errors import CandidateError, FolderError, SpecError
from results.analyses.ablation import PREFIX, Ablation, ablation
from results.stats.power import power
from results.stats.sign_flips import smallest_p
from results.tables.ablation import effects_latex, effects_markdown, effects_text
from results.text import counted
from search.driver.dry_run import slots_here
from search.driver.prepare import prepare
from search.followup.cell_lists import cell_specs, seconds_left, train_cells
from search.followup.recorded import recorded_candidate, trained_record, trained_spec
from search.followup.retrain import HOW, fresh_seed
from search.followup.retune import Retuning, retuning, told_recipe
from search.spec import Spec
from search.store.folder import RunFolder, next_free, take_next, write_text
from spaces import Candidate, ParameterSpace
from spaces.backbones.sites import OWN, PLAIN
from spaces.factorial import Cell, Plan

__all__ = ["Base", "Study", "ablate", "base_of", "claimed", "retuned", "study", "train"]

RUNS = Path("runs")
FIGURES = (".html", ".png")
SEEDS = 8
"""With eight seeds a true effect of 1.5 standard deviations is shown in two of three studies of eight comparisons."""
EFFECT = 1.5  # standard deviations of a seed's difference, for which the power of a plan is told


@dataclass(frozen=True)
class Base:
    """What is ablated.

    Attributes:
        candidate: the base.
        spec: data, recipe, resources, seed.
        words: where it comes from.
        folder: for the study.
        default: whether the folder is the next free one, which `claimed` takes.
    """

    candidate: Candidate
    spec: Spec
    words: str
    folder: Path
    default: bool = False


def base_of(source: str | Path, *, trial: int | None = None, out: Path | None = None, **changes: Any) -> Base:
    """The candidate to start from, and how it is trained.

    Args:
        source: a run's folder: its trial `trial`, or of its front's members the most accurate one that is not plain
            ReLU, or the most accurate; a .json file with a candidate; or a .toml spec, whose space's last reference is
            taken (LENI everywhere at full width, in our presets).
        trial: of a run.
        out: folder for the study; None for "ablation" in a run's folder, or a new one under runs/.
        changes: keys of the spec over it: data, epochs, train_size, workers, ...

    Raises:
        FolderError: no run there, no such trial, or none that completed.
        SpecError: the file is none of these, or trials have no network.
        CandidateError: the file holds no candidate.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    place = Path(source)
    if place.is_dir():
        return _of_run(RunFolder(place), trial, out, given)
    if trial is not None:
        raise SpecError(f"a trial's number goes with a run's folder, and {place} is not one")
    if place.suffix not in (".json", ".toml") or not place.is_file():
        raise SpecError(f"{place} must be a run's folder, a candidate's .json file or a spec's .toml file")
    spec = Spec.read(place if place.suffix == ".toml" else None, **given)
    folder, default = out or spec.out or next_free(RUNS, _stem(spec)), not (out or spec.out)
    if place.suffix == ".json":
        try:
            return Base(Candidate.from_json(place.read_text(encoding="utf-8")), spec, str(place), folder, default)
        except (OSError, UnicodeDecodeError) as error:
            raise CandidateError(f"{place} cannot be read: {' '.join(str(error).split())}") from None
        except CandidateError as error:
            raise CandidateError(f"{place}: {error}", code=error.code) from None
    space = spec.search_space()
    if isinstance(space, ParameterSpace) or spec.evaluator:
        raise SpecError(f"{place}: an ablation is of a network that is trained here, and this spec has none")
    return Base(space.references()[-1], spec, f"{place}, the space's last reference", folder, default)


@contextmanager
def claimed(base: Base) -> Iterator[Base]:
    """The base with a folder that no other study gets; one that nothing is written to is removed at the end.

    A folder that was asked for, or that lies in a run's folder, stays as it is.
    """
    if not base.default:
        yield base
        return
    folder = take_next(RUNS, _stem(base.spec))
    try:
        yield replace(base, folder=folder)
    finally:
        with suppress(OSError):
            folder.rmdir()


def _stem(spec: Spec) -> str:
    return f"{spec.data}-ablation"


def _of_run(place: RunFolder, trial: int | None, out: Path | None, given: Mapping[str, Any]) -> Base:
    """A trial of a run, on seeds that the search has not used: those flattered what it chose."""
    place.check_run()
    if others := [name for name in given if name not in HOW]:
        raise SpecError(f"the run's own spec says what is trained, and cannot change {', '.join(others)}")
    spec = trained_spec(place)
    run = results.load(place.path)
    if trial is None:
        front = run.front_records()
        if front.empty:
            raise FolderError(f"{place.path} has no completed trial to start from", code="LS-TRIAL")
        order = front.sort_values("accuracy", ascending=False, kind="stable")
        parts = order[~order["activation"].isin((PLAIN, OWN))]
        trial = int((parts if len(parts) else order)["number"].iloc[0])
    record = trained_record(run, trial)
    again = {**dict(spec), **given, "seed": fresh_seed(spec, 2)}
    return Base(recorded_candidate(record), Spec(**again), f"trial {trial} of {place.path}", out or place.ablation)


@dataclass(frozen=True)
class Study:
    """What will be trained, and what it takes.

    Attributes:
        base: what is ablated.
        plan: of `spaces.factorial`.
        cells: its networks that can be built, the base first.
        left_out: those that cannot, in words, and why.
        lists: a spec for each recipe, which trains the cells that have it.
        seeds: of every cell, the same ones, so that differences are paired.
        slots: trials at once.
        wall_s: seconds in all, from a few measured steps; None where everything has been trained.
        retuning: the search of each network's own recipe; None where all have the base's.
    """

    base: Base
    plan: Plan
    cells: tuple[Cell, ...]
    left_out: Mapping[str, str]
    lists: tuple[Spec, ...]
    seeds: int
    slots: int
    wall_s: float | None
    retuning: Retuning | None = None

    def recipe_sentences(self) -> tuple[str, ...]:
        """At which recipes the networks are trained, and what that means for the comparison."""
        if self.retuning is None:
            return (
                "All parts are trained at the base's recipe, which was chosen for the base: a part can come out worse "
                "for that alone. `leni-search ablate --retune N` tries N recipes for each part.",
            )
        search = self.retuning
        found = [
            f"Each network is trained at its own recipe, the best of {search.recipes} on {search.seeds} other seeds."
        ]
        if self.cells != search.cells:
            chosen = "; ".join(f"{_levels(cell)} at {told_recipe(cell.candidate)}" for cell in self.cells)
            found.append(f"Chosen: {chosen}.")
        return tuple(found)

    def sentences(self) -> tuple[str, ...]:
        """What is planned, what it costs, and how small a p-value it can reach."""
        count = len(self.cells)
        least = smallest_p(self.seeds)
        more = f" after {self.retuning.trainings} that choose recipes" if self.retuning else ""
        found = [
            f"Base: {self.base.words}, {_short(self.base.candidate)}.",
            f"{count} networks from {self.seeds} seeds each, {count * self.seeds} trainings{more}, {self.slots} at once"
            + (f"; about {_duration(self.wall_s)}." if self.wall_s is not None else "; all of them are there already."),
            f"{self.seeds} pairs can reach a p-value of {least:.3g} at the least"
            + (", which is not below 0.05: more seeds are needed to settle anything." if least >= 0.05 else "."),
        ]
        comparisons = count - 1
        if least < 0.05:
            chance = power(self.seeds, EFFECT, tests=comparisons)
            found.append(
                f"Among {counted(comparisons, 'comparison')} a true effect of {EFFECT} standard deviations of a seed's "
                f"difference is shown with a probability of about {chance:.2f}; {_seeds_for(comparisons)} seeds make "
                "that 0.8."
            )
        found += self.recipe_sentences()
        found += self.plan.notes
        found += [f"Left out: {name}, {reason}." for name, reason in self.left_out.items()]
        return tuple(found)

    def files(self) -> tuple[Path, ...]:
        """What `ablate` writes."""
        return tuple(self.base.folder / f"ablation{suffix}" for suffix in (".csv", ".md", ".tex", *FIGURES, ".json"))

    def show(self, console: Console | None = None) -> None:
        """Print the plan: one row per network, then the sentences."""
        factors = list(dict.fromkeys(name for cell in self.cells for name in cell.levels))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name in ("", *factors, "recipe"):
            table.add_column(name, overflow="fold")
        for index, cell in enumerate(self.cells):
            recipe = ", ".join(f"{name}={value}" for name, value in cell.recipe.items())
            table.add_row(str(index), *(str(cell.levels.get(name, "")) for name in factors), recipe)
        console = console or Console()
        console.print(table)
        for sentence in self.sentences():
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def study(base: Base, plan: Plan, *, seeds: int = SEEDS, retune: int | None = None) -> Study:
    """Check a plan's networks, and what they cost.

    Args:
        base: what is ablated.
        plan: of `spaces.factorial`.
        seeds: of each.
        retune: recipes that are tried for each network on seeds of their own; None trains all at the base's recipe.

    Raises:
        SpecError: retune is below 2, nothing is left to compare, or a recipe cannot be.
        LeniSearchError: as `search.run`.
    """
    if retune is not None and retune < 2:
        raise SpecError(f"retune must be at least 2 recipes for each network, got {retune}")
    prepared = prepare(base.spec)
    cells: list[Cell] = []
    left_out: dict[str, str] = {}
    for cell in plan.cells:
        try:
            prepared.costs(cell.candidate)
        except CandidateError as error:
            left_out[_levels(cell)] = str(error)
        else:
            cells.append(cell)
    if len(cells) < 2:
        raise SpecError(f"there is nothing to compare: {'; '.join(left_out.values()) or 'the plan has one network'}")
    lists = cell_specs(base.spec, cells, base.folder, seeds=seeds, seed=base.spec.seed)
    search = None if retune is None else retuning(base.spec, cells, base.folder, recipes=retune, seeds=seeds)
    slots = slots_here(lists[0], prepared.resources.range()[0])
    every = (*(search.lists if search else ()), *lists)
    left = [seconds for spec in every if (seconds := seconds_left(spec)) is not None]
    wall_s = sum(left) / slots if left else None
    return Study(base, plan, tuple(cells), left_out, lists, seeds, slots, wall_s, search)


def ablate(planned: Study, *, quiet: bool = False, console: Console | None = None) -> Ablation | None:
    """Train what a study plans, and say what each part is worth.

    Args:
        planned: of `study`.
        quiet: whether no progress is shown.
        console: where progress goes; None for standard error.

    Returns:
        The effects, also in the study's folder: ablation.csv (in full precision), interactions.csv where the design has
        them, .md, .tex (booktabs), .html, .png, and .json, which the report reads. None where the training was
        interrupted; the same command continues it.

    Raises:
        FolderError: the folder holds trainings that do not compare, or cannot be written.
        RecordError: the base itself has no result.
        LeniSearchError: as `search.run`.
    """
    settled = retuned(planned, quiet=quiet, console=console)
    records = None if settled is None else train(settled, quiet=quiet, console=console)
    if settled is None or records is None:
        return None
    found = ablation(records, recipe=settled.recipe_sentences())
    try:
        _write(settled, found)
    except OSError as error:
        raise FolderError(
            f"{planned.base.folder} cannot be written: {error.strerror}", code="LS-FOLDER-WRITE"
        ) from None
    return found


def retuned(planned: Study, *, quiet: bool = False, console: Console | None = None) -> Study | None:
    """A study whose networks have their own best recipes; itself where no search of them was asked for.

    Args:
        planned: of `study`.
        quiet: whether no progress is shown.
        console: where progress goes; None for standard error.

    Returns:
        The study that is to be trained; None where the training was interrupted.

    Raises:
        LeniSearchError: as `search.run`.
    """
    if planned.retuning is None:
        return planned
    cells = planned.retuning.chosen(quiet=quiet, console=console)
    if cells is None:
        return None
    base = planned.base
    lists = cell_specs(base.spec, cells, base.folder, seeds=planned.seeds, seed=base.spec.seed)
    return replace(planned, cells=cells, lists=lists)


def _write(planned: Study, found: Ablation) -> None:
    place = planned.base.folder
    left_out = (f"Left out: {name}, {reason}." for name, reason in planned.left_out.items())
    said = [planned.sentences()[0], *found.sentences, *found.left_out, *planned.plan.notes, *left_out]
    figure = found.figure()
    write_text(place / "ablation.csv", results.to_csv(found.effects))
    if len(found.interactions):
        write_text(place / "interactions.csv", results.to_csv(found.interactions))
    write_text(place / "ablation.md", effects_markdown(found))
    caption = f"Ablation of {_short(planned.base.candidate)}: accuracy points against it on {planned.base.spec.data}."
    write_text(place / "ablation.tex", effects_latex(found, caption=caption))
    for suffix in FIGURES:
        results.save(figure, place / f"ablation{suffix}")
    tables = [frame.fillna("").to_dict("split", index=False) for frame in effects_text(found) if len(frame)]
    base = planned.base.candidate.to_dict()
    notes = {"sentences": said, "base": base, "tables": tables, "figure": figure.to_dict()}
    write_text(place / "ablation.json", json.dumps(notes) + "\n")


def train(planned: Study, *, quiet: bool = False, console: Console | None = None) -> pd.DataFrame | None:
    """Train what a study plans, and read the records.

    Args:
        planned: of `study`.
        quiet: whether no progress is shown.
        console: where progress goes; None for standard error.

    Returns:
        A record a cell, in order of the cells, its factors' levels in columns of their own; a cell that failed has its
        reason in `error`. None where the training was interrupted; the same command continues it.

    Raises:
        LeniSearchError: as `search.run`; FolderError where the folder holds trainings that do not compare.
    """
    records = train_cells(planned.lists, planned.cells, quiet=quiet, console=console)
    if records is None:
        return None
    rows = [
        record | {f"{PREFIX}{name}": str(level) for name, level in cell.levels.items()}
        for record, cell in zip(records, planned.cells, strict=True)
    ]
    return pd.DataFrame(rows).convert_dtypes()


def _levels(cell: Cell) -> str:
    return ", ".join(f"{name} {level}" for name, level in cell.levels.items())


def _short(candidate: Candidate) -> str:
    columns = candidate.columns()
    return f"{columns['backbone']} {columns['widths']}, {columns['activation']} at {columns['placement']}"


def _seeds_for(comparisons: int) -> int:
    """Seeds at which an effect of the size told of is shown in four of five studies."""
    return next(seeds for seeds in range(2, 100) if power(seeds, EFFECT, tests=comparisons) >= 0.8)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} minutes"
        if seconds < 7200
        else (f"{seconds / 3600:.1f} hours")
    )
