"""Locks that the kernel lets go of when their process dies, and file systems that have none."""

from __future__ import annotations

import errno
import fcntl
from typing import IO, Any

from leni.errors import FolderError

__all__ = ["LocksMissing", "try_lock"]

MISSING = frozenset((errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL))
HELD = frozenset((errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES))


class LocksMissing(FolderError):
    """A file system that has no locks, as some network file systems are mounted."""

    code = "LS-FOLDER-NO-LOCKS"


def try_lock(stream: IO[Any], *, shared: bool = False) -> bool:
    """Lock an open file, without waiting, for as long as it is open.

    Args:
        stream: the file.
        shared: whether others may hold a shared lock too.

    Returns:
        Whether it is locked now; False where another process holds it.

    Raises:
        LocksMissing: the file system has no locks.
        FolderError: the lock cannot be taken for another reason.
    """
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        if error.errno in MISSING:
            raise LocksMissing(f"{stream.name} is on a file system without locks ({error.strerror})") from None
        raise FolderError(f"{stream.name} cannot be locked: {error.strerror}", code="LS-FOLDER-WRITE") from None
    return True
