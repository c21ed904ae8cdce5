"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["replace_file"]


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
