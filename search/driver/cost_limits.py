"""Whether limits on a user's own costs leave anything of a space; see `limits` for those of networks."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from optuna.trial import FixedTrial

from leni.errors import CandidateError, SpecError
from search.driver.known_costs import KnownCosts, scope_of, worded
from search.driver.sample import random_candidates
from search.engine.asker import Point
from search.spec import Spec
from spaces import WalkedSpace
from spaces.dimensions import Dimension, Range

__all__ = ["check_cost_limits"]

DRAWN = 200  # random candidates
LISTED, SLOWLY_LISTED = 20_000, 1_000  # candidates of a space that is counted whole: by expressions, by functions
TURNS, FEW = 3, 32  # rounds over the dimensions, and values of each


def check_cost_limits(spec: Spec, known: KnownCosts, *, first: Sequence[Point] = ()) -> None:
    """Refuse limits that no candidate meets which could be found.

    Random candidates come first, then the whole of a small space, and of a large one what lies along one dimension
    after another from the nearest candidate.

    Args:
        spec: with its space.
        known: the costs, with the limits.
        first: candidates that are tried whatever the space holds.

    Raises:
        SpecError: nothing is left; the message has the nearest candidate.
    """
    if not known.limits:
        return
    space, looked = spec.search_space(), dict[Point, float]()
    size = space.size
    whole = size is not None and size <= (LISTED if known.quick else SLOWLY_LISTED)
    listed = space.candidates() if whole else _closer(spec, known, looked)
    for candidate in chain(first, random_candidates(spec, DRAWN), listed):
        if candidate not in looked:
            looked[candidate] = excess(known, candidate)
        if looked[candidate] == 0:
            return
    nearest = min(looked, key=lambda one: looked[one])
    given = ", ".join(_limit(name, *pair) for name, pair in known.limits.items())
    costs = known(nearest)
    has = ", ".join(f"{name} {worded(costs[known.column[name]])}" for name in known.limits)
    where = ", ".join(f"{name}={value}" for name, value in scope_of(nearest).items())
    looked_at = "" if whole else f" (of {len(looked)} that were looked at)"
    raise SpecError(
        f"no candidate of the space {space.name!r} is within {given}{looked_at}; "
        f"the nearest has {has} ({where}): loosen a limit, or widen the space",
        code="LS-SPEC-LIMITS",
    )


def excess(known: KnownCosts, candidate: Point) -> float:
    """By how much a candidate misses the limits, in units of each; 0 within them, infinite for an impossible one."""
    try:
        costs = known(candidate)
    except CandidateError:
        return math.inf
    total = 0.0
    for name, (least, most) in known.limits.items():
        cost = costs[known.column[name]]
        for limit, sign in ((least, -1), (most, 1)):
            if limit is not None:
                total += max(0.0, sign * (cost - limit)) / (abs(limit) or 1.0)
    return total


def _closer(spec: Spec, known: KnownCosts, looked: Mapping[Point, float]) -> Iterator[Point]:
    """Candidates along one dimension after another, each time from the nearest so far; `looked` is read in between."""
    space: WalkedSpace[Any] = spec.search_space()
    generator = random.Random(spec.seed)
    dimensions = space.dimensions()
    start = {name: part.parameter(generator.choice(_values(part))) for name, part in dimensions.items()}
    nearest = min(looked, key=lambda one: looked[one], default=None)
    if nearest is not None and (found := space.parameters(nearest)) is not None:
        start |= found[0]
    best = math.inf
    for name in list(dimensions) * TURNS:
        answers = start
        for value in _values(dimensions[name]):
            try:
                candidate = space.suggest(FixedTrial({**answers, name: dimensions[name].parameter(value)}))
            except CandidateError:
                continue
            yield candidate
            if looked[candidate] < best:
                best, start = looked[candidate], {**answers, name: dimensions[name].parameter(value)}


def _values(dimension: Dimension) -> tuple[Any, ...]:
    """Some values of a dimension, both ends among them."""
    values = dimension.values()
    if values is None and isinstance(dimension, Range):
        low, high = dimension.low, dimension.high
        parts = [step / (FEW - 1) for step in range(FEW - 1)]
        return (*(low * (high / low) ** part if dimension.log else low + (high - low) * part for part in parts), high)
    found = tuple(values or ())
    step = max(1, math.ceil((len(found) - 1) / (FEW - 1)))
    return found if len(found) <= FEW else (*found[:-1:step], found[-1])


def _limit(name: str, least: float | None, most: float | None) -> str:
    """A limit in words: "flops at most 100"."""
    parts = [f"at {word} {worded(limit)}" for word, limit in (("least", least), ("most", most)) if limit is not None]
    return f"{name} {' and '.join(parts)}"
