"""Stratified splits of exact size: a pure function of the labels and the seed.

Every class gets its share of a part, rounded so that the part has the size asked for (largest remainder), at least one
image, and never so many that a later part would go without.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError

Indices = NDArray[np.int64]


def split(
    labels: NDArray[np.int64], shares: Sequence[float], *, seed: int, names: Sequence[str], where: str
) -> list[Indices]:
    """Cuts one part after another off the images, and leaves the rest.

    Args:
        labels: (N,), 0..classes-1.
        shares: of all images, one for each part to cut off.
        seed: 0..2**32-1; which images a part gets.
        names: of the classes.
        where: the data set in words, for errors.

    Returns:
        The indices of each part, then those of the rest, each in ascending order; together all of 0..N-1, once each.
        A part has round(share * N) images, or one per class where that is more.

    Raises:
        DataError: a class has fewer images than there are parts.
    """
    counts = np.bincount(labels, minlength=len(names))
    least, parts = int(counts.argmin()), len(shares) + 1
    if counts[least] < parts:
        raise DataError(
            f"{where} has {counts[least]} images of the class '{names[least]}', where a split into {parts} parts needs "
            f"at least {parts} of each."
        )
    rows = _shuffled_rows(labels, len(names), seed)
    taken = np.zeros_like(counts)
    result: list[Indices] = []
    for share in shares:
        size = max(round(share * len(labels)), len(names))
        quota = quotas(counts, size, most=(counts - 1) // len(shares))
        result.append(_cut(rows, taken, taken + quota))
        taken += quota
    return [*result, _cut(rows, taken, counts)]


def subset(labels: NDArray[np.int64], size: int, *, seed: int, names: Sequence[str], where: str) -> Indices:
    """`size` of the images, every class by its share and at least once, in ascending order.

    Raises:
        DataError: there are fewer images than that, or more classes.
    """
    if not len(names) <= size <= len(labels):
        raise DataError(
            f"a train size of {size} was asked for, where {where} allows {len(names)} (one image a class) to "
            f"{len(labels)} (all of the training part)."
        )
    counts = np.bincount(labels, minlength=len(names))
    return _cut(_shuffled_rows(labels, len(names), seed), np.zeros_like(counts), quotas(counts, size, most=counts))


def quotas(counts: NDArray[np.int64], size: int, *, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of `size` places each class gets: the largest-remainder method, within 1..most.

    Args:
        counts: images of each class.
        size: places, len(counts)..sum(most).
        most: the most that each class can give, at least 1.

    Source: Hamilton's method of apportionment. It gives each class the floor of counts / total * size, and the places
    left over to the largest fractions, here compared as integers; of equal ones the first class wins.
    """
    total = int(counts.sum())
    quota = np.clip(counts * size // total, 1, most)
    while (left := size - int(quota.sum())) != 0:
        due = counts * size - quota * total  # what each class still misses, in units of 1 / total
        if left > 0:
            quota[np.where(quota < most, due, np.iinfo(np.int64).min).argmax()] += 1
        else:
            quota[np.where(quota > 1, due, np.iinfo(np.int64).max).argmin()] -= 1
    return quota


def _shuffled_rows(labels: NDArray[np.int64], classes: int, seed: int) -> list[Indices]:
    """The indices of each class in the order in which they are given away.

    RandomState is numpy's frozen generator: its stream is the same in every version, so a split stays what it was.
    """
    if not 0 <= seed < 2**32:
        raise DataError(f"the seed {seed} is outside 0..{2**32 - 1}.")
    order = np.random.RandomState(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])


def _cut(rows: list[Indices], start: NDArray[np.int64], stop: NDArray[np.int64]) -> Indices:
    return np.sort(np.concatenate([row[a:b] for row, a, b in zip(rows, start, stop, strict=True)]))
