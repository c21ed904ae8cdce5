"""Which kind of function an evaluator is, and how it is called as one of ours: function(config, report).

| kind | what it looks like |
|---|---|
| ours | `function(config, report)` |
| Ray's | `function(config)`, which reports by `ray.tune.report`; or a subclass of `ray.tune.Trainable` |
| Optuna's | `function(trial)`, in a define-by-run space |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from ray.tune import Trainable

from search.execute.optuna_objectives import SuggestedTrial, call_objective
from search.execute.ray_functions import call_ray_function, call_trainable
from search.training.reporter import Reporter

__all__ = ["Surrounding", "as_ours", "takes_report"]


@dataclass(frozen=True)
class Surrounding:
    """What a call of another library's function needs beside its configuration.

    Attributes:
        number: of the trial.
        parameters: what the space asks for, and nothing else.
        objectives: names, in the order of the spec.
        steps: of a class trainable, at most.
        checkpoint_s: seconds between two checkpoints of a class trainable, at least.
        ask: gives the value of a parameter by name and distribution, in a define-by-run space; None in any other.
    """

    number: int
    parameters: Mapping[str, Any]
    objectives: tuple[str, ...]
    steps: int
    checkpoint_s: float
    ask: Callable[[str, BaseDistribution], Any] | None = None


def as_ours(function: Callable[..., Any], around: Surrounding) -> Callable[[Mapping[str, Any], Reporter], Any]:
    """A function of any kind as function(config, report)."""
    if around.ask is not None:
        ask = around.ask

        def objective(config: Mapping[str, Any], report: Reporter) -> Any:
            trial = SuggestedTrial(around.number, ask, report, around.objectives)
            return call_objective(function, trial, around.objectives)

        return objective
    if inspect.isclass(function) and issubclass(function, Trainable):
        kind: type[Trainable] = function
        return lambda config, report: call_trainable(
            kind, around.parameters, report,
            steps=around.steps, checkpoint_s=around.checkpoint_s,
        )  # fmt: skip
    if not takes_report(function):
        return lambda config, report: call_ray_function(function, around.parameters, report, number=around.number)
    return function


def takes_report(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with two arguments, a configuration and a report."""
    try:
        inspect.signature(function).bind({}, None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say
        return True
    return True
