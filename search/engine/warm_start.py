"""What a search may begin with: another run's completed trials, and candidates from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from leni.errors import LeniSearchError, SpecError
from search.spec import Spec
from search.store.folder import RunFolder
from search.store.trial_checks import check_trials
from search.store.trials import NAME, StudyStore
from spaces import Candidate, Configuration, ParameterSpace, SearchSpace

__all__ = ["completed_trials", "read_candidates"]

MUST_AGREE = ("data", "data_folder", "train_size", "image_size", "split_seed", "epochs", "evaluator")


def completed_trials(path: str | Path, spec: Spec) -> list[FrozenTrial]:
    """Another run's completed trials, as templates for a study of this one.

    Args:
        path: the other run's folder.
        spec: of this run.

    Raises:
        FolderError: it holds no run.
        SpecError: its data, recipe, evaluator or objectives are others; the message names them all.
    """
    folder = RunFolder(path)
    folder.check_run()
    other = Spec.read(folder.spec)
    pairs = {name: (getattr(other, name), getattr(spec, name)) for name in MUST_AGREE}
    pairs |= {name: (value, getattr(spec.recipe(), name)) for name, value in other.recipe().values().items()}
    pairs["objectives"] = (other.directions(), spec.directions())
    if differing := [f"{name} {was!r} there, {now!r} here" for name, (was, now) in pairs.items() if was != now]:
        raise SpecError(
            f"a warm start from {path} needs the same data and recipe; different: {'; '.join(differing)}",
            code="LS-WARM-START",
        )
    store = StudyStore(
        other.database_address() or folder.study,
        other.directions(),
        name=folder.facts().study or NAME,
        patience_s=spec.patience_s,
    )
    try:
        check_trials(store)
        return [_template(trial, folder) for trial in store.ended() if trial.state == TrialState.COMPLETE]
    finally:
        store.close()


def _template(trial: FrozenTrial, folder: RunFolder) -> FrozenTrial:
    """A trial without what belongs to its own study."""
    attributes = {
        name: value for name, value in trial.user_attrs.items() if name not in ("sampler", "token", "continues")
    }
    template = create_trial(
        state=trial.state, values=trial.values, params=trial.params, distributions=trial.distributions,
        user_attrs={**attributes, "warm_start": f"{folder.path}#{trial.number}"},
    )  # fmt: skip
    template.datetime_start, template.datetime_complete = trial.datetime_start, trial.datetime_complete
    return template


def read_candidates(path: str | Path, space: SearchSpace | ParameterSpace) -> tuple[Candidate | Configuration, ...]:
    """Candidates from a file: one JSON object a line, or one JSON list of them.

    Args:
        path: the file; an object has a candidate's fields, or a configuration's parameters.
        space: tells which of the two.

    Raises:
        SpecError: the file cannot be read, or an object is not a candidate; the message says which one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise SpecError(f"{path} cannot be read: {reason}", code="LS-CANDIDATES-FILE") from None
    found = []
    for place, values in _objects(text, path):
        try:
            found.append(_candidate(values, space))
        except LeniSearchError as error:
            raise SpecError(f"{path}, {place}: {error}", code=error.code) from None
    if not found:
        raise SpecError(f"{path} holds no candidate: it should have one JSON object a line", code="LS-CANDIDATES-FILE")
    return tuple(found)


def _objects(text: str, path: str | Path) -> Iterator[tuple[str, Any]]:
    """(where, object) for each of a file."""
    if text.lstrip().startswith("["):
        yield from ((f"item {index}", values) for index, values in enumerate(_json(text, path, "the list"), start=1))
        return
    for index, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"line {index}", _json(line, path, f"line {index}")


def _json(text: str, path: str | Path, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SpecError(f"{path}, {place} is not JSON: {error}", code="LS-CANDIDATES-FILE") from None


def _candidate(values: Any, space: SearchSpace | ParameterSpace) -> Candidate | Configuration:
    if not isinstance(space, ParameterSpace):
        return Candidate.from_dict(values)
    if isinstance(values, Mapping) and set(values) == {"parameters"}:
        return Configuration.from_dict(values)
    return Configuration.from_dict({"parameters": values})
