"""What a report counts: hours, failures, and values as a reader wants them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from results.runs import STATES, Run

__all__ = ["Cost", "cell", "cost_of", "failures"]

SHARES = frozenset(
    {"accuracy", "accuracy_std", "searched", "validation", "test_accuracy", "test_low", "test_high", "optimism", "gain"}
)


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        name: of the run.
        span: wall hours from the first trial's start to the last one's end, pauses included.
        hours: hours of all trials, added up.
        gpu_hours: of those on GPUs, times the GPUs of a trial.
        states: trials by how they ended.
    """

    name: str
    span: float
    hours: float
    gpu_hours: float
    states: dict[str, int]

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {
            "of": self.name,
            "wall hours": f"{self.span:.3g}",
            "trial hours": f"{self.hours:.3g}",
            "GPU hours": f"{self.gpu_hours:.3g}",
            "trials": sum(self.states.values()),
            **self.states,
        }


def cost_of(name: str, run: Run, *, gpus: float = 1.0) -> Cost:
    """Hours and counts of a run; a trial without a wall time counts none.

    Args:
        name: of the run.
        run: what `results.load` gives.
        gpus: GPUs of a trial that was on one.
    """
    trials = run.trials
    seconds = trials["wall_s"].astype("Float64").fillna(0.0).astype(float)
    on_gpu = trials["device"].notna() & (trials["device"] != "cpu")
    counts = trials["state"].value_counts()
    starts = trials["started_at"]
    span = 0.0
    if starts.notna().any():
        ends = starts + pd.to_timedelta(seconds, unit="s")
        span = (ends.max() - starts.min()).total_seconds() / 3600
    return Cost(
        name,
        span,
        float(seconds.sum()) / 3600,
        gpus * float(seconds[on_gpu.to_numpy(dtype=bool)].sum()) / 3600,
        {state: int(counts.get(state, 0)) for state in STATES},
    )


def failures(trials: pd.DataFrame) -> pd.DataFrame:
    """Failed trials by reason: trials (a count), reason, numbers (the first of them)."""
    failed = trials[trials["state"] == "failed"]
    reasons = failed["error"].fillna("").replace("", "no reason was recorded")
    rows = []
    for reason, part in failed.groupby(reasons, sort=False):
        numbers = ", ".join(str(number) for number in part["number"].head(8))
        rows.append(
            {"trials": len(part), "reason": str(reason), "numbers": numbers + (", ..." if len(part) > 8 else "")}
        )
    rows.sort(key=lambda row: -int(str(row["trials"])))
    return pd.DataFrame(rows, columns=["trials", "reason", "numbers"])


def cell(name: str, value: Any) -> str:
    """A value as a reader wants it; nothing for a missing one."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if name in SHARES and isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, float) and "params" in name and abs(value) >= 100:
        return f"{value:,.0f}"
    if isinstance(value, int) or (isinstance(value, float) and value == round(value) and abs(value) >= 100):
        return f"{int(value):,}" if name not in ("number", "seed") else str(int(value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
