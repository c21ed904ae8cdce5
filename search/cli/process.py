"""What a process may lack that libraries take for granted: open standard streams, a home folder, a user's name."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

__all__ = ["complete_process"]


def complete_process() -> None:
    """Give the process what it lacks.

    Closed standard streams are opened on the null device, or the next file that is opened would take their place;
    characters that a terminal cannot show are written as escapes. A user without a home, as in a container with an
    arbitrary user id, gets the temporary folder for one, in which Ray and torch keep what they keep in a home.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
    os.environ.setdefault("USER", os.environ.get("LOGNAME") or _user())


def _user() -> str:
    """The user's name, or number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
