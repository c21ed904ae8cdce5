"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Collection
from pathlib import Path

from results.errors import ResultsError

__all__ = ["known_suffix", "put_in_place", "replace_file"]

CANNOT = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP))  # of a file system, not a disk


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
            _sync(stream.fileno())
        put_in_place(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        try:
            handle = os.open(target.parent, os.O_RDONLY)
        except PermissionError:  # a folder that may be written, and not read
            return
        try:
            _sync(handle)  # the new name is on disk too
        finally:
            os.close(handle)


def _sync(handle: int) -> None:
    """Wait until the disk has it, where the file system can say so: some cannot for folders, some not at all."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in CANNOT:
            raise


def put_in_place(draft: Path, target: Path) -> None:
    """Rename a file over another, or where the file system does not allow that, after the other is out of the way.

    Raises:
        OSError: neither is possible; the other file is still there.
    """
    try:
        draft.replace(target)
    except OSError as error:
        if error.errno not in (*CANNOT, errno.EEXIST, errno.EPERM, errno.EACCES) or not target.is_file():
            raise
        aside = draft.with_suffix(".old")
        target.rename(aside)
        try:
            draft.rename(target)
        except OSError:
            aside.rename(target)
            raise
        aside.unlink()
