"""Parameters that a running trial declares, in a define-by-run space: each is asked of the sampler's own trial.

As in Optuna, a parameter is sampled when it is first asked for, by a trial that may have others already.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import Trial

from search.engine.asked import Asked
from spaces import Configuration

__all__ = ["Suggesting"]


class Suggesting:
    """The trials of a sampler's study that are asked for parameters while they run.

    Args:
        study: the sampler's.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self.open: dict[int, Trial] = {}

    def suggest(self, asked: Asked, name: str, distribution: BaseDistribution) -> tuple[Any, Asked]:
        """The value of a parameter.

        Args:
            asked: what the trial has been asked so far.
            name: of the parameter.
            distribution: of its values.

        Returns:
            The value, and what has been asked now.

        Raises:
            ValueError: the parameter has been declared with other values before; as Optuna has it.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            value = _suggested(self._trial(asked), name, distribution)
        parameters = {**asked.parameters, name: value}
        return value, replace(
            asked,
            candidate=Configuration(tuple((key, _plain(one)) for key, one in parameters.items())),
            parameters=parameters,
            distributions={**asked.distributions, name: distribution},
        )

    def close(self, asked: Asked) -> None:
        """A trial is over."""
        self.open.pop(-1 if asked.trial is None else asked.trial, None)

    def _trial(self, asked: Asked) -> Trial:
        """The sampler's trial; of a search that was resumed, one that goes on where its parameters end."""
        if asked.trial is None:
            raise ValueError("the sampler does not know of this trial")
        if asked.trial not in self.open:
            storage, study_id = self.study._storage, self.study._study_id
            trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, asked.trial)
            self.open[asked.trial] = Trial(self.study, trial_id)
        return self.open[asked.trial]


def _suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """What Optuna's own trial gives."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    raise ValueError(f"{name} has a distribution of an unknown kind, {type(distribution).__name__}")


def _plain(value: Any) -> str | bool | int | float:
    """A choice as a record can hold it: Optuna's may also be None, or lists."""
    return value if isinstance(value, (str, bool, int, float)) else str(value)
