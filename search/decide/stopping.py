"""Which training is stopped before its last epoch: stoppers by name, behind one protocol.

A stopper is a pure decision: no Ray, no files, no training, no clock, no randomness. It is told of every trial's begin,
of every epoch's reading and of the trial's end, and answers each reading with stop or go on. A stopper is rebuilt by
telling it the same things in the same order again, whatever it answers meanwhile.

| name        | what it compares                                                                       | where             |
|-------------|----------------------------------------------------------------------------------------|-------------------|
| improvement | what the trial can still be expected to add to the front, with what that would cost     | `improvement.py` |
| halving     | the trial's non-dominated rank among those that reached the same epoch                  | `halving.py`     |
| asha        | its accuracy alone: large networks survive, the rest of the front is lost               | `halving.py`     |
| none        | nothing: every training runs to its end                                                 |                   |
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from leni.errors import SpecError

__all__ = ["DEFAULT", "FROM_EPOCHS", "STOPPERS", "Stopper", "default_stopper", "stopper"]

DEFAULT = "improvement"
FROM_EPOCHS = 9  # shorter trainings are not stopped by default: there is little to save, and less to judge by


class Stopper(Protocol):
    """Decides, after each epoch of each trial, whether the trial is worth its remaining epochs."""

    def begin(self, number: int, costs: Sequence[float]) -> None:
        """A trial starts.

        Args:
            number: the study's, unique.
            costs: what is known of it before training, larger is worse (params, macs, ...); may be empty, and has the
                same length for every trial.
        """

    def report(self, number: int, epoch: int, value: float) -> bool:
        """One epoch's reading of the objective that has a curve.

        Args:
            number: of a trial that began.
            epoch: counted from 1; a trial's epochs come in order.
            value: the reading; NaN is worse than any other.

        Returns:
            True where the trial is to stop now; never at the last epoch.
        """

    def end(self, number: int, state: str) -> None:
        """A trial is over.

        Args:
            number: of a trial that began.
            state: "completed" (its curve becomes evidence), "stopped", or "failed" (its readings are forgotten).
        """
