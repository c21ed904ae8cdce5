"""How a user's function is called: a plain one returns its result, a generator yields metrics and may return one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any

from search.training.reporter import Reporter, TrialStopped

__all__ = ["call"]


def call(function: Callable[..., Any], config: Mapping[str, Any], report: Reporter) -> Any:
    """Call a function with its configuration, to its end.

    Args:
        function: `function(config, report)`; where it is a generator, each value that it yields is reported.
        config: what is tried.
        report: its second argument.

    Returns:
        What the function returned.

    Raises:
        TrialStopped: the trial is to stop; a generator has been closed.
    """
    returned = function(dict(config), report)
    return _exhaust(returned, report) if inspect.isgenerator(returned) else returned


def _exhaust(metrics: Generator[Any, Any, Any], report: Reporter) -> Any:
    """Report what a generator yields; what it returns."""
    while True:
        try:
            found = next(metrics)
        except StopIteration as end:
            return end.value
        report.record(found)
        if report.stops:
            report.told = True
            metrics.close()
            raise TrialStopped
