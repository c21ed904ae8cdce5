"""One result of several calls of a user's function, one call per seed: the means over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from leni.errors import EvaluationError
from search.training.metrics import Returned
from search.training.replicas import deviation

__all__ = ["mean_metrics"]


def mean_metrics(found: Sequence[Returned], counts: Sequence[str], path: str) -> dict[str, Any]:
    """One call's metrics as they are; of several the means, and the standard deviation of the accuracy.

    Raises:
        EvaluationError: one call counted other parameters or multiply-adds than another.
    """
    if len(found) == 1:
        return {**found[0].values, **found[0].ours}
    for name in counts:
        if len({call.values.get(name) for call in found}) > 1:
            shown = ", ".join(str(call.values.get(name)) for call in found)
            raise EvaluationError(
                f"{path} must return the same metrics and counts with each seed, got {name} {shown}",
                code="LS-EVALUATION-METRICS",
            )
    names = dict.fromkeys(name for call in found for name in call.values)
    metrics: dict[str, Any] = {name: _mean([call.values.get(name) for call in found]) for name in names}
    metrics |= {"seeds": len(found), **{name: value for name, value in found[0].ours.items() if name == "epochs"}}
    if all(call.values.get("accuracy") is not None for call in found):
        accuracies = [call.values["accuracy"] for call in found]
        metrics |= {"accuracy_std": deviation(accuracies), "accuracies": accuracies}
    return metrics


def _mean(values: Sequence[Any]) -> Any:
    """The mean of numbers, None where one is missing; what all seeds agree in as it is, else a list, one a seed."""
    if all(value == values[0] and type(value) is type(values[0]) for value in values[1:]):
        return values[0]
    numbers = [math.nan if value is None else value for value in values]
    if not all(isinstance(number, (bool, int, float)) for number in numbers):
        return list(values)
    mean = sum(numbers) / len(numbers)  # fmean refuses infinities of both signs
    return None if math.isnan(mean) else mean
