"""Candidates where a space cannot be listed: random ones, neighbours of good ones, crosses between them.

Parameters may be conditional. A space says on what (`Knowledge.conditions`). In plain Optuna, where nothing does,
`Conditions` learns it from the trials: a parameter that not every trial has exists where one categorical parameter has
certain values, if there is one that explains it; otherwise as in the trial that the candidate was made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.decide.known_cost.encoding import is_ordered

__all__ = ["Conditions", "closer", "draw", "propose", "shifted"]

Parameters = dict[str, Any]
NEAR, FAR = 0.03, 0.2  # standard deviations of a step, as a fraction of a number's range


def draw(distribution: BaseDistribution, generator: np.random.Generator) -> Any:
    """A random value; numbers uniform, on a log scale where the distribution is."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(generator.integers(len(distribution.choices)))]
    return _from_place(distribution, float(generator.random()))


def shifted(distribution: BaseDistribution, value: Any, generator: np.random.Generator, step: float) -> Any:
    """A value near another: a neighbouring number, another choice."""
    if isinstance(distribution, CategoricalDistribution):
        return _other_choice(distribution, value, generator)
    moved = _from_place(distribution, _place(distribution, value) + step * float(generator.standard_normal()))
    if moved == value and isinstance(distribution, (IntDistribution, FloatDistribution)) and distribution.step:
        way = distribution.step * (1 if generator.random() < 0.5 else -1)
        moved = type(value)(min(max(value + way, distribution.low), distribution.high))
    return moved


def _other_choice(distribution: CategoricalDistribution, value: Any, generator: np.random.Generator) -> Any:
    """Another choice; of numbers, half of the time the next one up or down."""
    choices = distribution.choices
    if len(choices) < 2:
        return value
    place = next((i for i, choice in enumerate(choices) if choice is value or choice == value), 0)
    if is_ordered(choices) and generator.random() < 0.5:
        order = sorted(range(len(choices)), key=lambda i: float(choices[i]))  # type: ignore[arg-type]
        rank = order.index(place) + (1 if generator.random() < 0.5 else -1)
        if 0 <= rank < len(order):
            return choices[order[rank]]
    other = int(generator.integers(len(choices) - 1))
    return choices[other + (other >= place)]


def _place(distribution: BaseDistribution, value: float) -> float:
    """Where a number is between low and high, 0..1."""
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def _from_place(distribution: BaseDistribution, place: float) -> Any:
    """The number at a place, on a step of the distribution; places beyond the ends are mirrored."""
    if not isinstance(distribution, (IntDistribution, FloatDistribution)):
        raise TypeError(f"a distribution must be categorical, int or float, got {distribution!r}")
    place = abs(place) % 2.0
    place = 2.0 - place if place > 1.0 else place
    low, high, whole = distribution.low, distribution.high, isinstance(distribution, IntDistribution)
    if distribution.log:
        edge = 0.5 if whole else 0.0
        low_log, high_log = math.log(low - edge), math.log(high + edge)
        value = math.exp(low_log + place * (high_log - low_log))
        value = round(value) if whole else value
    elif distribution.step is not None:
        steps = round((high - low) / distribution.step)
        value = low + min(int(place * (steps + 1)), steps) * distribution.step
    else:
        value = low + place * (high - low)
    value = min(max(value, low), high)
    return int(value) if whole else float(value)


@dataclass
class Conditions:
    """When a parameter exists.

    Attributes:
        parents: of a conditional parameter, the categorical one that decides, and the values with which it exists.
        always: parameters that always exist.
        given: of values for all parameters, those that exist; where it is given, nothing else counts.
    """

    parents: dict[str, tuple[str, frozenset[Any]]] = field(default_factory=dict)
    always: frozenset[str] = frozenset()
    given: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None

    @classmethod
    def learn(cls, trials: Sequence[Mapping[str, Any]], distributions: Mapping[str, BaseDistribution]) -> Conditions:
        """What the trials say."""
        always = frozenset(name for name in distributions if all(name in trial for trial in trials))
        choices = [name for name, one in distributions.items() if isinstance(one, CategoricalDistribution)]
        parents = {}
        for name in distributions:
            if name in always:
                continue
            for parent in choices:
                if parent != name and (values := _decides(parent, name, trials)) is not None:
                    parents[name] = (parent, values)
                    break
        return cls(parents, always)

    def kept(self, full: Parameters, like: Mapping[str, Any]) -> Parameters:
        """The parameters of a full assignment that exist; `like`: the trial that it was made from."""
        if self.given is not None:
            return self.given(full)
        known: dict[str, bool] = {}

        def exists(name: str, depth: int = 0) -> bool:
            if name not in known:
                if name in self.parents and depth < 10:
                    parent, values = self.parents[name]
                    known[name] = exists(parent, depth + 1) and full[parent] in values
                else:
                    known[name] = name in self.always or name in like
            return known[name]

        if len(self.always) == len(full):
            return full
        return {name: value for name, value in full.items() if exists(name)}


def _decides(parent: str, child: str, trials: Sequence[Mapping[str, Any]]) -> frozenset[Any] | None:
    """The parent's values with which the child exists, if the parent's value always tells."""
    present: set[Any] = set()
    missing: set[Any] = set()
    for trial in trials:
        if parent not in trial:
            if child in trial:
                return None
            continue
        (present if child in trial else missing).add(trial[parent])
    return None if present & missing or not present else frozenset(present)


def propose(
    distributions: Mapping[str, BaseDistribution],
    conditions: Conditions,
    good: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]],
    *,
    count: int,
    generator: np.random.Generator,
) -> list[Parameters]:
    """Candidates: half of them random, the rest from good trials by one or more changed values, or by crossing two.

    Args:
        distributions: of all parameters.
        conditions: when they exist.
        good: parameters of the trials to stay close to.
        known: parameters of all trials; a random candidate has the conditions of one of them.
        count: how many.
        generator: of the randomness.
    """
    made = []
    for position in range(count):
        if not good or position % 2 == 0:
            like: Mapping[str, Any] = known[int(generator.integers(len(known)))] if known else distributions
            full = {name: draw(one, generator) for name, one in distributions.items()}
        else:
            like = good[int(generator.integers(len(good)))]
            full = _varied(like, good, distributions, generator)
        made.append(conditions.kept(full, like))
    return made


def closer(
    distributions: Mapping[str, BaseDistribution],
    conditions: Conditions,
    best: Sequence[Mapping[str, Any]],
    *,
    count: int,
    step: float,
    generator: np.random.Generator,
) -> list[Parameters]:
    """Candidates near the best ones, for a local search: each number moved with probability a half, at least one value.

    Args:
        distributions: of all parameters.
        conditions: when they exist.
        best: what to stay close to.
        count: how many.
        step: standard deviation of a move, as a fraction of a number's range.
        generator: of the randomness.
    """
    names = list(distributions)
    numbers = [name for name in names if not isinstance(distributions[name], CategoricalDistribution)]
    made = []
    for position in range(count):
        like = best[position % len(best)]
        full = {name: like[name] if name in like else draw(one, generator) for name, one in distributions.items()}
        share = (0.5, 2.0 / max(1, len(numbers)))[position % 4 // 2]
        moved = [name for name in numbers if generator.random() < share]
        if not moved or (len(numbers) < len(names) and generator.random() < 0.3):
            moved.append(names[int(generator.integers(len(names)))])
        for name in moved:
            full[name] = shifted(distributions[name], full[name], generator, step)
        made.append(conditions.kept(full, like))
    return made


def _varied(
    like: Mapping[str, Any],
    good: Sequence[Mapping[str, Any]],
    distributions: Mapping[str, BaseDistribution],
    generator: np.random.Generator,
) -> Parameters:
    """A good trial with some of its values changed: a few by a step, or some from another good one."""
    full = {name: like[name] if name in like else draw(one, generator) for name, one in distributions.items()}
    names = list(full)
    if len(good) > 1 and generator.random() < 0.3:
        other = good[int(generator.integers(len(good)))]
        for name in names:
            if name in other and generator.random() < 0.5:
                full[name] = other[name]
        return full
    changes = min(len(names), int(generator.geometric(0.5)))
    step = NEAR if generator.random() < 0.5 else FAR
    for place in generator.choice(len(names), size=changes, replace=False):
        name = names[int(place)]
        full[name] = shifted(distributions[name], full[name], generator, step)
    return full
