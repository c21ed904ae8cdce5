"""The recipe of a trial, that is its values of the space's dimensions, as columns of a regression.

    a number     its standardised value, or that of its logarithm where all values are positive, and the square of it
    a choice     one column per value, centred
    a condition  a dimension that some trials do not have gets one more column, or choice, for its absence

A dimension is fitted to the trials at hand; a value that none of them has counts as their mean. Numbers are clipped at
three standard deviations, so that nothing is extrapolated far beyond what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Choice", "Column", "Number", "columns_of"]

Array = NDArray[np.float64]
CLIP = 3.0  # standard deviations


@dataclass(frozen=True)
class Number:
    """A numeric dimension.

    Attributes:
        log: whether the logarithm counts.
        centre: mean of the values that are there.
        spread: their standard deviation.
        square: mean and standard deviation of the squares of standardised values; None where two values or fewer are
            too few for a parabola.
        absent: fraction of trials without a value, None where every trial has one.
    """

    log: bool
    centre: float
    spread: float
    square: tuple[float, float] | None
    absent: float | None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Number:
        """Fitted to values, of which at least one is a number and None is an absent one."""
        found = np.array([value for value in values if value is not None], dtype=np.float64)
        log = bool((found > 0).all())
        scaled = np.log(found) if log else found
        centre, spread = float(scaled.mean()), float(scaled.std())
        squares = np.clip((scaled - centre) / (spread or 1.0), -CLIP, CLIP) ** 2
        square = (float(squares.mean()), float(squares.std())) if len(np.unique(found)) > 2 else None
        share = 1 - len(found) / len(values)
        return cls(log, centre, spread, square if square and square[1] > 0 else None, share or None)

    def encode(self, values: Sequence[Any]) -> Array:
        """(n, 1 to 3) columns."""
        numbers = np.array([_number(value) for value in values])
        if self.log:
            numbers = np.where(numbers > 0, numbers, np.nan)  # where all were positive, another one is unknown
            numbers = np.log(numbers)
        places = np.clip((numbers - self.centre) / (self.spread or 1.0), -CLIP, CLIP)
        missing = np.isnan(places)
        columns = [np.where(missing, 0.0, places)]
        if self.square is not None:
            columns.append(np.where(missing, 0.0, (places**2 - self.square[0]) / self.square[1]))
        if self.absent is not None:
            columns.append(np.array([value is None for value in values]) - self.absent)
        return np.column_stack(columns)


@dataclass(frozen=True)
class Choice:
    """A categorical dimension: fraction of the trials by value."""

    shares: Mapping[Any, float]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Choice:
        """Fitted to values, of which None is an absent one."""
        keys = [_key(value) for value in values]
        return cls({key: keys.count(key) / len(keys) for key in dict.fromkeys(sorted(keys))})

    def encode(self, values: Sequence[Any]) -> Array:
        """(n, choices) columns."""
        keys, shares = list(self.shares), np.array(list(self.shares.values()))
        rows = np.zeros((len(values), len(keys)))
        for row, value in zip(rows, values, strict=True):
            key = _key(value)
            if key in self.shares:
                row -= shares
                row[keys.index(key)] += 1.0
        return rows


Column = Number | Choice


def columns_of(trials: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """The dimensions in which trials differ, fitted to them.

    Args:
        trials: n values by dimension; a dimension may be missing, or None, in some of them.
    """
    names = sorted({name for trial in trials for name in trial})
    found: dict[str, Column] = {}
    for name in names:
        values = [trial.get(name) for trial in trials]
        if len({_key(value) for value in values}) > 1:
            there = [value for value in values if value is not None]
            found[name] = Number.of(values) if all(map(_is_number, there)) else Choice.of(values)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan


def _key(value: Any) -> tuple[str, str]:
    """What tells values apart, and sorts them: True is not 1, but 1 is 1.0."""
    return ("number", repr(float(value))) if _is_number(value) else (type(value).__name__, repr(value))
