"""An ablation study: a base candidate with one part or several changed, from the same seeds, on the engine of a search.

The plan says which candidates (`spaces.factorial`); what they are worth is said in `results.ablation`. In between they
are trained as fixed lists, one for each recipe of the plan, in a folder that a later study goes on with. Accuracies are
those on the validation split: the test split is for the confirmed front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import results
from leni.errors import CandidateError, FolderError, SpecError
from search.fixed import HOW, fresh_seed
from search.folder import RunFolder, next_free
from search.spec import Spec
from search.trained import recorded_candidate, trained_record, trained_spec
from spaces import Candidate, ParameterSpace

__all__ = ["Base", "base_of"]

SEEDS = 8
"""Eight pairs can reach a p-value of 0.008, so that six comparisons can pass Holm's correction at 0.05."""


@dataclass(frozen=True)
class Base:
    """What is ablated.

    Attributes:
        candidate: the base.
        spec: data, recipe, resources, seed.
        words: where it comes from.
        folder: for the study.
    """

    candidate: Candidate
    spec: Spec
    words: str
    folder: Path


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
        raise SpecError(f"a trial's number goes with a run's folder, and {place} is none")
    if place.suffix not in (".json", ".toml") or not place.is_file():
        raise SpecError(f"{place} must be a run's folder, a candidate's .json file or a spec's .toml file")
    spec = Spec.read(place if place.suffix == ".toml" else None, **given)
    folder = out or spec.out or next_free(Path("runs"), f"{spec.data}-ablation")
    if place.suffix == ".json":
        try:
            return Base(Candidate.from_json(place.read_text(encoding="utf-8")), spec, str(place), folder)
        except (OSError, UnicodeDecodeError) as error:
            raise CandidateError(f"{place} cannot be read: {' '.join(str(error).split())}") from None
        except CandidateError as error:
            raise CandidateError(f"{place}: {error}") from None
    space = spec.search_space()
    if isinstance(space, ParameterSpace) or spec.evaluator:
        raise SpecError(f"{place}: an ablation is of a network that is trained here, and this spec has none")
    return Base(space.references()[-1], spec, f"{place}, the space's last reference", folder)


def _of_run(place: RunFolder, trial: int | None, out: Path | None, given: Mapping[str, Any]) -> Base:
    """A trial of a run, on seeds that the search has not used: those flattered what it chose."""
    place.check_run()
    if others := [name for name in given if name not in HOW]:
        raise SpecError(f"the run's own spec says what is trained, and cannot change {', '.join(others)}")
    spec = trained_spec(place)
    run = results.load(place.path)
    if trial is None:
        front = run.front()
        if front.empty:
            raise FolderError(f"{place.path} has no completed trial to start from")
        order = front.sort_values("accuracy", ascending=False, kind="stable")
        parts = order[order["activation"] != "relu"]
        trial = int((parts if len(parts) else order)["number"].iloc[0])
    record = trained_record(run, trial)
    again = {**dict(spec), **given, "seed": fresh_seed(spec, 2)}
    return Base(recorded_candidate(record), Spec(**again), f"trial {trial} of {place.path}", out or place.ablation)
