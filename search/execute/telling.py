"""What a tracker is told of a trial: parameters and metrics under the user's names, in the words of Ray's callbacks.

Ray's callbacks show a tracker the config and the results that Tune knows. `telling` makes of one of them a class that
shows what was tried (a network's fields, or a user's parameters), what is known of it before it is trained, and at its
end everything that was measured; and that never ends a search because a tracker does not answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from results.names import plain_name
from spaces import Candidate, Configuration

__all__ = ["telling", "told_config", "told_result"]

TUNES = frozenset({"config", "pid", "timestamp", "training_iteration", "timesteps_total", "time_total_s", "done"})
NOT_TOLD = ("ask", "curve", "reported", "metrics", "notes", "error")
LONGEST = 250  # characters of a name, and of a parameter's value


def told_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What was tried, by name: the candidate's fields or the user's parameters, and the seeds."""
    values = config["candidate"]
    candidate = (Configuration if "parameters" in values else Candidate).from_dict(values)
    known = {name: value for name, value in config.items() if name not in ("candidate", "costs")}
    told = {**known, **candidate.columns()}
    return {
        _name(name): value if isinstance(value, (bool, int, float)) else _text(value) for name, value in told.items()
    }


def told_result(config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Tune's result with every number that was measured under its own name; Tune's own names stay Tune's."""
    told = {name: value for name, value in result.items() if name not in NOT_TOLD}
    measured = {**dict(result.get("reported", ())), **dict(result.get("metrics", ()))}
    for column, value in {**config.get("costs", {}), **measured}.items():
        name = plain_name(column)
        if isinstance(value, (bool, int, float)):
            told[_name(f"metric/{name}" if name in TUNES else name)] = float(value)
    return told


def telling(base: type[Any]) -> Any:
    """One of Ray's logger callbacks as a class that tells so; `missed` of it has what went wrong, an entry each time.

    Args:
        base: a `LoggerCallback`.
    """
    missed: list[str] = []

    class Telling(base):
        """Tells a tracker of each trial, as its base does."""

        def __init__(self, *given: Any, **keys: Any) -> None:
            super().__init__(*given, **keys)
            self.missed = missed

        def log_trial_start(self, trial: Any) -> None:
            """A trial begins: its parameters."""
            _tell(missed, trial, super().log_trial_start, trial)

        def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
            """A trial has reported: its numbers."""
            _tell(missed, trial, super().log_trial_result, iteration, trial, told_result(trial.config, result))

        def log_trial_end(self, trial: Any, failed: bool = False) -> None:
            """A trial is over: whether it failed."""
            failed = failed or bool((trial.last_result or {}).get("error"))
            _tell(missed, trial, super().log_trial_end, trial, failed)

    return Telling


def _tell(missed: list[str], trial: Any, tell: Callable[..., None], *given: Any) -> None:
    """Tell a tracker while the trial's config is what the tracker is to see."""
    config, evaluated = trial.config, trial.evaluated_params
    trial.config = trial.evaluated_params = told_config(config)
    try:
        tell(*given)
    except Exception as error:  # noqa: BLE001 - a tracker raises whatever its server and its login make it raise
        missed.append(" ".join(str(error).split())[:300] or type(error).__name__)
    finally:
        trial.config, trial.evaluated_params = config, evaluated


def _name(text: str) -> str:
    """A name that every tracker takes."""
    return re.sub(r"[^\w\-. /]", "_", text)[:LONGEST] or "_"


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:LONGEST]
