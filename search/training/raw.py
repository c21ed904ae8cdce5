"""A data set as a reader hands it over: labels in memory, pixels on demand, before any split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.training.stored_images import StoredImages


@dataclass(frozen=True)
class Taken:
    """Images uint8 (n, C, H, W), and what is wrong with those that could not be read, by their row, a sentence each."""

    images: NDArray[np.uint8] | StoredImages
    broken: Mapping[int, str] = field(default_factory=dict)


class Take(Protocol):
    """Gives the images at some places of a part."""

    def __call__(
        self,
        indices: NDArray[np.int64],
        *,
        skip_broken: bool = False,
        in_memory: bool = False,
        advance: Callable[[int, bool], None] | None = None,
    ) -> Taken:
        """The images at `indices` (n,).

        Args:
            indices: places in the part.
            skip_broken: whether images that cannot be read are skipped; else the first of them raises a DataError.
            in_memory: whether the images are to be in memory where they could be on disk.
            advance: told how many more images are there, and whether they were decoded just now, where that takes time.
        """


@dataclass(frozen=True)
class Labelled:
    """Labels (N,) int64, and the images on demand."""

    labels: NDArray[np.int64]
    take: Take


@dataclass(frozen=True)
class Raw:
    """A data set as its files have it: with or without a validation and a test part of its own.

    Args:
        notes: what the user should know of it, a sentence each.
        augmentation: what `search.training.augment` should do; None for what the kind of data set says.
        on_disk: whether the images that are taken lie on disk, unless they are asked for in memory.
    """

    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    train: Labelled
    validation: Labelled | None = None
    test: Labelled | None = None
    notes: tuple[str, ...] = ()
    on_disk: bool = False
    augmentation: str | None = None


def in_memory(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Labelled:
    """Images (N, C, H, W) that have been read already, beside their labels."""
    return Labelled(labels, lambda indices, **_: Taken(images[indices]))


def numbered(count: int) -> tuple[str, ...]:
    """The names of classes that have none of their own here: "0", "1", ..."""
    return tuple(str(label) for label in range(count))
