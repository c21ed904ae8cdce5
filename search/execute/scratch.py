"""The temporary folder of a Ray on this machine, and what killed processes have left of theirs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leni.errors import FolderError
from search.store.locks import LocksMissing, try_lock

__all__ = ["scratch"]

LONGEST_PLACE = 24  # bytes; Ray adds up to 80 of its own, and Unix allows a socket's path 107
PREFIX = "leni-ray-"
LOCK = "driver.lock"


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for Ray's sockets and logs, for the length of a block.

    It is locked for as long as its process lives. Those of processes that were killed, and so could not remove theirs,
    are removed here.
    """
    place = tempfile.gettempdir()
    place = place if len(place) <= LONGEST_PLACE else "/tmp"
    _sweep(Path(place))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    draft = folder / f"{LOCK}.part"
    try:
        with draft.open("w") as stream:
            with contextlib.suppress(LocksMissing):  # then nobody sweeps here either
                try_lock(stream)
            draft.rename(folder / LOCK)  # nobody sees it unlocked
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove the folders whose process is gone."""
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError, FolderError), lock.open("r+") as stream:  # somebody else's, or just removed
            if try_lock(stream):
                shutil.rmtree(lock.parent, ignore_errors=True)
