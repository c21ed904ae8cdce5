"""Leaves out of a data folder's parts what is there twice: files of the same bytes are one picture.

The test part keeps what it was given, then the validation part, and the training part goes without what they have;
under two classes, the first one keeps it. A folder that is yet to be cut into parts loses copies within a class too,
since one of them might be learned and another tested; in a training part of the user's own they stay.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.cpus import usable_cpus
from search.training.left_out import LeftOut, Reason
from search.training.listing import ImageList
from search.training.printable import printable

__all__ = ["first_copies", "without_copies"]

_TAIL = 4096  # bytes at a file's end, in which two images of one size nearly always differ
_THREADS_PER_CPU = 4  # reading waits for the disk
_KEEPING = ("test", "validation", "train")  # which part keeps a picture that is in several


def without_copies(lists: Mapping[str, ImageList], left_out: LeftOut) -> dict[str, ImageList]:
    """The lists of each part without files of the same bytes, as the head of this file says; what goes is counted.

    Raises:
        DataError: a class would have no image in a part.
    """
    order = [part for part in _KEEPING if part in lists]
    first = first_copies([path for part in order for path in lists[part].paths])
    parts = np.repeat(np.arange(len(order)), [len(lists[part].paths) for part in order])
    labels = np.concatenate([lists[part].labels for part in order])
    keep = np.ones(len(first), dtype=bool)
    for row in np.flatnonzero(first != np.arange(len(first))):
        original = first[row]
        if parts[original] != parts[row]:
            where = f"the {order[parts[original]]} part"
        elif labels[original] != labels[row]:
            where = "another class"
        elif len(order) == 1:
            where = "the same class"
        else:
            continue
        keep[row] = False
        start = np.searchsorted(parts, parts[row])
        reason = Reason(f"copy of an image of {where}", f"copies of images of {where}")
        left_out.add(reason, lists[order[parts[row]]].paths[row - start])
    return {part: _kept(part, images, keep[parts == order.index(part)], left_out) for part, images in lists.items()}


def _kept(part: str, images: ImageList, keep: NDArray[np.bool_], left_out: LeftOut) -> ImageList:
    """Those images that are to be kept."""
    if gone := set(range(len(images.classes))).difference(images.labels[keep].tolist()):
        name = printable(images.classes[min(gone)])
        raise DataError(
            f"every image of the class '{name}' in the {part} part of {printable(left_out.root)} is there elsewhere "
            f"too ({left_out.sentence().rstrip('.')})."
        )
    paths = tuple(path for path, kept in zip(images.paths, keep, strict=True) if kept)
    return replace(images, paths=paths, labels=images.labels[keep])


def first_copies(paths: Sequence[Path]) -> NDArray[np.int64]:
    """For each file the index of the first one with the same bytes, itself where there is none before it.

    Files are compared by their size, those that agree by their last 4 KiB, those that agree again by all their bytes
    (BLAKE2b, 256 bits). An empty file, and one that cannot be read, is a copy of no other.
    """
    groups: list[list[int]] = [list(range(len(paths)))]
    with ThreadPoolExecutor(_THREADS_PER_CPU * usable_cpus()) as pool:
        for key in (_size, _tail, _digest):
            groups = [same for group in groups for same in _split(group, pool.map(key, (paths[row] for row in group)))]
    first = np.arange(len(paths))
    for group in groups:
        first[group] = min(group)
    return first


def _split(group: list[int], keys: Iterable[Hashable]) -> list[list[int]]:
    """The members of the group that share a key; those with none, or one of their own, are left out."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in zip(group, keys, strict=True):
        if key is not None:
            found[key].append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def _readable(key: Callable[[Path], Hashable]) -> Callable[[Path], Hashable]:
    """The key, None for a file that cannot be read; decoding it says why."""

    def found(path: Path) -> Hashable:
        try:
            return key(path)
        except OSError:
            return None

    return found


@_readable
def _size(path: Path) -> int | None:
    return path.stat().st_size or None


@_readable
def _tail(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL))
        return stream.read()


@_readable
def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32)).digest()
