"""A trial of a run, to be trained again: its spec, its record, its candidate, on its data and threads.

A search keeps no weights, and needs none: on the CPU a training is a function of candidate, data, recipe, seeds and
torch's thread count, all of which the run's folder has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import results
from leni.errors import CandidateError, FolderError, SpecError
from search.spec import Spec
from search.store.folder import RunFolder
from search.training.given_functions import label_of
from spaces import Candidate

__all__ = [
    "epoch_bars",
    "keyed",
    "recorded_candidate",
    "recorded_row",
    "threads",
    "trained_record",
    "trained_spec",
]


def trained_spec(place: RunFolder) -> Spec:
    """The run's spec, which must be of a training.

    Raises:
        FolderError: there is no spec.
        SpecError: trials are calls of a user's function.
    """
    if not place.spec.is_file():
        raise FolderError(f"{place.path} has no spec.toml, which every run's folder has", code="LS-FOLDER-NO-RUN")
    spec = Spec.read(place.spec)
    if spec.evaluator:
        raise SpecError(
            f"{place.spec}: trials are calls of {label_of(spec.evaluator)!r}, the evaluator; there is no network to "
            "train"
        )
    return spec


def recorded_row(run: results.Run, number: int) -> dict[str, Any]:
    """A trial's record, without the columns that have nothing for it.

    Raises:
        FolderError: there is no such trial.
    """
    rows = run.trials[run.trials["number"] == number]
    if rows.empty:
        numbers = run.trials["number"]
        known = f"its trials are {numbers.min()} to {numbers.max()}" if len(numbers) else "it has none"
        raise FolderError(f"{run.folder} has no trial {number}; {known}", code="LS-TRIAL")
    return {str(name): value for name, value in rows.iloc[0].items() if not pd.isna(value)}


def trained_record(run: results.Run, number: int) -> dict[str, Any]:
    """The record of a trial in which something was trained.

    Raises:
        FolderError: there is no such trial, or nothing was trained in it.
    """
    record = recorded_row(run, number)
    if record["state"] not in ("completed", "stopped"):
        reason = f" ({record['error']})" if record.get("error") else ""
        raise FolderError(
            f"trial {number} of {run.folder} is {record['state']}{reason}, so there is no network of it; "
            "take a completed one",
            code="LS-TRIAL",
        )
    return record


def recorded_candidate(record: Mapping[str, Any]) -> Candidate:
    """The candidate of a record, from its column `candidate`.

    Records of schema version 1 have no such column; their candidate is made from the columns of its fields, and an
    option without a column has its default.

    Raises:
        CandidateError: the record is of no network, or of one that cannot be built.
    """
    text = record.get("candidate")
    if isinstance(text, str):
        return Candidate.from_json(text)
    given = {name: value for name, value in record.items() if not pd.isna(value)}
    if missing := [name for name in ("backbone", "widths", "activation") if name not in given]:
        raise CandidateError(f"trial {given['number']} has no candidate to build: {', '.join(missing)} missing")
    return Candidate.from_columns({name: _plain(value) for name, value in given.items()})


def keyed(trials: pd.DataFrame) -> pd.DataFrame:
    """Records with their candidate as JSON, in a column of its own; those without one are left out."""
    texts: list[Any] = []
    for record in trials.to_dict("records"):
        try:
            texts.append(recorded_candidate({str(name): value for name, value in record.items()}).to_json())
        except CandidateError:
            texts.append(pd.NA)
    return trials.assign(candidate=texts).dropna(subset="candidate")


def _plain(value: Any) -> Any:
    """A cell of a frame as Python has it."""
    return value.item() if hasattr(value, "item") else value


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch's threads, which the numbers depend on, as many as a trial had."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def epoch_bars(console: Console | None, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each training; `watch(name, epochs done, epochs in all)` moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"))
    bars = Progress(*columns, TimeRemainingColumn(), console=console or Console(stderr=True), disable=quiet)
    tasks: dict[str, Any] = {}

    def watch(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done)

    with bars:
        yield watch
