"""What a user's function prints, in a file for each trial: its beginning and its end, without secrets.

Everything that the process and its children write to standard output and standard error goes to the file, whichever
language writes it. A file that grows beyond `LIMIT` loses its middle.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TextIO

from results.text import readable
from search.store.secrets import masked_lines

__all__ = ["LIMIT", "TrialOutput", "finish_output", "output_tail"]

LIMIT = 10_000_000  # bytes of one trial's file
TAIL = 1_000_000  # bytes of its end that are kept when it becomes too long
CONTINUED = b"\n--- the trial begins again or goes on in another process ---\n"


class TrialOutput:
    """Standard output and standard error of this process, directed into a file until `close`.

    Args:
        path: of the file, which is added to.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.left_out = path, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.file = os.open(path, flags, 0o644)
        if os.fstat(self.file).st_size:
            os.write(self.file, CONTINUED)
        _flush()
        self.before = [os.dup(1), os.dup(2)]
        for stream in (1, 2):
            os.dup2(self.file, stream)
        self.streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _stream(1), _stream(2)

    def check(self) -> None:
        """Cut the file's middle out where it has become too long; on a file system that fails, later."""
        if os.fstat(self.file).st_size > LIMIT:
            with contextlib.suppress(OSError):
                self.left_out += _cut(self.path, self.left_out)

    def close(self) -> None:
        """Give the process its own output back, and finish the file."""
        _flush()
        sys.stdout, sys.stderr = self.streams
        for stream, descriptor in zip((1, 2), self.before, strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        self.check()
        os.close(self.file)
        finish_output(self.path)


def finish_output(path: Path) -> None:
    """Take secrets out of a file that is written no longer, and take it away where it is empty."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > LIMIT:
            _cut(path, 0)
        content = path.read_bytes()
        if not content:
            path.unlink()
            return
        text = content.decode(errors="backslashreplace")
        if (safe := masked_lines(text)) != text:
            path.write_text(safe, encoding="utf-8", errors="backslashreplace")


def output_tail(path: Path, *, longest: int) -> str:
    """The end of a trial's output, as a terminal or a page can show it.

    Args:
        path: of the file.
        longest: bytes of it that are read, at most.

    Returns:
        Whole lines without secrets and control characters; empty where there is no file.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - longest))
            content = stream.read(longest)
    except OSError:
        return ""
    if size > longest:
        content = b"...\n" + content.partition(b"\n")[2]
    lines = masked_lines(content.decode(errors="backslashreplace")).rstrip().split("\n")
    return "\n".join(readable(line.rstrip("\r").rpartition("\r")[2]) for line in lines)  # a bar's last state


def _cut(path: Path, earlier: int) -> int:
    """Leave a file its beginning and its end; how many bytes went."""
    half = LIMIT // 2
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(half, size - TAIL))
        tail = stream.read(TAIL)
        gone = size - half - len(tail)
        stream.truncate(half)
    with path.open("ab") as stream:
        stream.write(f"\n... {earlier + gone:,} bytes are left out ...\n".encode() + tail)
    return gone


def _stream(descriptor: int) -> TextIO:
    """A text stream that writes every line at once, so that nothing is lost when the process is killed."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush() -> None:
    """Write what Python holds back."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or put in place by a user
            stream.flush()
