"""Reads CIFAR-10 and CIFAR-100 in their published form for Python: pickled dictionaries of pixels and labels.

torchvision's classes accept only files with the published checksums, and unpickle them without restriction. Here the
content is checked instead (keys, types, shapes, range of the labels), so a part or a variant of the set in the same
form can be used. What a file may build are arrays of integers, by way of two classes of this module: numpy's own way
(`ndarray.__setstate__`) trusts its input, and a damaged file can make it read and write memory that it does not own.
"""

import io
import pickle
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.printable import printable
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
    pixels = pixels.values if isinstance(pixels, _Array) else pixels
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
        content = path.read_bytes()
        _check_memo(content)
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
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


def _check_memo(content: bytes) -> None:
    """Refuse a pickle that numbers an object beyond its own length: the unpickler has memory for every number below."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escape sequences in damaged texts
        for operation, number, _ in pickletools.genops(content):
            if operation.name in ("PUT", "LONG_BINPUT") and isinstance(number, int) and number > len(content):
                raise pickle.UnpicklingError(f"it numbers an object {number}, and has {len(content)} bytes")


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows arrays of integers and refuses every other global."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What stands for a global of the file; UnpicklingError for any that does not belong to an array."""
        core = module.replace("_core", "core")
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy.core.numeric", "_frombuffer"): _from_buffer,
            ("_codecs", "encode"): _encode,
        }
        if (core, name) not in known:
            raise pickle.UnpicklingError(
                f"it names {printable(module)}.{printable(name)}, and a data set holds arrays alone"
            )
        return known[core, name]


class _Type:
    """A pickled data type: an integer or a truth value of 1 to 8 bytes."""

    def __init__(self, code: str, align: object = False, copy: object = False) -> None:
        if code not in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "b1"):
            raise pickle.UnpicklingError(f"it holds values of the type {code!r}, where integers are expected")
        self.values = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):  # the byte order; of the rest, nothing applies to integers
            self.values = self.values.newbyteorder(state[1])


class _Array:
    """A pickled array; `values` is filled from its state."""

    values: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, kind, fortran, content = state[-4:]  # before these four, the form's version
        self._fill(content, kind, shape, "F" if fortran else "C")

    def _fill(self, content: bytes | str, kind: _Type, shape: tuple[int, ...], order: str) -> None:
        if not isinstance(kind, _Type) or order not in ("C", "F"):
            raise pickle.UnpicklingError("it holds an array that is none of integers")
        raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
        self.values = np.frombuffer(raw, kind.values).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes | str) -> _Array:
    """An array that is yet to be filled, as numpy's function of this name gives one to pickles of protocols 0 to 4."""
    if kind is not _Array:
        raise pickle.UnpicklingError(f"it builds an array of the type {kind}")
    return _Array()


def _from_buffer(content: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    """A filled array, as numpy's function of this name gives one to pickles of protocol 5."""
    array = _Array()
    array._fill(content, kind, shape, order)
    return array


def _encode(text: str, encoding: str) -> bytes:
    """The bytes that Python 3 writes as text in the old protocols, always as latin-1."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it holds text in the encoding {encoding!r}")
    return text.encode("latin1")
