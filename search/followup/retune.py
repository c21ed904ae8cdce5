"""Each part of an ablation at a recipe of its own.

A base that a search found stands at the best of many recipes, chosen for it; a part that is trained at the same recipe
can come out worse for that alone. Here every network of a plan, the base too, is trained at the same number of recipes
on seeds of their own, and takes the best of them into the comparison, which has other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from search.followup.cell_lists import cell_specs, train_cells
from search.followup.retrain import fresh_seed
from search.spec import Spec
from spaces import Candidate
from spaces.factorial import Cell
from spaces.recipes import other_recipes

__all__ = ["Retuning", "retuning", "told_recipe"]

SEEDS = 4  # of each recipe that is tried, at most
PREFIX = "tune"  # of the folders of the recipes that are tried
_HELD = {"lr": "lr_factor", "start": "init_std"}  # factor of a plan -> the part of the recipe that it varies


@dataclass(frozen=True)
class Retuning:
    """What is trained to find each network's recipe.

    Attributes:
        cells: of the plan.
        tried: for each cell the cells that try its recipes, its own first.
        lists: specs that train them.
        recipes: asked for, for each cell.
        seeds: of each.
    """

    cells: tuple[Cell, ...]
    tried: tuple[tuple[Cell, ...], ...]
    lists: tuple[Spec, ...]
    recipes: int
    seeds: int

    @property
    def trainings(self) -> int:
        """How many networks are trained from how many seeds, multiplied."""
        return self.seeds * sum(spec.trials for spec in self.lists)

    def chosen(self, *, quiet: bool = False, console: Console | None = None) -> tuple[Cell, ...] | None:
        """Train what is not trained yet, and give each cell its best recipe by mean validation accuracy.

        A network of which no recipe came to its end keeps its own. None where the training was interrupted.

        Raises:
            LeniSearchError: as `search.run`.
        """
        every = [cell for cells in self.tried for cell in cells]
        records = train_cells(self.lists, every, prefix=PREFIX, quiet=quiet, console=console)
        if records is None:
            return None
        left = iter(records)
        found = []
        for cell, tried in zip(self.cells, self.tried, strict=True):
            scores = [_accuracy(next(left)) for _ in tried]
            best = max(range(len(tried)), key=scores.__getitem__)
            found.append(replace(cell, candidate=tried[best].candidate))
        return tuple(found)


def retuning(spec: Spec, cells: Sequence[Cell], folder: Path, *, recipes: int, seeds: int) -> Retuning:
    """Plan the search of each network's recipe.

    Args:
        spec: data, recipe and resources of the ablation.
        cells: of its plan.
        folder: of the ablation.
        recipes: for each cell.
        seeds: of the ablation; at most four are taken here.

    Raises:
        SpecError: a recipe cannot be.
    """
    held = {_HELD[name] for cell in cells for name in cell.levels if name in _HELD}
    tried = tuple(
        tuple(replace(cell, candidate=each) for each in other_recipes(cell.candidate, recipes, held=held))
        for cell in cells
    )
    few = min(seeds, SEEDS)
    every = [cell for group in tried for cell in group]
    lists = cell_specs(spec, every, folder, prefix=PREFIX, seeds=few, seed=fresh_seed(spec))
    return Retuning(tuple(cells), tried, lists, recipes, few)


def told_recipe(candidate: Candidate) -> str:
    """A candidate's recipe in words."""
    options = dict(candidate.options)
    parts: list[tuple[str, Any]] = [("lr_factor", candidate.lr_factor)]
    parts += [(name, options[name]) for name in ("init_std", "decay") if name in options]
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in parts)


def _accuracy(record: dict[Any, Any]) -> float:
    """Accuracy of a completed record; minus infinity for any other."""
    value = record.get("accuracy")
    done = record["state"] == "completed" and value is not None and not pd.isna(value)
    return float(value) if done and value is not None else float("-inf")
