"""The state of a user's function between two processes: what it has reported, and its own checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from results.text import readable
from search.training.evaluation import Point
from search.training.metrics import Returned

__all__ = ["FunctionState", "Keeper"]

SHARE = 10  # keeping takes at most a tenth of the time


@dataclass
class FunctionState:
    """A trial of a user's function in its course; of numbers, texts and tensors.

    Attributes:
        curve: as `Evaluation.curve`.
        notes: likewise.
        found: what came of the seeds that are over.
        reports: of the seed that goes on, `Reports.state_dict`; None between two seeds.
        checkpoint: its checkpoint, `user_checkpoint.packed`; likewise.
    """

    curve: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: list[Returned] = field(default_factory=list)
    reports: Mapping[str, Any] | None = None
    checkpoint: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> FunctionState:
        """The state that `to_dict` gave.

        Raises:
            KeyError, TypeError: it is of another form.
        """
        found = [Returned(one["values"], one["ours"], one["notes"]) for one in state["found"]]
        return cls(list(state["curve"]), list(state["notes"]), found, state["reports"], state["checkpoint"])

    def to_dict(self) -> dict[str, Any]:
        """As data."""
        return {**vars(self), "found": [vars(one) for one in self.found]}


class Keeper:
    """Writes states, and not so often that it takes more than a small part of the time.

    Args:
        write: writes one.
        every_s: seconds after which the next is written, however long one takes.
    """

    def __init__(self, write: Callable[[Mapping[str, Any]], None], *, every_s: float) -> None:
        self.write, self.every_s = write, every_s
        self.due_at = 0.0

    def due(self) -> bool:
        """Whether the last state is long enough ago."""
        return time.monotonic() >= self.due_at

    def keep(self, state: Callable[[], Mapping[str, Any]]) -> str:
        """Make and write a state; why it could not be, empty where it could."""
        started = time.monotonic()
        try:
            self.write(state())
            why = ""
        except (OSError, TypeError, ValueError) as error:
            why = readable(" ".join(str(error).split()), 300)
        ended = time.monotonic()
        self.due_at = ended + min(self.every_s, SHARE * (ended - started))
        return why
