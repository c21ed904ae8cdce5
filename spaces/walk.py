"""A conditional space as a walk: one question after another, each on condition of the answers before.

One walk serves suggesting (a sampler answers), listing (every answer in turn) and finding the answers that lead to a
given point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import tomli_w
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from leni.errors import SpaceError
from spaces.dimensions import Dimension

__all__ = ["Walk", "WalkedSpace", "run_walk"]

Point = TypeVar("Point", bound=Hashable)
Walk = Generator[tuple[str, Dimension], Any, Point]


class WalkedSpace(ABC, Generic[Point]):
    """What every search space does, given its walk and its dimensions."""

    name: str
    substitutes: ClassVar[bool] = False
    """Whether `suggest` may give another point than the sampler's answers say, the nearest one that there is."""

    @abstractmethod
    def _walk(self) -> Walk[Point]:
        """Ask for one dimension after another, each on condition of the answers before; return the point."""

    @abstractmethod
    def dimensions(self) -> dict[str, Dimension]:
        """Every dimension that some point has, by the name it has in an Optuna study."""

    @abstractmethod
    def deciders(self) -> frozenset[str]:
        """The dimensions whose values decide which other dimensions exist; none where all always exist."""

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns that its points have in records."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many points there are; None where there are infinitely many."""

    @abstractmethod
    def parameters(self, point: Point) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        """Parameters and distributions that lead to a point, None where the space does not hold it."""

    @abstractmethod
    def references(self) -> tuple[Point, ...]:
        """Points to try first."""

    @abstractmethod
    def fix(self, values: Mapping[str, Any]) -> WalkedSpace[Point]:
        """The same space with some dimensions held constant."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The space as TOML has it."""

    @abstractmethod
    def rows(self) -> list[tuple[str, str, str]]:
        """The space as a table: dimension, values, on which condition it exists."""

    def suggest(self, trial: BaseTrial) -> Point:
        """The point that a trial's sampler chooses; constants are not asked for.

        Args:
            trial: an Optuna trial, or anything with its suggest methods (`optuna.trial.FixedTrial`).
        """
        return run_walk(self._walk(), lambda name, values: values.suggest(trial, name))

    def candidates(self) -> Iterator[Point]:
        """Every candidate once, in the order of the dimensions.

        Raises:
            SpaceError: a dimension is continuous, so that there are infinitely many.
        """
        if continuous := [name for name, values in self.dimensions().items() if values.values() is None]:
            raise SpaceError(f"space {self.name!r} cannot be listed: {', '.join(continuous)} has no steps")
        seen: set[Point] = set()
        for _, candidate in self._points():
            if candidate not in seen:
                seen.add(candidate)
                yield candidate

    def _points(self) -> Iterator[tuple[dict[str, Any], Point]]:
        """Every combination of answers, and its candidate: depth first, each prefix walked again."""
        pending: list[tuple[Any, ...]] = [()]
        while pending:
            answers = pending.pop()
            walk, names = self._walk(), []
            try:
                name, values = next(walk)
                for value in answers:
                    names.append(name)
                    name, values = walk.send(value)
            except StopIteration as end:
                yield dict(zip(names, answers, strict=True)), end.value
                continue
            pending.extend((*answers, value) for value in reversed(values.values() or ()))

    def to_toml(self) -> str:
        """The space as a TOML file, which `spaces.space` reads."""
        return tomli_w.dumps(self.to_dict())

    def __str__(self) -> str:
        size = self.size
        lines = [f"{self.name}: {'continuous' if size is None else f'{size} candidates'}"]
        rows = self.rows()
        left = max(len(name) for name, _, _ in rows)
        middle = max(len(values) for _, values, _ in rows)
        lines += [
            f"  {name:<{left}}  {values:<{middle}}  {'if ' + condition if condition else ''}".rstrip()
            for name, values, condition in rows
        ]
        return "\n".join(lines)


def run_walk(walk: Walk[Point], answer: Callable[[str, Dimension], Any]) -> Point:
    """Answer a walk's questions to its end."""
    try:
        question = next(walk)
        while True:
            question = walk.send(answer(*question))
    except StopIteration as end:
        point: Point = end.value
        return point
