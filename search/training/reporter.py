"""What a user's function reports with while it runs, and how it learns that it is to stop.

A driver that has decided to stop a trial cannot interrupt a function; it tells it at its next report. A function that
looks at what `report` returns is told by True, and ends as it likes. One that does not look is ended by an exception,
which unwinds its `with` blocks. Which of the two a function is shows at the call itself.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["Reporter", "TrialStopped", "get_checkpoint"]


class TrialStopped(BaseException):
    """Ends a user's function whose trial is to stop; a function may also raise it by itself.

    It is no `Exception`, so that a function's `except Exception` does not keep it going.
    """


class Reporter:
    """The `report` of one call of a user's function; any of its threads may call it.

    As a context manager it spans the call: `get_checkpoint` answers with its checkpoint inside, and it is over after.

    Args:
        receive: takes the metrics, the checkpoint and the step of a report, each None where there is none.
        stopping: set when the trial is to stop.
        checkpoint: what the function continues from, None at the beginning.

    Attributes:
        told: whether the function knows that it is to stop.
        over: whether the function has ended, so that nothing more is received.
    """

    active: Reporter | None = None  # of the call that this process is in

    def __init__(
        self, receive: Callable[[Any, Any, Any], None], stopping: threading.Event, *, checkpoint: Any = None
    ) -> None:
        self.receive, self.stopping, self.checkpoint = receive, stopping, checkpoint
        self.told = self.over = False

    def __enter__(self) -> Reporter:
        Reporter.active = self
        return self

    def __exit__(self, *_: object) -> None:
        self.over, Reporter.active = True, None

    def __call__(self, metrics: Any, checkpoint: Any = None, step: int | None = None) -> bool:
        """Report what is measured so far.

        Args:
            metrics: a number, which is the accuracy, or a mapping of names to values.
            checkpoint: what the function can continue from if its process ends: the path of a folder, which is read at
                once, or a mapping of tensors, arrays, numbers and texts.
            step: how far the training has come, a whole number that grows; None counts the reports.

        Returns:
            Whether the trial is to stop.

        Raises:
            TrialStopped: the trial is to stop, and the caller does not use the returned value, or was told before.
        """
        self.record(metrics, checkpoint, step)
        if not self.stops:
            return False
        if self.told or _unused(sys._getframe(1)):
            self.told = True
            raise TrialStopped
        self.told = True
        return True

    @property
    def stops(self) -> bool:
        """Whether the trial is to stop, or the function has ended."""
        return self.over or self.stopping.is_set()

    def record(self, metrics: Any, checkpoint: Any = None, step: int | None = None) -> None:
        """Report without an answer; what comes after the function's end is not received."""
        if not self.over:
            self.receive(metrics, checkpoint, step)


def get_checkpoint() -> Any:
    """What the user's function that runs in this process continues from, in any of its threads.

    Returns:
        None at the beginning. After its process or its run has ended, what it last reported as its checkpoint: the
        mapping, or the path of a folder with the same files, which is there until the function ends.
    """
    return None if Reporter.active is None else Reporter.active.checkpoint


def _unused(caller: FrameType) -> bool:
    """Whether the caller drops the value of the call that it is in: the instruction after it takes it off the stack."""
    after = (one for one in dis.get_instructions(caller.f_code) if one.offset > caller.f_lasti)
    return next(after).opname == "POP_TOP"
