"""Dimensions of a search space: a choice of values, or a range of numbers."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from leni.errors import SpaceError

__all__ = ["Choice", "Dimension", "Range", "dimension"]

SURROGATE = re.compile("[\ud800-\udfff]")
MOST_STEPS = 100_000  # of a range, which are listed one by one


class Dimension(Protocol):
    """What a search space asks of a dimension."""

    def distribution(self) -> BaseDistribution | None:
        """Optuna's distribution; None where there is one value, which is no question to ask."""

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """A value, from the trial where there is more than one."""

    def parameter(self, value: Any) -> Any:
        """A value as the distribution has it, and as a study keeps it."""

    def values(self) -> tuple[Any, ...] | None:
        """All values in order, or None where there are infinitely many."""

    def contains(self, value: Any) -> bool:
        """Whether a value is of this dimension."""

    def to_toml(self) -> Any:
        """What `dimension` reads back."""


@dataclass(frozen=True)
class Choice:
    """One of a few values; with a single one, a constant.

    Optuna takes True and 1 for one choice. Where both are there, a study has each option as JSON.
    """

    options: tuple[Any, ...]

    def distribution(self) -> BaseDistribution | None:
        """Categorical, unless there is nothing to choose."""
        return CategoricalDistribution(tuple(map(self.parameter, self.options))) if len(self.options) > 1 else None

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """One of the options, from the trial where there is more than one."""
        if len(self.options) == 1:
            return self.options[0]
        asked = [self.parameter(option) for option in self.options]
        return self.options[asked.index(trial.suggest_categorical(name, asked))]

    def parameter(self, value: Any) -> Any:
        """The option itself, or its JSON where Optuna would take two options for one."""
        if len(set(self.options)) == len(self.options):
            return value
        return next((json.dumps(option) for option in self.options if _same(option, value)), value)

    def values(self) -> tuple[Any, ...]:
        """The options."""
        return self.options

    def contains(self, value: Any) -> bool:
        """Whether a value is one of the options; True is not 1."""
        return any(_same(option, value) for option in self.options)

    def to_toml(self) -> Any:
        """A list, or the constant itself."""
        return list(self.options) if len(self.options) > 1 else self.options[0]

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included: whole where both are, on a log scale where asked.

    Where step does not divide the range, its last value is the last step below high. Steps are counted in decimal, as
    Optuna does, so that three steps of 0.1 from 0 are 0.3.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step, int | None)

    @property
    def steps(self) -> int | None:
        """How many values there are, None for a continuous range."""
        if self.low == self.high:
            return 1
        step = self.step or (1 if self.whole else None)
        return None if step is None else int((_decimal(self.high) - _decimal(self.low)) // _decimal(step)) + 1

    def _value(self, index: int) -> int | float:
        """The value after `index` steps."""
        value = _decimal(self.low) + index * _decimal(self.step or 1)
        return int(value) if self.whole else float(value)

    def distribution(self) -> BaseDistribution | None:
        """Int or float, as Optuna has them, ending at the last step."""
        if self.steps == 1:
            return None
        high = self.high if self.steps is None else self._value(self.steps - 1)
        if self.whole:
            return IntDistribution(int(self.low), int(high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, high, log=self.log, step=self.step)

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """A number, from the trial where there is more than one; exactly one of `values` where there are steps."""
        asked = self.distribution()
        if isinstance(asked, IntDistribution):
            return trial.suggest_int(name, asked.low, asked.high, step=asked.step, log=asked.log)
        if isinstance(asked, FloatDistribution):
            number = trial.suggest_float(name, asked.low, asked.high, step=asked.step, log=asked.log)
            return number if asked.step is None else self._value(round((number - asked.low) / asked.step))
        return self.low

    def parameter(self, value: Any) -> Any:
        """The number itself."""
        return value

    def values(self) -> tuple[Any, ...] | None:
        """The steps; None for a continuous range."""
        if self.steps == 1:
            return (self.low,)
        return None if self.steps is None else tuple(map(self._value, range(self.steps)))

    def contains(self, value: Any) -> bool:
        """Whether a number is in the range, and on one of its steps."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        if self.steps is None:
            return True
        index = round((value - self.low) / (self.step or 1))
        return index < self.steps and math.isclose(value, self._value(index), rel_tol=1e-9, abs_tol=1e-12)

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
        value: a constant, a list of choices, or a table with low, high and perhaps step or log; or a dimension, which
            is checked.
        name: the dimension's name, for the message.

    Raises:
        SpaceError: the value is of another form, a list is empty or repeats itself, or a range is empty.
    """
    if isinstance(value, Choice):
        value = list(value.options)
    if isinstance(value, Range):
        value = value.to_toml()
    if isinstance(value, dict):
        return _range(value, name)
    choices = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not choices:
        raise SpaceError(f"{name} must have at least one choice, got an empty list")
    if any(not isinstance(choice, (str, bool, int, float)) for choice in choices):
        hint = "; TOML has no null, write a text such as 'none'" if None in choices else ""
        raise SpaceError(f"{name} must be a value, a list of values or a table with low and high, got {value!r}{hint}")
    if torn := [choice for choice in choices if isinstance(choice, str) and SURROGATE.search(choice)]:
        raise SpaceError(f"{name} must be of texts that UTF-8 has, got {torn[0]!r}")
    if unbounded := [choice for choice in choices if isinstance(choice, (int, float)) and not _finite(choice)]:
        raise SpaceError(f"{name} must be finite, got {unbounded[0]!r}")
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
    if not all(map(_finite, numbers)):  # type: ignore[arg-type]
        raise SpaceError(f"{name}: low, high and step must be finite, got {table!r}")
    if not isinstance(log, bool):
        raise SpaceError(f"{name}: log must be true or false, got {log!r}")
    if not low <= high:  # type: ignore[operator]
        raise SpaceError(f"{name}: low must not be above high, got {low} and {high}")
    if not _finite(high - low):  # type: ignore[operator]
        raise SpaceError(f"{name}: a range must be no wider than {sys.float_info.max:g}, got {low} to {high}")
    if step is not None and step <= 0:
        raise SpaceError(f"{name}: step must be above 0, got {step}")
    if log and (step is not None or low <= 0):  # type: ignore[operator]
        raise SpaceError(f"{name}: a log range needs low above 0 and no step, got {table!r}")
    found = Range(low, high, step, log)  # type: ignore[arg-type]
    if found.steps is not None and found.steps > MOST_STEPS:
        raise SpaceError(f"{name}: a range may have {MOST_STEPS:,} steps at most, got {found.steps:,}: {table!r}")
    if found.step is not None and found.steps is not None:
        last = _decimal(found.low) + (found.steps - 1) * _decimal(found.step)
        if _decimal(float(last)) != last:  # Optuna would quietly drop the last step
            raise SpaceError(f"{name}: step must have 12 digits at most, so that steps end exactly, got {step}")
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one choice; True is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _finite(number: float) -> bool:
    """Whether a number is finite, and no larger than a float can be."""
    return abs(number) <= sys.float_info.max


def _decimal(number: float) -> Decimal:
    """A number as it is written."""
    return Decimal(str(number))
