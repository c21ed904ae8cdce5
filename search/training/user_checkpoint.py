"""What a user's function keeps of its training, as data: a folder of files, or a mapping of tensors, numbers and texts.

A folder is read at once, so that it may be a temporary one, and given back as a folder of its own. Nothing is pickled:
loading a checkpoint runs no code, and a mapping that holds more than data cannot be kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

__all__ = ["packed", "unpacked"]

ARRAY = "leni-search:array"  # key of a NumPy array's tensor, since a state holds tensors alone


def packed(checkpoint: Any) -> dict[str, Any]:
    """A checkpoint as a state holds it.

    Args:
        checkpoint: path of a folder, or a mapping of tensors, NumPy arrays, numbers, texts, and mappings and sequences
            of them.

    Raises:
        OSError: the folder cannot be read.
        TypeError: it is neither, or the mapping holds something else (`Checkpoints.save` looks further into it).
    """
    if isinstance(checkpoint, Mapping):
        return {"state": _without_arrays(checkpoint)}
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"a checkpoint is the path of a folder or a mapping, got a {type(checkpoint).__name__}")
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise NotADirectoryError(f"a checkpoint is the path of a folder or a mapping, and {folder} is no folder")
    found = sorted(folder.rglob("*"))
    return {
        "folders": [path.relative_to(folder).as_posix() for path in found if path.is_dir()],
        "files": {path.relative_to(folder).as_posix(): _bytes(path) for path in found if path.is_file()},
    }


def unpacked(kept: Mapping[str, Any], folder: Path) -> Any:
    """What `packed` was given: the mapping, or the path of a folder with the same files.

    Args:
        kept: as `packed` made it.
        folder: an empty one to put files in.

    Raises:
        ValueError: the name of a file leads out of the folder.
        OSError: a file cannot be written.
    """
    if "state" in kept:
        return _with_arrays(kept["state"])
    for name in kept["folders"]:
        _inside(folder, name).mkdir(parents=True, exist_ok=True)
    for name, content in kept["files"].items():
        path = _inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.numpy().tobytes())
    return str(folder)


def _bytes(path: Path) -> torch.Tensor:
    """A file's bytes, (size,); a tensor is written as it is, where bytes would be escaped."""
    content = path.read_bytes()
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)


def _inside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or ".." in parts:
        raise ValueError(f"the file {name!r} of a checkpoint leads out of its folder")
    return folder.joinpath(*parts)


def _without_arrays(value: Any) -> Any:
    """The same with every NumPy array as a marked tensor."""
    if isinstance(value, np.ndarray):
        return {ARRAY: torch.from_numpy(np.array(value))}
    if type(value) is dict:
        return {name: _without_arrays(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_arrays(item) for item in value)
    return value


def _with_arrays(value: Any) -> Any:
    """The inverse of `_without_arrays`."""
    if type(value) is dict:
        if list(value) == [ARRAY]:
            return value[ARRAY].numpy()
        return {name: _with_arrays(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_arrays(item) for item in value)
    return value
