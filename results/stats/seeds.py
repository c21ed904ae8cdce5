"""What the seeds of a record say: their accuracies one by one, or mean, spread and count where no more was kept."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import RecordError

__all__ = ["SeedMoments", "seed_accuracies", "seed_moments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeedMoments:
    """Mean (n,), standard deviation (n,) and number (n,) of the accuracies of each record's seeds.

    The deviation is NaN where there is one seed, or nothing is known of it; a number that is not known counts as 1.
    """

    mean: Floats
    std: Floats
    count: NDArray[np.int64]

    def pooled_variance(self) -> tuple[float, int]:
        """Variance within records, and its degrees of freedom; NaN and 0 where no record has two seeds."""
        known = np.isfinite(self.std) & (self.count > 1)
        freedom = int((self.count[known] - 1).sum())
        squares = float(((self.count[known] - 1) * self.std[known] ** 2).sum())
        return (squares / freedom, freedom) if freedom else (math.nan, 0)


def seed_accuracies(records: pd.DataFrame) -> Floats:
    """Accuracies seed by seed, in the order in which every trial of a run has them.

    Args:
        records: one row per trial; column accuracies has a JSON list, or is missing.

    Returns:
        (n, r): r is the most that a record has; what is missing is NaN.

    Raises:
        RecordError: a text is not a JSON list of numbers.
    """
    texts = records["accuracies"].astype(object) if "accuracies" in records.columns else [None] * len(records)
    rows = [_numbers(text, row) for row, text in enumerate(texts)]
    result = np.full((len(rows), max((len(row) for row in rows), default=0)), np.nan)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result


def seed_moments(records: pd.DataFrame) -> SeedMoments:
    """Mean, standard deviation and number of seeds per record; from accuracies, else accuracy, accuracy_std and seeds.

    Raises:
        RecordError: as `seed_accuracies`, or the records have no accuracy.
    """
    if "accuracy" not in records.columns:
        raise RecordError(f"records must have a column accuracy, they have {', '.join(map(str, records.columns))}")
    values = seed_accuracies(records)
    listed = np.isfinite(values).sum(axis=1) if values.size else np.zeros(len(records), dtype=np.int64)
    mean, std = _column(records, "accuracy"), _column(records, "accuracy_std")
    count = np.where(np.isnan(found := _column(records, "seeds")), 1, found).astype(np.int64)
    for row in np.flatnonzero(listed):
        present = values[row][np.isfinite(values[row])]
        mean[row], count[row] = present.mean(), len(present)
        std[row] = present.std(ddof=1) if len(present) > 1 else np.nan
    std[(count < 2) | (std < 0)] = np.nan
    return SeedMoments(mean, std, count)


def _numbers(text: Any, row: int) -> list[float]:
    """One record's list."""
    if text is None or text is pd.NA or (isinstance(text, float) and math.isnan(text)):
        return []
    try:
        values = json.loads(text) if isinstance(text, str) else list(text)
        return [math.nan if value is None else float(value) for value in values]
    except (TypeError, ValueError):
        raise RecordError(f"column accuracies must hold JSON lists of numbers, got {text!r} (row {row})") from None


def _column(records: pd.DataFrame, name: str) -> Floats:
    """A column as numbers, NaN where it or a value is missing."""
    if name not in records.columns:
        return np.full(len(records), np.nan)
    return np.array(pd.to_numeric(records[name]).to_numpy(dtype=np.float64, na_value=np.nan))
