"""Dimensions of a search space: a choice of values, or a range of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from leni.errors import SpaceError

__all__ = ["Choice", "Dimension", "Range", "dimension"]


class Dimension(Protocol):
    """What a search space asks of a dimension."""

    def distribution(self) -> BaseDistribution | None:
        """Optuna's distribution; None where there is one value, which is no question to ask."""

    def values(self) -> tuple[Any, ...] | None:
        """All values in order, or None where there are infinitely many."""

    def contains(self, value: Any) -> bool:
        """Whether a value is of this dimension."""

    def to_toml(self) -> Any:
        """What `dimension` reads back."""


@dataclass(frozen=True)
class Choice:
    """One of a few values; with a single one, a constant."""

    options: tuple[Any, ...]

    def distribution(self) -> BaseDistribution | None:
        """Categorical, unless there is nothing to choose."""
        return CategoricalDistribution(self.options) if len(self.options) > 1 else None

    def values(self) -> tuple[Any, ...]:
        """The options."""
        return self.options

    def contains(self, value: Any) -> bool:
        """Whether a value is one of the options."""
        return value in self.options

    def to_toml(self) -> Any:
        """A list, or the constant itself."""
        return list(self.options) if len(self.options) > 1 else self.options[0]

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included: whole where both are, on a log scale where asked."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step, int | None)

    def distribution(self) -> BaseDistribution | None:
        """Int or float, as Optuna has them."""
        if self.low == self.high:
            return None
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def values(self) -> tuple[Any, ...] | None:
        """The steps; None for a continuous range."""
        if self.low == self.high:
            return (self.low,)
        step = self.step or (1 if self.whole else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return tuple(self.low + index * step for index in range(count))

    def contains(self, value: Any) -> bool:
        """Whether a number is in the range, and on one of its steps."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        steps = self.values()
        return steps is None or any(math.isclose(value, step, rel_tol=1e-9, abs_tol=1e-12) for step in steps)

    def to_toml(self) -> Any:
        """A table of what differs from the default."""
        table: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.step is not None:
            table["step"] = self.step
        if self.log:
            table["log"] = True
        return table

    def __str__(self) -> str:
        step = f" in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{step}{', log' if self.log else ''}"


def dimension(value: Any, name: str) -> Choice | Range:
    """A dimension from its TOML form.

    Args:
        value: a constant, a list of choices, or a table with low, high and perhaps step or log.
        name: the dimension's name, for the message.

    Raises:
        SpaceError: the value is of another form, a list is empty or repeats itself, or a range is empty.
    """
    if isinstance(value, (Choice, Range)):
        return value
    if isinstance(value, dict):
        return _range(value, name)
    choices = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not choices:
        raise SpaceError(f"{name} must have at least one choice, got an empty list")
    if any(not isinstance(choice, (str, bool, int, float)) for choice in choices):
        raise SpaceError(f"{name} must be a value, a list of values or a table with low and high, got {value!r}")
    if len({(choice, isinstance(choice, bool)) for choice in choices}) != len(choices):
        raise SpaceError(f"{name} has the same choice twice: {list(choices)!r}")
    return Choice(choices)


def _range(table: dict[str, Any], name: str) -> Range:
    """A range from its table, checked."""
    if unknown := sorted(set(table) - {"low", "high", "step", "log"}):
        raise SpaceError(f"{name}: a range has low, high, step and log, got {', '.join(unknown)}")
    low, high, step, log = table.get("low"), table.get("high"), table.get("step"), table.get("log", False)
    numbers = [low, high] if step is None else [low, high, step]
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        raise SpaceError(f"{name}: low, high and step must be numbers, got {table!r}")
    if not isinstance(log, bool):
        raise SpaceError(f"{name}: log must be true or false, got {log!r}")
    if not low <= high:  # type: ignore[operator]
        raise SpaceError(f"{name}: low must not be above high, got {low} and {high}")
    if step is not None and step <= 0:
        raise SpaceError(f"{name}: step must be above 0, got {step}")
    if log and (step is not None or low <= 0):  # type: ignore[operator]
        raise SpaceError(f"{name}: a log range needs low above 0 and no step, got {table!r}")
    return Range(low, high, step, log)  # type: ignore[arg-type]
