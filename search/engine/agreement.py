"""Whether what was known of a trial before it began is what came out of it.

The sampler, the limits and the pruner went by the known value, so it stays the trial's value; what a function returns
under the same name is checked against it. Where the two differ by more than rounding, the trial has both: the returned
one in the column `measured_NAME`, and a note of the run says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from results.names import metric_column, plain_name
from spaces import Candidate, Configuration

__all__ = ["agreed"]

COUNTS = ("params", "macs")  # of a network, which a user's function may build otherwise: its count replaces ours
ROUNDING = 1e-6  # relative


def agreed(
    candidate: Candidate | Configuration, costs: Mapping[str, float], metrics: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Metrics in which known costs are as they were known, and what there is to say of it.

    Args:
        candidate: that was evaluated.
        costs: known before, by column.
        metrics: that came out, by column.

    Example:
        >>> agreed(Configuration((("width", 2),)), {"params": 36}, {"params": 40, "loss": 0.5})[0]
        {'loss': 0.5, 'measured_params': 40}
    """
    kept, notes = dict(metrics), []
    for column in costs:
        if column not in metrics or (isinstance(candidate, Candidate) and column in COUNTS):
            continue
        measured, known, name = kept.pop(column), costs[column], plain_name(column)
        if isinstance(measured, (int, float)) and math.isclose(measured, known, rel_tol=ROUNDING):
            continue
        kept[metric_column(f"measured_{name}")] = measured
        notes.append(
            f"{name} was known to be {known:g} before a trial that returned {measured!r}: the known value is kept, the "
            f"returned one is in the column measured_{name}"
        )
    return kept, tuple(notes)
