"""Which columns of the records were chosen before training: the dimensions of the space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from results.fronts import DEFAULT_OBJECTIVES, Objectives, completed
from results.names import SCORES, training_columns
from results.schema import SCHEMA

__all__ = ["differs", "dimensions"]

MEASURED = frozenset(
    {"number", "state", "accuracy", "accuracy_std", "accuracies", "seeds", "epochs", "params", "macs", "wall_s",
     "device", "error", "traceback", "started_at", "candidate", "latency_ms", "peak_memory", "replicas",
     "test_accuracy", "test_accuracy_std", "test_accuracies", "run", *SCORES}
)  # fmt: skip
CHOSEN = (frozenset(column.name for column in SCHEMA) | {"frozen"}) - MEASURED  # an option younger than the schema


def dimensions(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, chosen: Sequence[str] | None = None
) -> list[str]:
    """Columns that were chosen before training and differ between completed trials.

    Args:
        records: one row per trial.
        objectives: columns that are not dimensions.
        chosen: what the run says was chosen; None where it does not say. Then these are of a network's candidate the
            columns that `results.SCHEMA` has for it, and of a user's own space every column that is no objective.
    """
    done = completed(records)
    own = "backbone" in done.columns and done["backbone"].notna().any()
    names = [str(name) for name in done.columns if name not in objectives]
    if chosen is not None:
        names = [name for name in names if name in chosen]
    else:
        known = CHOSEN | set(training_columns(names)) if own else CHOSEN
        names = [name for name in names if name not in MEASURED and (name in known) == bool(own)]
    return [name for name in names if differs(done[name])]


def differs(column: pd.Series[Any]) -> bool:
    """Whether a column has two values, missing ones apart."""
    return column.dropna().nunique() > 1
