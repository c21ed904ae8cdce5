"""Reads CIFAR-10 and CIFAR-100 in their published form for Python: pickled dictionaries of pixels and labels.

torchvision's classes accept only files with the published checksums, and unpickle them without restriction. Here the
content is checked instead (keys, types, shapes, range of the labels), so a part or a variant of the set in the same
form can be used, and the unpickler builds numpy arrays and nothing else: a file cannot run code.
"""

import codecs
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.raw import Labelled, Raw, in_memory, numbered

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


@dataclass(frozen=True)
class CifarForm:
    """Where one of the two sets keeps what: its folder, its files and the key of its labels."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_key: str
    classes: int

    def find(self, folder: Path | None) -> Path | None:
        """The folder that holds all files: `folder` itself, or the one of the published name in it."""
        files = self.train + self.test
        places = () if folder is None else (folder, folder / self.folder)
        return next((place for place in places if all((place / name).is_file() for name in files)), None)

    def read(self, place: Path, size: int | None) -> Raw:
        """Both parts.

        Raises:
            DataError: a file is truncated, of another form, or wants to build anything but arrays.
        """
        train, test = (_read_batches([place / name for name in names], self) for names in (self.train, self.test))
        return Raw(numbered(self.classes), (3, _SIDE, _SIDE), train, test=test)


CIFAR10 = CifarForm(
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    label_key="labels",
    classes=10,
)
CIFAR100 = CifarForm(folder="cifar-100-python", train=("train",), test=("test",), label_key="fine_labels", classes=100)


def _read_batches(paths: list[Path], form: CifarForm) -> Labelled:
    """The files' images (N, 3, 32, 32) and labels, one file after the other."""
    batches = [_read_batch(path, form) for path in paths]
    return in_memory(
        np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])
    )


def _read_batch(path: Path, form: CifarForm) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One file's images and labels, checked."""
    batch = _unpickle(path)
    if not isinstance(batch, dict) or not {"data", form.label_key} <= batch.keys():
        found = sorted(map(str, batch)) if isinstance(batch, dict) else type(batch).__name__
        raise DataError(f"{path} holds {found}, where a dictionary with 'data' and '{form.label_key}' is expected.")
    pixels, values = batch["data"], batch[form.label_key]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"{path} has pixels of the form {found}, where uint8 (images, {_PIXELS}) is expected.")
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < form.classes for value in values):
        raise DataError(
            f"{path} has labels under '{form.label_key}' that are not a list of integers 0..{form.classes - 1}."
        )
    if len(values) != len(pixels):
        raise DataError(f"{path} has {len(pixels)} images and {len(values)} labels, where the two must be as many.")
    return pixels.reshape(-1, 3, _SIDE, _SIDE), np.array(values, dtype=np.int64)


def _unpickle(path: Path) -> Any:
    """The object in the file; strings of Python 2, which wrote the published files, are read as latin-1."""
    try:
        return _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    # What the unpickler and numpy raise on bytes that are no pickle, or on a part of one.
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise DataError(
            f"{path} cannot be unpickled ({error}): it is truncated, corrupt, or of another form."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows numpy's arrays and refuses every other global."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The constructor behind a global of the file; UnpicklingError for any that does not belong to an array."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode  # how Python 3 writes bytes in the old protocol
        raise pickle.UnpicklingError(f"it names {module}.{name}, and a data set holds arrays alone")


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes | str) -> NDArray[Any]:
    """The array that numpy's own _reconstruct gives; the pickle then fills it through __setstate__."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it builds an array of the type {kind}")
    return np.ndarray(shape, np.uint8)


def _dtype(code: str, align: int, copy: int) -> np.dtype[Any]:
    """A data type of its own; the integers that old files hold are not numpy's booleans any more."""
    return np.dtype(code, align=bool(align), copy=bool(copy))
