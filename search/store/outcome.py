"""How a trial ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: completed, stopped or failed.
        metrics: what was measured, by column of the records: accuracy (0..1), epochs, seeds, wall_s, device, and what
            an evaluator adds.
        curve: one mapping per epoch (and seed): epoch, accuracy, loss, and seed.
        error: why it failed; empty otherwise.
        interrupted: whether it failed only because the run ended, so that a resumed run continues with it.
        evidence: what the sampler is told beside the values, by the names in `search.decide.known_cost.history`: what a
            stopped trial had reached, and the variance between the seeds of a completed one.
        notes: what of an evaluator's results no record can hold, one sentence each.
        traceback: where the exception was raised that it failed by; empty where there was none.
    """

    state: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    interrupted: bool = False
    evidence: Mapping[str, Sequence[float]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    traceback: str = ""
