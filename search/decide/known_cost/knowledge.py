"""What a sampler may be told before the first trial: the known costs, and which candidates there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial

from leni.errors import LeniSearchError
from search.decide.known_cost.hints import Hint
from spaces.walk import WalkedSpace

__all__ = ["Knowledge", "SpaceConditions", "SpaceCost", "knowledge_of"]

Parameters = Mapping[str, Any]
LISTED = 20_000  # candidates of a space that are listed before the first trial, which takes up to two seconds
REMEMBERED = 10_000  # combinations of deciding values whose parameters are kept
COUNTED = 4  # networks whose costs are counted in one ask; each takes 30 to 100 ms


@dataclass(frozen=True)
class Knowledge:
    """See the arguments of `KnownCostSampler`, which have the same names.

    Attributes:
        costs: index of an objective -> its value for a trial's parameters, NaN where they are impossible.
        candidates: parameters of every candidate there is, None where they are not listed.
        distributions: of the parameters, by name.
        bounds: index of an objective -> (least, greatest) value of interest.
        logarithmic: indices of the known costs that count by their logarithm; None for a rule.
        hints: what may tell of uncertain objectives.
        counted: candidates whose costs are counted in one ask; None for all of them, where that is quick.
        conditions: of values for all parameters, those that exist; None where all do, or where it is not known.
    """

    costs: Mapping[int, Callable[[Parameters], float]] = field(default_factory=dict)
    candidates: Sequence[Parameters] | None = None
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)
    bounds: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    logarithmic: Collection[int] | None = None
    hints: Sequence[Hint] = ()
    counted: int | None = None
    conditions: Callable[[Parameters], dict[str, Any]] | None = None


@dataclass(frozen=True)
class SpaceConditions:
    """Which parameters exist, according to a space's own conditions.

    Attributes:
        space: of the candidates.
        names: of the parameters that exist, by the values of those that decide; filled while it is used.
    """

    space: WalkedSpace[Any]
    names: dict[tuple[Any, ...], frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters that the space asks for, from values for all of them."""
        deciding = [parameters.get(name) for name in sorted(self.space.deciders())]
        key = tuple((type(value), value) for value in deciding)  # True is not 1
        if key not in self.names:
            if len(self.names) >= REMEMBERED:  # a number without steps decides
                self.names.clear()
            trial = FixedTrial(dict(parameters))
            with suppress(
                LeniSearchError, ValueError
            ):  # it cannot be built, or lacks a parameter: as far as it was asked
                self.space.suggest(trial)
            self.names[key] = frozenset(trial.params)
        return {name: value for name, value in parameters.items() if name in self.names[key]}


@dataclass(frozen=True)
class SpaceCost:
    """One known cost of a space's candidate, as a function of a trial's parameters.

    Attributes:
        space: of the candidates.
        count: of a candidate, every known cost by name; LeniSearchError where it cannot be built or is refused.
        name: of the cost.
    """

    space: WalkedSpace[Any]
    count: Callable[[Any], Mapping[str, float]]
    name: str

    def __call__(self, parameters: Parameters) -> float:
        """The cost; NaN where there is no such candidate."""
        try:
            return float(self.count(self.space.suggest(FixedTrial(dict(parameters))))[self.name])
        except (LeniSearchError, ValueError):  # ValueError: FixedTrial lacks a parameter that the walk asks for
            return float("nan")


def knowledge_of(
    space: WalkedSpace[Any],
    objectives: Sequence[str],
    *,
    known: Collection[str],
    count: Callable[[Any], Mapping[str, float]],
    bounds: Mapping[str, tuple[float, float]] | None = None,
    quick: bool = False,
) -> Knowledge:
    """What there is to know of a search space.

    Args:
        space: where candidates come from.
        objectives: names, in the study's order.
        known: names of the objectives that `count` gives.
        count: of a candidate, its known costs by name; it raises LeniSearchError for one that is impossible or refused.
        bounds: by name of an objective, (least, greatest) value of interest.
        quick: whether `count` takes microseconds, so that the costs of every candidate of an ask are counted.
    """
    costs = {index: SpaceCost(space, count, name) for index, name in enumerate(objectives) if name in known}
    dimensions = space.dimensions()
    distributions = {name: found for name, values in dimensions.items() if (found := values.distribution()) is not None}
    candidates = None
    if all(values.values() is not None for values in dimensions.values()):
        listed = list(islice(space.candidates(), LISTED + 1))
        if len(listed) <= LISTED:
            found_parameters = (space.parameters(candidate) for candidate in listed)
            candidates = [found[0] for found in found_parameters if found is not None]
    limits = {index: (bounds or {})[name] for index, name in enumerate(objectives) if name in (bounds or {})}
    return Knowledge(
        costs,
        candidates,
        distributions,
        limits,
        counted=None if quick else COUNTED,
        conditions=SpaceConditions(space) if space.deciders() else None,
    )
