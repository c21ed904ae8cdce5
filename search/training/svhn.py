"""Reads SVHN's cropped digits in their published form: one MATLAB file a part.

torchvision's class accepts only files with the published checksums; here the content is checked instead, so that a
part of the set in the same form can be used.
"""

import zlib
from pathlib import Path

import numpy as np

from leni.errors import DataError
from search.training.raw import Labelled, Raw, in_memory, numbered

FILES = ("train_32x32.mat", "test_32x32.mat")


def find_svhn(folder: Path | None) -> Path | None:
    """The folder, where it holds both files."""
    return folder if folder is not None and all((folder / name).is_file() for name in FILES) else None


def read_svhn(place: Path, size: int | None) -> Raw:
    """Both parts; DataError names the file that is truncated or of another form."""
    train, test = (_read_mat(place / name) for name in FILES)
    return Raw(numbered(10), (3, 32, 32), train, test=test)


def _read_mat(path: Path) -> Labelled:
    """One file: X (32, 32, 3, N) and y (N, 1), in which 10 stands for the digit 0."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=("X", "y"))
    # What the reader raises on bytes that are no MATLAB file, or on a part of one.
    except (
        MatReadError,
        zlib.error,
        ArithmeticError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        raise DataError(
            f"{path} cannot be read as a MATLAB file ({error}): it is truncated, corrupt, or of another form."
        ) from error
    if not {"X", "y"} <= content.keys():
        raise DataError(f"{path} lacks the variables X and y, or one of them: it is truncated, or of another form.")
    images, labels = content["X"], content["y"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise DataError(f"{path} has X in the form {images.dtype} {images.shape}, where uint8 (32, 32, 3, N) is right.")
    if labels.shape != (images.shape[3], 1):
        raise DataError(f"{path} has {images.shape[3]} images, and labels of shape {labels.shape}: not one for each.")
    if labels.dtype.kind not in "iuf" or not np.isin(labels, np.arange(1, 11)).all():
        raise DataError(f"{path} has labels that are not in 1..10, where 10 stands for the digit 0.")
    return in_memory(np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels[:, 0].astype(np.int64) % 10)
