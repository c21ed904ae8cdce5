"""A data set as a reader hands it over: labels in memory, pixels on demand, before any split."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Labelled:
    """Labels (N,) int64, and `take(indices)`, which gives the images at those places as uint8 (n, C, H, W)."""

    labels: NDArray[np.int64]
    take: Callable[[NDArray[np.int64]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Raw:
    """A data set as its files have it: with or without a validation and a test part of its own."""

    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    train: Labelled
    validation: Labelled | None = None
    test: Labelled | None = None


def in_memory(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Labelled:
    """Images (N, C, H, W) that have been read already, beside their labels."""
    return Labelled(labels, images.__getitem__)


def numbered(count: int) -> tuple[str, ...]:
    """The names of classes that have none of their own here: "0", "1", ..."""
    return tuple(str(label) for label in range(count))
