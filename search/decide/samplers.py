"""Samplers by name: Optuna's, and two of ours.

| name       | what decides                                                                                       |
|------------|----------------------------------------------------------------------------------------------------|
| known-cost | expected hypervolume improvement, known costs exact: `known_cost.py`                               |
| gp         | the same with nothing known; Optuna's GPSampler takes seconds for an answer at a hundred trials    |
| tpe        | Optuna's TPESampler, multivariate; beyond TPE_TRIALS it sees a part of the history: `bounded.py`   |
| nsga2      | Optuna's NSGAIISampler; nsga3: NSGAIIISampler                                                      |
| qmc        | Optuna's QMCSampler, a scrambled Sobol sequence                                                    |
| random     | Optuna's RandomSampler                                                                             |
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from leni.errors import SpecError
from search.decide.bounded import BoundedSampler
from search.decide.known_cost.knowledge import Knowledge
from search.decide.known_cost.sampler import KnownCostSampler

__all__ = ["HINTED", "SAMPLERS", "default_sampler", "sampler"]

POPULATION = 20  # of the genetic samplers: Optuna's 50 is more than many a search has trials
TPE_TRIALS = 800  # completed trials that TPE is shown at most: see bounded.py


def _known_cost(seed: int, knowledge: Knowledge) -> BaseSampler:
    return KnownCostSampler(
        knowledge.costs,
        seed=seed,
        candidates=knowledge.candidates,
        distributions=knowledge.distributions,
        bounds=knowledge.bounds,
        logarithmic=knowledge.logarithmic,
        hints=knowledge.hints,
        counted=knowledge.counted,
        conditions=knowledge.conditions,
    )


SAMPLERS: Mapping[str, Callable[[int, Knowledge], BaseSampler]] = {
    "known-cost": _known_cost,
    "tpe": lambda seed, _: BoundedSampler(
        TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True), limit=TPE_TRIALS
    ),
    "nsga2": lambda seed, _: NSGAIISampler(seed=seed, population_size=POPULATION),
    "nsga3": lambda seed, _: NSGAIIISampler(seed=seed, population_size=POPULATION),
    "gp": lambda seed, knowledge: _known_cost(seed, replace(knowledge, costs={}, counted=None)),
    "qmc": lambda seed, _: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    "random": lambda seed, _: RandomSampler(seed=seed),
}
"""Name -> factory of (seed, knowledge), which Optuna's own have no use for."""


HINTED = ("known-cost", "gp")
"""Names of the samplers that make use of hints."""


def default_sampler(*, known: bool, hinted: bool = False) -> str:
    """The name of the sampler that a search gets unless another is asked for.

    Args:
        known: whether any objective is known before a trial runs.
        hinted: whether there are hints.
    """
    return "known-cost" if known else "gp" if hinted else "tpe"


def sampler(name: str, *, seed: int, knowledge: Knowledge | None = None) -> BaseSampler:
    """An Optuna sampler by name.

    Args:
        name: one of SAMPLERS.
        seed: of its randomness.
        knowledge: what is known before the first trial, for known-cost and gp; without it nothing is.

    Raises:
        SpecError: there is no sampler of this name.
    """
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpecError(
            f"there is no sampler {name!r}; {hint}samplers are {', '.join(SAMPLERS)}", code="LS-SAMPLER-UNKNOWN"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed, knowledge or Knowledge())
