"""Parameters that a function asks for while it runs: the question goes to the driver, the function waits.

The question leaves the trial's process with its next result; the driver's answer comes back as a call of the actor
between two of its steps.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json

from search.training.reporter import TrialStopped

__all__ = ["Suggestions"]

LOOK_S = 0.1  # seconds between two looks at whether the trial is to stop


class Suggestions:
    """The questions of one trial.

    Args:
        wake: called when there is a question, so that the trial's step ends.
        stops: whether the trial is to stop, so that no answer will come.
    """

    def __init__(self, wake: Callable[[], None], stops: Callable[[], bool]) -> None:
        self.wake, self.stops = wake, stops
        self._questions: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, str]] = queue.SimpleQueue()
        self._one = threading.Lock()  # threads of the function ask one after another

    def ask(self, name: str, distribution: BaseDistribution) -> Any:
        """The value of a parameter; waits for it.

        Raises:
            TrialStopped: the trial is to stop.
            ValueError: the sampler refuses the question; as Optuna's own trial does.
        """
        with self._one:
            self._questions.put((name, distribution_to_json(distribution)))
            self.wake()
            value, refused = self._answered()
        if refused:
            raise ValueError(refused)
        return _choice(distribution, value)

    def _answered(self) -> tuple[Any, str]:
        while True:
            try:
                return self._answers.get(timeout=LOOK_S)
            except queue.Empty:
                if self.stops():
                    raise TrialStopped from None

    def pending(self) -> tuple[str, str] | None:
        """The question that waits, as the name and the distribution's JSON; None where there is none. Given once."""
        try:
            return self._questions.get_nowait()
        except queue.Empty:
            return None

    def answer(self, value: Any, refused: str = "") -> None:
        """The driver's answer: a value, of a categorical parameter the index of its choice, or why there is none."""
        self._answers.put((value, refused))


def _choice(distribution: BaseDistribution, value: Any) -> Any:
    """The function's own object for a choice, which JSON may have turned into another: a tuple into a list."""
    return distribution.choices[int(value)] if isinstance(distribution, CategoricalDistribution) else value
