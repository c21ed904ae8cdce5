"""The traceback of a failed trial as it is kept: a text of a few kilobytes, without secrets or control characters."""

from __future__ import annotations

import traceback
from types import TracebackType

from results.text import readable
from search.store.secrets import masked

__all__ = ["LONGEST", "kept_traceback"]

LONGEST = 4000  # characters
WIDEST = 1000  # of one line, which may hold a whole message


def kept_traceback(failure: BaseException) -> str:
    """Where an exception was raised, as Python prints it, from the first frame of the evaluation on.

    Args:
        failure: as it was caught; the frame that caught it is left out.

    Returns:
        At most `LONGEST` characters. Of a longer traceback the middle is left out, since its beginning says which call
        of the user's led there, and its end what was raised.
    """
    shown = traceback.TracebackException(type(failure), failure, _inner(failure), limit=-100)
    lines = [line for part in shown.format() for line in part.rstrip("\n").split("\n")]
    text = masked(readable("\n".join(line if len(line) <= WIDEST else f"{line[:WIDEST]}..." for line in lines)))
    if len(text) <= LONGEST:
        return text
    half = (LONGEST - 5) // 2
    return f"{text[:half]}\n...\n{text[-half:]}"


def _inner(failure: BaseException) -> TracebackType | None:
    """The frames below the one that caught it."""
    caught = failure.__traceback__
    return caught.tb_next if caught is not None and caught.tb_next is not None else caught
