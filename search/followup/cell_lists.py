"""The networks of a factorial plan as fixed lists, one for each recipe, in folders of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

import results
from search.driver.dry_run import trial_seconds
from search.driver.prepare import prepare
from search.followup.recorded import keyed
from search.followup.retrain import fixed_spec, train_fixed
from search.spec import Spec
from search.store.folder import RunFolder
from spaces import Candidate
from spaces.factorial import Cell

__all__ = ["cell_specs", "seconds_left", "train_cells"]


def cell_specs(
    spec: Spec, cells: Sequence[Cell], folder: Path, *, prefix: str = "recipe", **same: Any
) -> tuple[Spec, ...]:
    """A fixed list for each recipe, in order of appearance.

    Args:
        spec: data, recipe, resources.
        cells: of a plan.
        folder: that the lists' folders go into.
        prefix: of the names of these folders.
        same: further keys of all specs: seeds, seed.

    Returns:
        The specs; a network that several cells have is in its list once.
    """
    grouped: dict[str, list[Candidate]] = {}
    recipes: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        name = _named(prefix, cell.recipe)
        recipes[name] = cell.recipe
        grouped.setdefault(name, []).append(cell.candidate)
    found = []
    for name, candidates in grouped.items():
        changed = dict(recipes[name])
        epochs = changed.pop("epochs", spec.epochs)
        training = {**spec.training, **changed}
        keys = {"epochs": epochs, "training": training, **same}
        found.append(fixed_spec(spec, list(dict.fromkeys(candidates)), folder / name, **keys))
    return tuple(found)


def seconds_left(spec: Spec) -> float | None:
    """What is left of a list to train, one after another; None where nothing is."""
    trained: set[str] = set()
    place = RunFolder(spec.out or "")
    if place.trials.is_file():
        done = results.load(place.path).trials
        trained = set(keyed(done[done["state"] == "completed"])["candidate"])
    left = [candidate for candidate in spec.only_candidates() if candidate.to_json() not in trained]
    if not left:
        return None
    seconds = trial_seconds(spec, prepare(spec))
    return fmean(seconds) * len(left)


def train_cells(
    specs: Sequence[Spec], cells: Sequence[Cell], *, prefix: str = "recipe", quiet: bool = False,
    console: Console | None = None,
) -> list[dict[Any, Any]] | None:  # fmt: skip
    """Train the lists, and read a record for each cell, in order of the cells.

    Args:
        specs: of `cell_specs`, for these cells and the same prefix.
        cells: of a plan.
        prefix: as in `cell_specs`.
        quiet: as `search.run`.
        console: as `search.run`.

    Returns:
        The records; None where the training was interrupted.

    Raises:
        LeniSearchError: as `search.run`; FolderError where a folder holds trainings that do not compare.
    """
    found: dict[tuple[str, str], dict[Any, Any]] = {}
    for spec in specs:
        run = train_fixed(spec, quiet=quiet, console=console)
        if run.environment["ended"] == "interrupted":
            return None
        order = run.trials.assign(order=(run.trials["state"] == "completed").astype(int)).sort_values("order")
        for record in keyed(order).drop(columns="order").to_dict("records"):
            found[Path(spec.out or "").name, record["candidate"]] = record
    return [found[_named(prefix, cell.recipe), cell.candidate.to_json()] for cell in cells]


def _named(prefix: str, recipe: Mapping[str, Any]) -> str:
    """The folder of a recipe."""
    words = "-".join(f"{name}-{value}" for name, value in sorted(recipe.items()))
    return f"{prefix}-{words}" if words else prefix
