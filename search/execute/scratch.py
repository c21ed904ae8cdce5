"""The temporary folder of a Ray on this machine, and what killed processes have left of theirs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leni.errors import FolderError
from search.store.locks import LocksMissing, try_lock

__all__ = ["scratch"]

LEAST_FREE = 64 * 2**20  # bytes that Ray's logs and sockets may take
LONGEST_PLACE = 24  # bytes; Ray adds up to 80 of its own, and Unix allows a socket's path 107
PREFIX = "leni-ray-"
LOCK = "driver.lock"


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for Ray's sockets and logs, for the length of a block.

    It is locked for as long as its process lives. Those of processes that were killed, and so could not remove theirs,
    are removed here.
    """
    place = _place()
    _sweep(place)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    except OSError as error:
        raise FolderError(f"{place} cannot hold Ray's temporary files: {error.strerror}", code="LS-SCRATCH") from None
    draft = folder / f"{LOCK}.part"
    try:
        with draft.open("w") as stream:
            with contextlib.suppress(LocksMissing):  # then nobody sweeps here either
                try_lock(stream)
            draft.rename(folder / LOCK)  # nobody sees it unlocked
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    """The first of TMPDIR, /tmp, /var/tmp and /dev/shm that has a short path, may be written, and is not full.

    Raises:
        FolderError: none of them is.
    """
    asked = tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp"
    places = [Path(name) for name in dict.fromkeys((str(asked), "/tmp", "/var/tmp", "/dev/shm"))]
    for place in places:
        short = len(os.fsencode(place)) <= LONGEST_PLACE
        with contextlib.suppress(OSError):
            usable = place.is_absolute() and os.access(place, os.W_OK | os.X_OK)
            if short and usable and shutil.disk_usage(place).free >= LEAST_FREE:
                return place
    raise FolderError(
        f"Ray needs {LEAST_FREE >> 20} MiB for its sockets and logs, and none of {', '.join(map(str, places))} has "
        f"them: free some space, or set TMPDIR to a folder whose path is at most {LONGEST_PLACE} bytes long",
        code="LS-SCRATCH",
    )


def _sweep(place: Path) -> None:
    """Remove the folders whose process is gone."""
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError, FolderError), lock.open("r+") as stream:  # somebody else's, or just removed
            if try_lock(stream):
                shutil.rmtree(lock.parent, ignore_errors=True)
