"""Images of a folder, decoded once per machine into a file that all trials read.

A cache belongs to the paths, sizes and modification times of the files, and to the size in pixels. It is a folder of
that name with

    pixels            uint8 (N, 3, S, S), a sparse file: images that nobody has asked for take no room
    state             N bytes, 1 where the image is decoded; written after its pixels, so a process that is killed loses
                      the images that it was decoding and nothing else
    about.json        which data folder, for people
    statistics-*.json mean and standard deviation of a training part
    lock              held by the process that decodes

Two processes that decode at once write the same bytes, so a file system without locks costs time alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from results.files import replace_file
from search.training.decoding import decode_into
from search.training.printable import printable
from search.training.raw import Taken
from search.training.stored_images import StoredImages

__all__ = [
    "CACHE_VARIABLE",
    "CacheUnavailable",
    "CachedFolder",
    "ImageCache",
    "cache_folder",
    "cached_folders",
    "clean",
]

CACHE_VARIABLE = "LENI_SEARCH_CACHE"
_FORM = 1  # of the files, and of what decoding makes of an image
_CHUNK_BYTES = 2**26  # decoded between two writes
_SPARE_BYTES = 2**26  # that stay free on the disk


class CacheUnavailable(DataError):
    """A disk without the room for decoded images, or a folder for them that cannot be written."""

    code = "LS-DATA-CACHE"


@dataclass(frozen=True)
class CachedFolder:
    """One cache: its place, the data folder it was made from, the bytes that it takes, whether it could be removed."""

    place: Path
    source: str
    bytes: int
    removed: bool = False


def cache_folder() -> Path:
    """Where caches are kept: $LENI_SEARCH_CACHE, else leni-search in $XDG_CACHE_HOME or ~/.cache."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "leni-search" / "images"


class ImageCache:
    """The cache of some images of a data folder.

    Args:
        source: the data folder.
        paths: N of them, in it.
        size: side of the decoded squares, pixels.
    """

    def __init__(self, source: Path, paths: Sequence[Path], size: int) -> None:
        self.source, self.paths, self.shape = source, paths, (3, size, size)
        self.bytes = 3 * size * size
        self.folder = cache_folder() / _key(source, paths, size)
        self.pixels, self.state = self.folder / "pixels", self.folder / "state"

    def take(
        self, rows: NDArray[np.int64], *, skip_broken: bool = False, advance: Callable[[int, bool], None] | None = None
    ) -> Taken:
        """The images at `rows` (n,), decoded where they are not yet.

        Args:
            rows: which of the N images.
            skip_broken: whether images that cannot be read are skipped; else the first of them is an error.
            advance: told how many more of the n images are there, and whether they were decoded just now.

        Raises:
            DataError: an image cannot be read, and is not to be skipped.
            CacheUnavailable: the disk has no room, or cannot be written.
        """
        advance = advance or (lambda count, decoded: None)
        try:
            with self._locked() as descriptors:
                state = np.fromfile(self.state, dtype=np.uint8)
                missing = rows[state[rows] == 0]
                advance(len(rows) - len(missing), False)
                self._require_room(len(missing))
                broken = self._decode(missing, *descriptors, skip_broken=skip_broken, advance=advance)
        except OSError as error:
            raise CacheUnavailable(
                f"decoded images cannot be kept in {printable(self.folder.parent)} ({error.strerror or error})"
            ) from error
        places = {int(row): place for place, row in enumerate(rows)} if broken else {}
        stored = StoredImages(self.pixels, self.shape, rows)
        return Taken(stored, {places[row]: sentence for row, sentence in broken.items()})

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        """Make the files, and be the one process that writes to them; descriptors of pixels and state."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "about.json").exists():
            about = {"source": printable(self.source), "images": len(self.paths), "shape": self.shape}
            replace_file(self.folder / "about.json", json.dumps(about).encode())
        with (self.folder / "lock").open("a") as lock:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            pixels, state = (os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC) for path in (self.pixels, self.state))
            try:
                os.ftruncate(pixels, len(self.paths) * self.bytes)
                os.ftruncate(state, len(self.paths))
                yield pixels, state
            finally:
                os.close(pixels)
                os.close(state)

    def _require_room(self, count: int) -> None:
        free, needed = shutil.disk_usage(self.folder).free, count * self.bytes
        if needed and needed + _SPARE_BYTES > free:
            raise CacheUnavailable(
                f"decoded images would take {needed / 2**30:.2f} GiB more in {printable(self.folder.parent)}, which "
                f"has {free / 2**30:.2f} GiB free"
            )

    def _decode(
        self,
        rows: NDArray[np.int64],
        pixels: int,
        state: int,
        *,
        skip_broken: bool,
        advance: Callable[[int, bool], None],
    ) -> dict[int, str]:
        """Decode the images at `rows` into the files; what is wrong with those that cannot be read, by their row."""
        broken: dict[int, str] = {}
        step = max(1, min(512, _CHUNK_BYTES // self.bytes))
        images = np.empty((min(step, len(rows)), *self.shape), dtype=np.uint8)
        for start in range(0, len(rows), step):
            chunk = [int(row) for row in rows[start : start + step]]
            failures = decode_into(images[: len(chunk)], [self.paths[row] for row in chunk])
            done = []
            for row, image, failure in zip(chunk, images, failures, strict=False):
                if failure is None:
                    _write(pixels, image.tobytes(), row * self.bytes)
                    done.append(row)
                else:
                    broken[row] = f"{printable(self.paths[row])} {failure}."
            os.fdatasync(pixels)  # a machine that stops must not leave images that are marked and empty
            for row in done:
                _write(state, b"\1", row)
            if broken and not skip_broken:
                raise DataError(next(iter(broken.values())))
            advance(len(chunk), True)
        return broken


def cached_folders() -> list[CachedFolder]:
    """The caches on this machine."""
    found = []
    for about in sorted(cache_folder().glob("*/about.json")):
        try:
            source = json.loads(about.read_text(encoding="utf-8"))["source"]
        except (OSError, ValueError, KeyError, TypeError):
            source = "?"
        size = sum(path.stat().st_blocks * 512 for path in about.parent.iterdir())
        found.append(CachedFolder(about.parent, source, size))
    return found


def clean() -> list[CachedFolder]:
    """Remove the caches that no process reads or writes; what became of each.

    Raises:
        DataError: one cannot be removed.
    """
    result = []
    for cache in cached_folders():
        try:
            removed = _remove(cache.place)
        except OSError as error:
            raise DataError(f"{printable(cache.place)} cannot be removed ({error.strerror}).") from error
        result.append(CachedFolder(cache.place, cache.source, cache.bytes, removed))
    return result


def _remove(place: Path) -> bool:
    """Remove one cache, unless it is in use."""
    with (place / "lock").open("a") as lock, (place / "pixels").open("ab") as pixels:
        for stream in (lock, pixels):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # a file system without locks: who asks for it to be removed knows who uses it
                continue
        shutil.rmtree(place)
    return True


def _key(source: Path, paths: Sequence[Path], size: int) -> str:
    """A name that changes with the files' paths, sizes and times, and with the size in pixels."""
    digest = hashlib.sha256(f"{_FORM} {size} {os.path.realpath(source)}".encode("utf-8", "surrogateescape"))
    for path in paths:
        try:
            found = path.stat()
            facts = f"{found.st_size} {found.st_mtime_ns}"
        except OSError:  # decoding says why
            facts = "gone"
        digest.update(f"\0{path.relative_to(source)}\0{facts}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _write(descriptor: int, content: bytes, offset: int) -> None:
    """All of the bytes at that place of the file."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
