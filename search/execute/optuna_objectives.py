"""Optuna objectives as evaluators: `def objective(trial)`, unchanged, with our engine behind `trial.suggest_*`.

Each suggestion is asked of the engine's own sampler while the function waits, so the space is what the function
declares. `trial.report` and `trial.should_prune` work for any number of objectives, which Optuna's own do for one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.trial import BaseTrial

from leni.errors import EvaluationError
from search.training.reporter import Reporter, TrialStopped

__all__ = ["SuggestedTrial", "call_objective"]


class SuggestedTrial(BaseTrial):
    """What an objective gets in place of `optuna.Trial`.

    Args:
        number: of the trial.
        ask: gives the value of a parameter by name and distribution.
        report: takes intermediate values, and knows whether the trial is to stop.
        objectives: names, in the order in which the function returns their values.
    """

    def __init__(
        self,
        number: int,
        ask: Callable[[str, BaseDistribution], Any],
        report: Reporter,
        objectives: Sequence[str],
    ) -> None:
        self._number, self._ask, self._report, self._objectives = number, ask, report, tuple(objectives)
        self._params: dict[str, Any] = {}
        self._distributions: dict[str, BaseDistribution] = {}
        self._user_attrs: dict[str, Any] = {}
        self._constraints: dict[str, float] = {}
        self._started = datetime.datetime.now()

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number in [low, high]; as `optuna.Trial.suggest_float`."""
        value: float = self._suggest(name, FloatDistribution(low, high, log=log, step=step))
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number in [low, high]; as `optuna.Trial.suggest_int`."""
        return int(self._suggest(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices; as `optuna.Trial.suggest_categorical`."""
        return self._suggest(name, CategoricalDistribution(choices))

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """As `suggest_float(name, low, high)`; deprecated in Optuna."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """As `suggest_float(name, low, high, log=True)`; deprecated in Optuna."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """As `suggest_float(name, low, high, step=q)`; deprecated in Optuna."""
        return self.suggest_float(name, low, high, step=q)

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        """The value of a parameter, the same each time that it is asked for."""
        if name in self._params:
            check_distribution_compatibility(self._distributions[name], distribution)
            return self._params[name]
        value = self._ask(name, distribution)
        self._params[name], self._distributions[name] = value, distribution
        return value

    def report(self, value: Any, step: int) -> None:
        """Report an intermediate value.

        Args:
            value: a number, which is the first objective's; a sequence with a number per objective, in their order; or
                a mapping of names to numbers.
            step: a whole number that grows.
        """
        if isinstance(value, Mapping):
            found: Mapping[str, Any] = value
        elif isinstance(value, Sequence) and not isinstance(value, str):
            found = dict(zip(self._objectives, value, strict=False))
        else:
            found = {self._objectives[0]: value}
        self._report.record(found, step=step)

    def should_prune(self) -> bool:
        """Whether the trial is to stop; an objective then raises `optuna.TrialPruned`."""
        self._report.told = self._report.told or self._report.stops
        return self._report.stops

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a value with the trial: a column of the records."""
        self._user_attrs[key] = value

    def set_constraint(self, key: str, value: float) -> None:
        """Keep how far a constraint is violated: a column of the records."""
        self._constraints[key] = value

    @property
    def params(self) -> dict[str, Any]:
        """What has been suggested so far, by name."""
        return dict(self._params)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of what has been suggested so far, by name."""
        return dict(self._distributions)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What `set_user_attr` has kept."""
        return dict(self._user_attrs)

    @property
    def constraints(self) -> dict[str, float]:
        """What `set_constraint` has kept."""
        return dict(self._constraints)

    @property
    def datetime_start(self) -> datetime.datetime:
        """When the trial began in this process."""
        return self._started

    @property
    def number(self) -> int:
        """The trial's number."""
        return self._number


def call_objective(objective: Callable[[Any], Any], trial: SuggestedTrial, objectives: Sequence[str]) -> dict[str, Any]:
    """Call an Optuna objective to its end.

    Args:
        objective: `function(trial)`, which returns a number, or a sequence with a number per objective.
        trial: what it gets.
        objectives: names, in the order of the values.

    Returns:
        The values by name, with what the function has kept as user attributes.

    Raises:
        TrialStopped: the function has raised `optuna.TrialPruned`.
        EvaluationError: it returned another number of values than there are objectives.
    """
    try:
        returned = objective(trial)
    except optuna.TrialPruned:
        raise TrialStopped from None
    kept = {**trial.user_attrs, **trial.constraints}
    if isinstance(returned, Mapping):
        return {**kept, **returned}
    values = list(returned) if isinstance(returned, Sequence) and not isinstance(returned, str) else [returned]
    if len(values) != len(objectives):
        raise EvaluationError(
            f"the objective returned {len(values)} values, and the run has {len(objectives)} objectives: "
            f"{', '.join(objectives)}",
            code="LS-EVALUATION-METRICS",
        )
    return {**kept, **dict(zip(objectives, values, strict=True))}
