"""States of unfinished trainings: one file for each trial, in a shared folder or at an fsspec address.

A file is replaced whole or not at all, so a process may die at any moment. It holds tensors, numbers and texts, and is
read as such: a file that would run code is refused as one that is broken, and its trial starts again.
"""

from __future__ import annotations

import io
import pickle
import re
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from torch import Tensor

from leni.errors import FolderError
from search.store.secrets import masked
from search.store.user_path import user_path

__all__ = ["Checkpoints", "absolute_folder", "below"]

_ADDRESS = re.compile(r"(?:[\w.+-]+::)*[A-Za-z][\w.+-]*://")  # s3://..., simplecache::s3://...; anything else is a path


class Checkpoints:
    """The states of a run's trials.

    Args:
        address: a folder, or what fsspec reads: `s3://bucket/run`, `gs://...`, `memory://...`.

    Raises:
        FolderError: the address is of a kind that fsspec does not know here, or cannot be written.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            if _ADDRESS.match(address):
                self.files, self.root = fsspec.core.url_to_fs(address)
            else:  # fsspec would read "::" and "~" in the path of a folder
                self.files, self.root = fsspec.filesystem("file"), absolute_folder(address)
        except (ImportError, ValueError) as error:
            raise FolderError(
                f"{masked(address)} cannot be used for checkpoints: {masked(str(error))}", code="LS-CHECKPOINTS"
            ) from None
        self.local = "file" in self.files.protocol

    def check(self) -> None:
        """Write a file and take it away again.

        Raises:
            FolderError: that was not possible.
        """
        probe = f"{self.root}/.probe-{uuid.uuid4().hex}"
        try:
            self.files.makedirs(self.root, exist_ok=True)
            self.files.pipe_file(probe, b"")
            self.files.rm_file(probe)
        except Exception as error:
            if not isinstance(error, (OSError, ValueError)) and not _of_a_service(error):
                raise
            raise FolderError(
                f"checkpoints cannot be written to {masked(self.address)}: {masked(_line(error))}",
                code="LS-CHECKPOINTS",
            ) from None

    def _path(self, number: int) -> str:
        return f"{self.root}/{number:06d}.pt"

    def save(self, number: int, state: Any) -> None:
        """Put a trial's state in place of the one before.

        Args:
            number: of the trial.
            state: tensors, arrays, numbers, texts, and mappings and sequences of them.

        Raises:
            OSError: it cannot be written; the one before is still there.
            TypeError: there is something else in the state.
        """
        buffer = io.BytesIO()
        torch.save(_plain(state), buffer)
        if not self.local:  # an object store puts an object whole
            self.files.pipe_file(self._path(number), buffer.getvalue())
            return
        draft = f"{self._path(number)}.{uuid.uuid4().hex}.part"
        self.files.makedirs(self.root, exist_ok=True)
        try:
            self.files.pipe_file(draft, buffer.getvalue())
            self.files.mv(draft, self._path(number))
        except OSError:
            if self.files.exists(draft):
                self.files.rm_file(draft)
            raise

    def load(self, number: int) -> Any:
        """A trial's last state; None where there is none.

        Raises:
            FolderError: there is one that cannot be read, or that holds more than data.
        """
        path = self._path(number)
        try:
            if not self.files.exists(path):
                return None
            content = self.files.cat_file(path)
        except OSError as error:
            raise FolderError(f"{path} cannot be read: {_line(error)}", code="LS-CHECKPOINTS") from None
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, ValueError, LookupError, TypeError) as error:
            unsafe = "weights_only" in str(error) or "Unsupported" in str(error)
            why = "it holds more than tensors, numbers and texts" if unsafe else "it is truncated or broken"
            raise FolderError(f"{path} cannot be read: {why}", code="LS-CHECKPOINTS") from None

    def holds(self, number: int) -> bool:
        """Whether there is a state of a trial."""
        return bool(self.files.exists(self._path(number)))

    def remove(self, number: int) -> None:
        """Forget a trial's state, if there is one."""
        if self.files.exists(self._path(number)):
            self.files.rm_file(self._path(number))

    def move(self, number: int, to: int) -> None:
        """Let another trial continue from a state, if there is one."""
        if self.files.exists(self._path(number)):
            self.files.mv(self._path(number), self._path(to))


def absolute_folder(address: str) -> str:
    """A folder's path made absolute, so that it means the same in every process; an fsspec address as it is."""
    return address if _ADDRESS.match(address) else str(user_path(address))


def below(address: str, name: str) -> str:
    """The address of a folder inside another.

    Example:
        >>> below("s3://bucket/run/?region=eu", "weights"), below("/states", "weights")
        ('s3://bucket/run/weights?region=eu', '/states/weights')
    """
    if not _ADDRESS.match(address):
        return str(Path(address) / name)
    path, question, query = address.partition("?")
    if "=" not in query:  # a file's name may hold a question mark
        path, question, query = address, "", ""
    return f"{path.rstrip('/')}/{name}{question}{query}"


def _plain(value: Any) -> Any:
    """The same in types that a load without code accepts."""
    if value is None or isinstance(value, Tensor) or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, OrderedDict):  # a module's, whose versions are in an attribute
        ordered = OrderedDict((name, _plain(item)) for name, item in value.items())
        vars(ordered).update(vars(value))
        return ordered
    if isinstance(value, Mapping):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        made = [_plain(item) for item in value]
        return tuple(made) if isinstance(value, tuple) else made
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value)
    if isinstance(value, np.generic | bool | int | float | str):  # and what derives from them
        return value.item() if isinstance(value, np.generic) else _base(value)
    raise TypeError(f"a state must hold tensors, numbers and texts, got {type(value).__name__}")


def _base(value: bool | int | float | str) -> bool | int | float | str:
    kind = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
    return kind(value)


def _of_a_service(error: Exception) -> bool:
    """Whether it comes from a storage service's own client, whose errors have no common base."""
    return type(error).__module__.partition(".")[0] in ("botocore", "gcsfs", "google", "azure", "adlfs", "aiohttp")


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__
