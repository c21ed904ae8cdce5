"""Parameters of a trial as numbers that a Gaussian process can compare.

Every parameter is a component: a few columns, between which the squared distance says how much two trials differ in it.

    a choice of names     one column per choice: distance 1 between any two
    a choice of numbers   half of that, half the squared difference of their ranks
    a number              its place between low and high (of the logarithm where it is a log range), times two
    a condition unmet     a further choice "absent", for numbers a further column

Parameters that offer the same choices (the operation at each edge, the block at each place) have a further component
together: how often each choice was taken. Two networks with the same blocks in another order are alike in it.

Hints of candidates stand in further columns behind these, which belong to no component.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.decide.known_cost.hints import Hints

__all__ = ["Encoder", "is_ordered"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
ABSENT = object()
STRETCH = 2.0  # of a number's place, so that two random ones are about as far apart as two choices


class Encoder:
    """Columns for the parameters of these distributions.

    Args:
        distributions: by name.
        hints: of candidates, a column each behind the others.

    Attributes:
        components: (p,), of each column but those of hints the component that it belongs to.
        size: components, those of the parameters first.
        width: all columns.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution], hints: Hints | None = None) -> None:
        self.hints = hints or Hints()
        self.distributions = dict(sorted(distributions.items()))
        self.columns = [_column(distribution) for distribution in self.distributions.values()]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for position, column in enumerate(self.columns):
            if isinstance(column, _Choices):
                groups.setdefault(column.key, []).append(position)
        self.groups = [members for members in groups.values() if len(members) > 1]
        widths = [column.width for column in self.columns]
        widths += [self.columns[members[0]].width for members in self.groups]
        self.components = np.repeat(np.arange(len(widths)), widths)
        self.size = len(widths)
        self.width = len(self.components) + len(self.hints.given)

    def encode(self, trials: Sequence[Parameters]) -> Array:
        """Columns (n, width) of n trials' parameters; a parameter that a trial does not have is absent."""
        parts, taken = [], {}
        for position, (name, column) in enumerate(zip(self.distributions, self.columns, strict=True)):
            values = [trial.get(name, ABSENT) for trial in trials]
            part = column.encode(values)
            parts.append(part)
            if isinstance(column, _Choices):
                taken[position] = part[:, : column.width]
        for members in self.groups:
            counts = sum(_hot(taken[position], self.columns[position]) for position in members)
            parts.append(np.asarray(counts) / len(members))
        return np.concatenate([np.zeros((len(trials), 0)), *parts, self.hints.scores(trials)], axis=1)


class _Choices:
    """Columns of a categorical parameter."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self.choices = tuple(choices)
        self.key = tuple((type(choice).__name__, repr(choice)) for choice in choices)
        self.places = {_key(choice): place for place, choice in enumerate(choices)}
        self.ordered = is_ordered(choices)
        self.share = 0.5 if self.ordered else 1.0
        self.width = len(choices) + 1 + self.ordered
        names = np.eye(len(choices) + 1) * math.sqrt(self.share / 2)
        if self.ordered:
            ranks = np.argsort(np.argsort(np.array(choices, dtype=float), kind="stable"), kind="stable")
            places = np.append(ranks / (len(choices) - 1), 0.5) * math.sqrt(1 - self.share)
            names = np.column_stack([names, places])
        self.table = names

    def encode(self, values: Iterable[Any]) -> Array:
        """(n, width); a value that is none of the choices counts as absent."""
        absent = len(self.choices)
        return np.asarray(self.table[[self.places.get(_key(value), absent) for value in values]])


class _Number:
    """Columns of an int or float parameter."""

    width = 2

    def __init__(self, distribution: IntDistribution | FloatDistribution) -> None:
        self.log = distribution.log
        low, high = float(distribution.low), float(distribution.high)
        self.low, self.high = (math.log(low), math.log(high)) if self.log else (low, high)

    def encode(self, values: Iterable[Any]) -> Array:
        """(n, 2): place, and whether it is absent."""
        numbers = np.array([math.nan if value is ABSENT else float(value) for value in values])
        absent = np.isnan(numbers)
        if self.log:
            numbers = np.log(np.maximum(numbers, 1e-300))
        span = self.high - self.low
        places = (numbers - self.low) / span if span > 0 else np.zeros(len(numbers))
        return np.column_stack([STRETCH * np.where(absent, 0.5, places), absent * 1.0])


def is_ordered(choices: Sequence[Any]) -> bool:
    """Whether choices are at least three different numbers."""
    numbers = all(isinstance(choice, (int, float)) and not isinstance(choice, bool) for choice in choices)
    return numbers and len(set(choices)) > 2 and all(map(math.isfinite, choices))


def _column(distribution: BaseDistribution) -> _Choices | _Number:
    if isinstance(distribution, CategoricalDistribution):
        return _Choices(distribution.choices)
    if isinstance(distribution, (IntDistribution, FloatDistribution)):
        return _Number(distribution)
    raise TypeError(f"a distribution must be categorical, int or float, got {distribution!r}")


def _key(value: Any) -> Any:
    """A value to look up by: True is not 1, and NaN is itself."""
    return "nan" if isinstance(value, float) and math.isnan(value) else (isinstance(value, bool), value)


def _hot(part: Array, column: _Choices | _Number) -> Array:
    """One where the choice was taken, in the width of the column."""
    hot = np.where(part > 0, 1.0, 0.0)
    if isinstance(column, _Choices) and column.ordered:
        hot[:, -1] = 0.0  # the rank is no choice
    return hot
