"""What Ray prints of its own processes' ends and errors, "(raylet) ...", kept off a terminal that is to stay quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import worker

__all__ = ["without_raylet_lines"]


@contextmanager
def without_raylet_lines() -> Iterator[None]:
    """Print none of the lines that Ray's listener for errors prints, which no setting of `ray.init` turns off."""

    def unprinted(*_: Any, **__: Any) -> None:
        """Nothing; the raylet's log has it."""

    printed = worker.print_to_stdstream
    worker.print_to_stdstream = unprinted
    try:
        yield
    finally:
        worker.print_to_stdstream = printed
