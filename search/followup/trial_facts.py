"""What the records have of one trial: its parameters and metrics, and where it failed. Nothing is trained for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import results
from results.names import plain_name
from results.text import readable
from search.followup.recorded import recorded_row
from search.spec import Spec
from search.store.folder import RunFolder
from search.store.trial_output import output_tail

__all__ = ["TrialFacts", "trial_facts"]

LONGEST = 20_000  # bytes of a trial's output
APART = ("number", "state", "error", "traceback")


@dataclass(frozen=True)
class TrialFacts:
    """One trial's record.

    Attributes:
        number: of the trial.
        state: completed, stopped, failed, ...
        error: why it failed, one sentence; "" where it did not.
        traceback: where the exception was raised; "" where there was none.
        values: what else the record holds, by the user's own names.
        output: the end of what its function printed; "" where it printed nothing.
    """

    number: int
    state: str
    error: str
    traceback: str
    values: Mapping[str, Any]
    output: str = ""


def trial_facts(folder: str | Path, number: int) -> TrialFacts | None:
    """A trial's record, where that is all there is to see.

    Args:
        folder: of a run.
        number: of a trial of it.

    Returns:
        The record of an evaluator's trial, or of one that failed with a traceback; None where there is a network to
        train again, or nothing is known of the failure but its sentence.

    Raises:
        FolderError: there is no such trial, or no spec in the folder.
        RunUnreadable: there are no records in the folder.
    """
    place = RunFolder(folder)
    record = recorded_row(results.load(place.path), number)
    traceback = readable(str(record.get("traceback", "")))
    evaluated = place.spec.is_file() and Spec.read(place.spec).evaluator is not None
    if not evaluated and not (record["state"] == "failed" and traceback):
        return None
    values = {plain_name(name): _plain(value) for name, value in record.items() if name not in APART}
    output = output_tail(place.output(number), longest=LONGEST)
    return TrialFacts(number, str(record["state"]), readable(str(record.get("error", ""))), traceback, values, output)


def _plain(value: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
