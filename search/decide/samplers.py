"""Optuna's samplers, and ours, by name."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from leni.errors import SpecError

__all__ = ["SAMPLERS", "sampler"]

POPULATION = 20  # of the genetic samplers: Optuna's 50 is more than many a search has trials

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
    "nsga3": lambda seed: NSGAIIISampler(seed=seed, population_size=POPULATION),
    "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "qmc": lambda seed: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    "random": lambda seed: RandomSampler(seed=seed),
}


def sampler(name: str, *, seed: int) -> BaseSampler:
    """An Optuna sampler by name.

    Raises:
        SpecError: there is none of this name.
    """
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpecError(f"there is no sampler {name!r}; {hint}samplers are {', '.join(SAMPLERS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed)
