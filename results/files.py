"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection
from pathlib import Path

from results.errors import ResultsError

__all__ = ["known_suffix", "replace_file"]


def known_suffix(path: str | Path, suffixes: Collection[str], what: str) -> str:
    """A file's suffix in lower case.

    Raises:
        ResultsError: it is none of these; `what` says what is to be saved.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ResultsError(f"{what} is saved as one of {', '.join(suffixes)}, got {Path(path).name}")
    return suffix


def replace_file(path: str | Path, content: bytes) -> None:
    """Put a file in place whole or not at all, also if the machine stops in between.

    Raises:
        OSError: the file cannot be written; what was there before is untouched.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)  # the new name is on disk too
        finally:
            os.close(handle)
