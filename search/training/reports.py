"""The reports of one call of a user's function, as points of a learning curve.

A report is a number, which is the accuracy, or a mapping of names to values. Its numbers go into the curve; whatever
else it holds counts only where the function returns nothing, so that its last values are its result.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from results.names import curve_column, metric_column, plain_name
from results.text import readable
from search.training.evaluation import Point
from search.training.metrics import MOST, number_of

__all__ = ["Reports"]

WIDEST = 100  # different metrics of a curve
LONGEST = 10_000  # points of a curve


class Reports:
    """The reports of one seed so far.

    Args:
        path: of the function, for notes.
        seed: that the function was called with.
        later: whether it is another than the trial's first.
        objectives: columns of the objectives.
        taken: columns of the parameters.

    Attributes:
        step: of the last report, 0 before the first.
        last: the latest value of every metric by name; None before the first report.
        notes: what is not kept, a sentence each.
    """

    def __init__(
        self, path: str, seed: int, *, later: bool, objectives: Collection[str], taken: Collection[str]
    ) -> None:
        self.path, self.seed, self.later = path, seed, later
        self.objectives = {plain_name(column): column for column in objectives}
        self.taken = {*objectives, *taken}
        self.columns: dict[str, str] = {}
        self.step = self.count = 0
        self.last: dict[str, Any] | None = None
        self.notes: dict[str, None] = {}

    def add(self, metrics: Any, step: Any = None) -> Point | None:
        """Take a report.

        Args:
            metrics: a number, which is the accuracy, or a mapping of names to values.
            step: a whole number above the last one; None for one more.

        Returns:
            Its point of the curve; None where it is none.
        """
        found = metrics if isinstance(metrics, Mapping) else {"accuracy": metrics}
        if found is not metrics and number_of(metrics) is None:
            self._note(f"a report is a number or a mapping of names to values, got a {type(metrics).__name__}")
            return None
        first = self.last is None
        at = self._step(step, first=first)
        numbers = self._numbers(found)
        if at is None:
            return None
        self.step, self.count = at, self.count + 1
        if self.count > LONGEST:
            self._note(f"the learning curve has the first {LONGEST:,} reports")
            return None
        values = {self.columns[name]: number for name, number in numbers.items() if self._has_column(name)}
        point = {"epoch": at, **values, "seeds": [{"seed": self.seed, "epoch": at, **values}]}
        return {**point, "seed": self.seed} if self.later else point

    def state_dict(self) -> dict[str, Any]:
        """What later reports depend on: numbers and texts."""
        last = {name: value for name, value in (self.last or {}).items() if isinstance(value, bool | int | float | str)}
        return {"step": self.step, "count": self.count, "last": None if self.last is None else last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after the reports of a `state_dict`."""
        self.step, self.count, self.last = int(state["step"]), int(state["count"]), state["last"]

    def _step(self, step: Any, *, first: bool) -> int | None:
        """The step of a report; None where it is no whole number above the last one."""
        if step is None:
            return self.step + 1
        number = number_of(step)
        if number is None or isinstance(number, bool) or not math.isfinite(number) or number % 1 or number < 0:
            self._note(f"a step is a whole number of at least 0, got {readable(str(step), 100)}")
            return None
        if not first and number <= self.step:
            self._note(f"steps must grow from report to report: step {int(number):,} came after {self.step:,}")
            return None
        return int(number)

    def _numbers(self, metrics: Mapping[Any, Any]) -> dict[str, float]:
        """The numbers of a report by name; all of its values become the latest."""
        numbers: dict[str, float] = {}
        latest: dict[str, Any] = {} if self.last is None else self.last
        for name, value in metrics.items():
            number = number_of(value)
            if name in self.objectives or name in latest or len(latest) < MOST:
                latest[name] = value if number is None else number
            if number is not None and isinstance(name, str):
                numbers[name] = float(number)
        self.last = latest
        return numbers

    def _has_column(self, name: str) -> bool:
        """Whether a metric has a column in the curves; a new one gets one while there is room."""
        if name in self.columns:
            return True
        if name not in self.objectives and len(self.columns) >= WIDEST:
            self._note(f"the learning curves have {WIDEST} different metrics")
            return False
        column = self.objectives.get(name) or metric_column(readable(name, 200), taken=self.taken)
        self.columns[name] = curve_column(column)
        return True

    def _note(self, text: str) -> None:
        self.notes[f"{self.path}: {text}"] = None
