"""Whether limits on parameters and multiply-adds leave anything of a space, before anything is started."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from optuna.trial import FixedTrial

from leni.errors import CandidateError, SpecError
from search.spec import KNOWN, Spec
from spaces import Candidate, SearchSpace
from spaces.backbones.activation_costs import structural
from spaces.dimensions import Dimension, Range

__all__ = ["check_limits"]

DRAWN = 24  # random candidates that are counted before anything else is looked for
FEW = 64  # values of a dimension that are tried one by one
LISTED, COUNTED = 5_000, 150  # candidates, and different networks, of a space that is counted whole
WORDS = {"params": "parameters", "macs": "multiply-adds"}
Costs = Mapping[str, float]
Answers = Mapping[str, Any]
Limits = tuple[float | None, float | None]


def check_limits(spec: Spec, count: Callable[[Any], Costs], *, first: Sequence[Any] = ()) -> None:
    """Refuse limits that no network of the space meets.

    A search among random networks comes first; where it finds none, the least and the greatest costs of the space are
    looked for along one dimension after another, and a small space is listed. Limits that leave little of a large
    space are accepted.

    Args:
        spec: with its limits and its space.
        count: the costs of a candidate; raises CandidateError for one that cannot be built.
        first: candidates that are tried whatever the space holds.

    Raises:
        SpecError: nothing is left; the message has the least or the greatest cost that there is.
    """
    limits, space = spec.all_limits(), spec.search_space()
    if not limits or not isinstance(space, SearchSpace):
        return
    counted = _Counted(space, count)
    if any(counted.excess(costs, limits) == 0 for costs in counted.some(first)):
        return
    for name, (least, most) in limits.items():
        if most is not None and most < (ends := counted.extreme(name, sign=1)).value:
            raise _refusal(f"max_{name}", most, "smallest", ends, "raise", "least")
        if least is not None and least > (ends := counted.extreme(name, sign=-1)).value:
            raise _refusal(f"min_{name}", least, "largest", ends, "lower", "most")
    if counted.small() and not counted.any_within(limits):
        given = ", ".join(
            f"{side}_{name} {limit:,}"
            for name, pair in limits.items()
            for side, limit in zip(("min", "max"), pair, strict=True)
            if limit is not None
        )
        raise SpecError(
            f"no network of the space {space.name!r} is within {given} at once; the nearest has "
            f"{counted.nearest(limits)}: loosen a limit, or give the space further widths",
            code="LS-SPEC-LIMITS",
        )


@dataclass(frozen=True)
class Extreme:
    """The least or the greatest cost of a space, and a candidate that has it."""

    name: str
    value: float
    candidate: Candidate


@dataclass
class _Counted:
    """A space's candidates with their costs, each counted once."""

    space: SearchSpace
    count: Callable[[Any], Costs]
    book: dict[Candidate, Costs | None] = field(default_factory=dict)

    def costs(self, candidate: Candidate) -> Costs | None:
        """What a candidate costs; None where it cannot be built."""
        if candidate not in self.book:
            try:
                self.book[candidate] = self.count(candidate)
            except CandidateError:
                self.book[candidate] = None
        return self.book[candidate]

    def built(self, answers: Answers) -> tuple[Candidate, Costs] | None:
        """The candidate of these answers, with its costs; None where there is none."""
        try:
            candidate = self.space.suggest(FixedTrial(dict(answers)))
        except CandidateError:
            return None
        costs = self.costs(candidate)
        return None if costs is None else (candidate, costs)

    def some(self, first: Sequence[Any]) -> Iterator[Costs]:
        """Costs of the candidates that are tried first, and of a few random ones."""
        yield from (costs for one in first if isinstance(one, Candidate) and (costs := self.costs(one)) is not None)
        generator, dimensions = random.Random(0), self.space.dimensions()
        for _ in range(DRAWN):
            built = self.built({name: generator.choice(_values(values)) for name, values in dimensions.items()})
            if built is not None:
                yield built[1]

    def extreme(self, name: str, *, sign: int) -> Extreme:
        """The least cost (sign 1) or the greatest (sign -1): the best value of one dimension after another.

        Costs grow with every width, and which activation, options and placement cost least is the same for every
        backbone, so that one pass finds the end; backbones, whose networks take long to count, come last.
        """
        dimensions = self.space.dimensions()

        def value(answers: Answers) -> float:
            built = self.built(answers)
            return math.inf if built is None else sign * built[1][name]

        def best(answers: dict[str, Any], dimension: str) -> dict[str, Any]:
            return min(({**answers, dimension: one} for one in _values(dimensions[dimension])), key=value)

        answers = self._start(dimensions, sign)
        widths = [one for one in dimensions if one.partition(".")[0] == "width"]
        answers = reduce(best, widths, answers)
        each = []
        chosen = [one for one in dimensions if one.partition(".")[0] == "activation"]
        for activation in _values(dimensions[chosen[0]]):
            own = (one for one in dimensions if one == "placement" or one.startswith(f"{activation}."))
            each.append(reduce(best, own, {**answers, **dict.fromkeys(chosen, activation)}))
        built = self.built(best(min(each, key=value), "backbone"))
        if built is None:
            raise SpecError(f"the space {self.space.name!r} has no network that can be built", code="LS-SPEC-LIMITS")
        return Extreme(name, built[1][name], built[0])

    def _start(self, dimensions: Mapping[str, Dimension], sign: int) -> dict[str, Any]:
        """The first value of each dimension, and the least or greatest width that can be built."""
        answers = {name: _values(values)[0] for name, values in dimensions.items()}
        widths = [name for name in dimensions if name.partition(".")[0] == "width"]
        for ratio in sorted(_values(dimensions[widths[0]]), reverse=sign < 0):
            answers |= dict.fromkeys(widths, ratio)
            if self.built(answers) is not None:
                break
        return answers

    def small(self) -> bool:
        """Whether the whole space can be counted in seconds: few candidates, and fewer that differ in their costs."""
        if self.space.size is None or self.space.size > LISTED:
            return False
        kinds = {(one.backbone, one.widths, _structure(one)) for one in self.space.candidates()}
        return len(kinds) <= COUNTED

    def any_within(self, limits: Mapping[str, Limits]) -> bool:
        """Whether any candidate of the whole space is within the limits."""
        found = map(self.costs, self.space.candidates())
        return any(costs is not None and self.excess(costs, limits) == 0 for costs in found)

    def nearest(self, limits: Mapping[str, Limits]) -> str:
        """The costs, in words, of the candidate that was counted and misses the limits by the least factor."""
        known = (costs for costs in self.book.values() if costs is not None)
        costs = min(known, key=lambda each: self.excess(each, limits))
        return " and ".join(f"{costs[name]:,} {WORDS[name]}" for name in KNOWN)

    @staticmethod
    def excess(costs: Costs, limits: Mapping[str, Limits]) -> float:
        """By how much costs miss the limits, as a sum of logarithms; 0 within them."""
        total = 0.0
        for name, (least, most) in limits.items():
            cost = math.log(max(costs[name], 1))
            total += max(0.0, math.log(least or 1) - cost) + max(0.0, cost - (math.log(most) if most else math.inf))
        return total


def _refusal(key: str, limit: float, end: str, found: Extreme, change: str, bound: str) -> SpecError:
    candidate = found.candidate
    where = "" if candidate.activation == "relu" else f" at {candidate.placement}"
    flag = f"--{key.replace('_', '-')}"
    return SpecError(
        f"{key} is {limit:,}, but the {end} network of the space has {found.value:,} {WORDS[found.name]} "
        f"({candidate.backbone}, widths {'-'.join(map(str, candidate.widths))}, {candidate.activation}{where}): "
        f"{change} {flag} to {found.value:,} at {bound}, or give the space other widths",
        code="LS-SPEC-LIMITS",
    )


def _structure(candidate: Candidate) -> tuple[tuple[Any, ...], ...]:
    """The activations of a network with their placements, and the options that its costs depend on."""
    return tuple(
        (part.activation, part.placement, structural(part.activation, part.options)) for part in candidate.parts
    )


def _values(dimension: Dimension) -> tuple[Any, ...]:
    """The values of a dimension: all of a few, and of many, or infinitely many, some with both ends."""
    values = dimension.values()
    if values is None and isinstance(dimension, Range):
        return (dimension.low, dimension.high)
    found = tuple(values or ())
    step = max(1, math.ceil((len(found) - 1) / (FEW - 1)))
    return found if len(found) <= FEW else (*found[:-1:step], found[-1])
