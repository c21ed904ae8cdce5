"""What a run's sampler is told of candidates before the first trial: earlier runs' results, and measured proxies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from leni.errors import SpecError
from search.decide.known_cost.estimates import FEWEST, Estimate
from search.decide.known_cost.hints import Hint
from search.decide.samplers import sampler
from search.engine.asker import Asked, Asker
from search.spec import Spec
from search.store.folder import RunFolder
from search.store.trial_checks import check_trials
from search.store.trials import NAME, StudyStore
from search.training.data import Data
from search.training.proxies import measure

__all__ = ["prior_hints", "proxy_hints"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
MEASURED = 64  # candidates whose proxies are measured, 5 to 30 ms each; those of all others are estimated


def prior_hints(spec: Spec, *, known: Collection[str]) -> list[Hint]:
    """What earlier runs tell: an estimate of each objective that both runs have and neither knows before a trial.

    Args:
        spec: of this run; the earlier ones may have other data, another recipe and other objectives beside.
        known: columns of objectives that are known before a trial.

    Raises:
        FolderError: a folder holds no run.
        SpecError: an earlier run has no such objective, no dimension of this space, or too few completed trials.
    """
    hints = []
    for path in spec.prior:
        directions, trials = _completed(path, spec)
        own = _distributions(spec)
        common = sorted({name for trial in trials for name in trial.params} & own.keys())
        shared = [
            (index, name)
            for index, (name, direction) in enumerate(spec.directions().items())
            if name not in known and directions.get(name) == direction
        ]
        if not shared:
            raise SpecError(
                f"the earlier run {path} has the objectives {', '.join(directions)}, none of which this run measures",
                code="LS-PRIOR",
            )
        if not common or len(trials) < FEWEST:
            raise SpecError(
                f"the earlier run {path} must have at least {FEWEST} completed trials over dimensions of this space, "
                f"{', '.join(own)}, got {len(trials) if common else 0}",
                code="LS-PRIOR",
            )
        distributions = {name: _joined(own[name], trials, name) for name in common}
        for index, name in shared:
            values = np.array([trial.values[list(directions).index(name)] for trial in trials])
            told: tuple[Sequence[Parameters], Array] = [trial.params for trial in trials], values
            hints.append(Hint(f"{name} of {path}", index, Estimate(distributions, partial(_given, told))))
    return hints


def _completed(path: Path, spec: Spec) -> tuple[dict[str, str], list[FrozenTrial]]:
    """Another run's objectives with their directions, and its completed trials that lie in its space."""
    folder = RunFolder(path)
    folder.check_run()
    other = Spec.read(folder.spec)
    address, name = other.database_address() or folder.study, folder.facts().study or NAME
    store = StudyStore(address, other.directions(), name=name, patience_s=spec.patience_s)
    try:
        check_trials(store)
        ended = [trial for trial in store.ended() if trial.state == TrialState.COMPLETE and trial.params]
    finally:
        store.close()
    return other.directions(), ended


def _distributions(spec: Spec) -> dict[str, BaseDistribution]:
    """The distributions of this run's dimensions."""
    dimensions = spec.search_space().dimensions()
    return {name: found for name, one in dimensions.items() if (found := one.distribution()) is not None}


def _joined(own: BaseDistribution, trials: Sequence[FrozenTrial], name: str) -> BaseDistribution:
    """A distribution that also holds the choices of an earlier run; numbers of another range are taken as they are."""
    others = [trial.distributions[name] for trial in trials if name in trial.distributions]
    theirs = [choice for one in others if isinstance(one, CategoricalDistribution) for choice in one.choices]
    if isinstance(own, CategoricalDistribution):
        return CategoricalDistribution(tuple(dict.fromkeys([*own.choices, *theirs])))
    return CategoricalDistribution(tuple(dict.fromkeys(theirs))) if theirs else own


def _given(told: tuple[Sequence[Parameters], Array]) -> tuple[Sequence[Parameters], Array]:
    return told


def proxy_hints(spec: Spec, data: Data, *, check: Callable[[Any], Any]) -> list[Hint]:
    """What proxies tell, measured at the sampler's first question of MEASURED random candidates.

    Args:
        spec: of the run.
        data: that it trains on.
        check: raises CandidateError for a candidate that cannot be built, or is refused.
    """
    if not spec.proxies:
        return []
    index = list(spec.directions()).index("accuracy")
    distributions = _distributions(spec)

    @cache
    def measured() -> tuple[list[Parameters], dict[str, Array]]:
        asked = _random_candidates(spec, check)
        rows = [measure(one.candidate, data, spec.proxies) for one in asked]  # type: ignore[arg-type]
        return [dict(one.parameters) for one in asked], {
            name: np.array([row[name] for row in rows]) for name in spec.proxies
        }

    def of(name: str) -> tuple[list[Parameters], Array]:
        candidates, values = measured()
        return candidates, values[name]

    return [Hint(name, index, Estimate(distributions, partial(of, name))) for name in spec.proxies]


def _random_candidates(spec: Spec, check: Callable[[Any], Any]) -> list[Asked]:
    """Different candidates of the space, the same in every run of the spec."""
    asker = Asker(
        spec.search_space(), sampler("random", seed=spec.seed), directions=["maximize"], seed=spec.seed, check=check
    )
    asked = (asker.ask() for _ in range(MEASURED))
    return [one for one in asked if one is not None]
