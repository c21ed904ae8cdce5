"""A run over a fixed list of candidates: started where there is none yet, continued where there is.

What `confirm` and `ablate` train goes through the engine of every search, in a folder of its own: killed at any moment,
it continues where it was, and a list that has grown trains what is new.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import results
from leni.errors import FolderError
from search.driver.run_search import resume
from search.driver.run_search import run as run_search
from search.spec import Spec
from search.store.checkpoints import below
from search.store.folder import RunFolder
from spaces import Candidate

__all__ = ["FRESH", "HOW", "fixed_spec", "fresh_seed", "train_fixed"]

HOW = ("workers", "address", "cpus_per_trial", "gpus_per_trial", "lock")
"""Keys of a spec that say how it runs, not what comes out."""

FREE: dict[str, Any] = {  # what of a search's spec has no meaning for a list, or belongs to its own study
    "enqueue": None, "warm_start": None, "prior": (), "proxies": (), "references": False, "pruner": "none",
    "sampler": "random", "duplicates": "skip", "storage": None, "loggers": (), "max_hours": None,
    "max_trial_hours": None, "max_gpu_hours": None, "until_stable": None, "min_params": None, "max_params": None,
    "min_macs": None, "max_macs": None, "limits": {},
}  # fmt: skip
FRESH = 1_000_000
"""How far the fresh seeds are from the search's."""

WHAT = ("seed", "seeds", "epochs", "data", "data_folder", "train_size", "image_size", "split_seed", "test")


def fixed_spec(spec: Spec, candidates: Sequence[Candidate], folder: Path, **changes: Any) -> Spec:
    """A spec that trains these candidates and no others, as another spec trains.

    Args:
        spec: of a search: data, recipe, objectives, resources.
        candidates: each once.
        folder: of the new run.
        changes: further keys: seeds, seed, test, keep_weights, training, ...

    Raises:
        SpecError: as `Spec`.
    """
    texts = tuple(candidate.to_json() for candidate in candidates)
    states = spec.checkpoints and below(spec.checkpoints, folder.name)
    own = {"candidates": texts, "trials": len(texts), "out": folder, "checkpoints": states}
    return Spec(**{**dict(spec), **FREE, **own, **changes})


def fresh_seed(spec: Spec, times: int = 1) -> int:
    """The first of seeds that the search has not used; `times` gives one study others than another."""
    return (spec.seed + times * FRESH) % 2**31


def train_fixed(spec: Spec, *, quiet: bool = False, console: Console | None = None) -> results.Run:
    """Train what is not trained yet of a fixed list.

    Args:
        spec: of `fixed_spec`; its folder may hold an earlier, smaller or unfinished list.
        quiet: as `search.run`.
        console: as `search.run`.

    Returns:
        The run; `environment["ended"]` is "complete" when nothing is left.

    Raises:
        FolderError: the folder holds trainings from other seeds, of another recipe or on other data.
        LeniSearchError: as `search.run`.
    """
    if spec.out is None:
        raise FolderError("a fixed list needs a folder of its own")
    folder = RunFolder(spec.out)
    if folder.path.is_dir() and not folder.environment.is_file() and (folder.lock.exists() or folder.spec.exists()):
        with folder.driven():
            shutil.rmtree(folder.path)  # killed before its first trial
    if not folder.spec.is_file():
        return run_search(spec, quiet=quiet, console=console)
    before = Spec.read(folder.spec)
    _check_same(before, spec, folder)
    listed = tuple(dict.fromkeys((*before.candidates, *spec.candidates)))
    facts = json.loads(folder.environment.read_text())
    if len(listed) == len(before.candidates) and facts.get("ended") == "complete":
        return results.load(folder.path)
    changes = {name: getattr(spec, name) for name in HOW}
    added = len(listed) - int(facts.get("trials", 0))
    return resume(folder.path, add_trials=added, candidates=listed, quiet=quiet, console=console, **changes)


def _check_same(before: Spec, now: Spec, folder: RunFolder) -> None:
    """Refuse to mix trainings that do not compare."""
    pairs = {name: (getattr(before, name), getattr(now, name)) for name in WHAT}
    recipes = (before.recipe().values(), now.recipe().values())
    pairs |= {name: (recipes[0][name], recipes[1][name]) for name in recipes[0]}
    if differing := [f"{name} {was!r} there, {new!r} now" for name, (was, new) in pairs.items() if was != new]:
        raise FolderError(
            f"{folder.path} holds trainings that do not compare with these: {'; '.join(differing)}; "
            "ask for the same, or move the folder away",
            code="LS-RUN-MIXED",
        )
