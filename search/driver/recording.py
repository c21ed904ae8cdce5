"""Records on disk while a run is in progress: trials.parquet and curves.parquet, written from the study."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import results
from search.engine.asker import Point
from search.store.folder import RunFolder
from search.store.outcome import Outcome
from search.store.trials import StudyStore

__all__ = ["RecordWriter"]

EVERY_S = 5.0
SHARE = 20  # writing takes at most a twentieth of the time


class RecordWriter:
    """Writes the records now and then, and at the end."""

    def __init__(self, store: StudyStore, folder: RunFolder) -> None:
        self.store, self.folder = store, folder
        self.due = time.monotonic() + EVERY_S

    def begun(self, number: int, candidate: Point) -> None:
        """Nothing to write yet."""

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """Nothing to write yet."""

    def ended(self, number: int, candidate: Point, costs: Mapping[str, float], outcome: Outcome) -> None:
        """A trial is over: write, if the last time is long enough ago."""
        started = time.monotonic()
        if started < self.due:
            return
        with contextlib.suppress(OSError):  # a disk that is full now: the study has it all, and the end writes again
            self.write()
        self.due = time.monotonic() + max(EVERY_S, SHARE * (time.monotonic() - started))

    def write(self) -> None:
        """Write trials.parquet and curves.parquet from the study.

        Raises:
            OSError: they cannot be written; what was there before is untouched.
        """
        results.write(results.to_frame(self.store.records()), self.folder.trials)
        results.write(results.to_curves(self.store.curves()), self.folder.curves)
