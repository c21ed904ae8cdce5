"""Whether a study's trials are such as this program writes, before a run continues with somebody else's database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from leni.errors import LeniSearchError, StorageError
from search.store.trials import StudyStore, candidate_of

__all__ = ["check_trials"]

ASKED_EACH = 1000  # a sampler is asked some 25 times for one trial at most


def check_trials(store: StudyStore) -> None:
    """Read every trial once.

    Raises:
        StorageError: one of them is not what a run of this program writes.
    """
    try:
        trials = store.storage.get_all_trials(store.study_id, deepcopy=False)
    except (ValueError, TypeError, KeyError, AttributeError, LookupError, RecursionError) as error:
        raise StorageError(f"the study's trials cannot be read: {_line(error)}") from None
    for trial in trials:
        try:
            candidate_of(trial)
            _check(trial)
        except (LeniSearchError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StorageError(f"trial {trial.number} of the study is not what a run writes: {_line(error)}") from None
    try:
        store.records()
    except (LeniSearchError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(f"the study's results are not what a run writes: {_line(error)}") from None


def _check(trial: FrozenTrial) -> None:
    """Raise ValueError or TypeError where a trial's attributes are of other types than a run gives them."""
    seeds = trial.user_attrs.get("seeds", [])
    if not isinstance(seeds, list) or any(type(seed) is not int for seed in seeds):
        raise ValueError("seeds must be whole numbers")
    noted = _mapping(trial.user_attrs.get("sampler", {}), "sampler")
    asked = noted.get("asked", 0)
    if type(asked) is not int or not 0 <= asked <= ASKED_EACH * (trial.number + 1):
        raise ValueError(f"a sampler that was asked {asked!r} times")
    for name, cost in _mapping(trial.user_attrs.get("costs", {}), "costs").items():
        if type(cost) not in (int, float):
            raise ValueError(f"the cost {name} must be a number")
    result = trial.user_attrs.get("result")
    if result is None:
        return
    metrics, curve = _mapping(_mapping(result, "result")["metrics"], "metrics"), result["curve"]
    float(metrics.get("wall_s") or 0.0)
    if not isinstance(result["error"], str) or not isinstance(curve, list):
        raise ValueError("error must be a text, curve a list")
    for point in curve:
        if type(_mapping(point, "a point of a curve")["epoch"]) is not int:
            raise ValueError("an epoch must be a whole number")
        float(point.get("accuracy") or 0.0)
    if isinstance(told := metrics.get("accuracies"), str) and not isinstance(json.loads(told), list):
        raise ValueError("accuracies must be a list")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be an object, got {type(value).__name__}")
    return value


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
