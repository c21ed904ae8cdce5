"""What is known of a trial while it is evaluated: the same of a training of ours and of a user's function."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Evaluation", "Point"]

Point = dict[str, Any]


@dataclass
class Evaluation:
    """What is known of a trial so far.

    Attributes:
        curve: one item per epoch: "epoch", the values measured by then by column of the records (means over the
            seeds; None where there is none), and "seeds", one mapping per seed with "seed" and the same. A function is
            called with one seed after another; an item of a seed after the first has "later" set.
        metrics: by column of the records; "accuracies" is a list, one value per seed.
        notes: what of a function's results no record can hold, a sentence each.
    """

    curve: list[Point] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
