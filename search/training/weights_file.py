"""A file of trained weights: what a network's `state_dict` gives, saved by torch or as safetensors. No code is run."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leni.errors import SpecError

__all__ = ["read_weights"]

INSIDE = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "state",
    "network",
)  # keys of weights in a checkpoint
PREFIXES = ("module.", "_orig_mod.", "network.")  # of wrappers, in names


def read_weights(path: str | Path) -> Mapping[str, Tensor]:
    """The tensors of a file, by the names of the network's parameters and buffers.

    Args:
        path: a .safetensors file, or one of torch.save: a state_dict, a checkpoint with one in it, or what
            `leni-search export` wrote.

    Raises:
        SpecError: it cannot be read, holds code, or holds no tensors by name.
    """
    place = Path(path)
    try:
        return _read(str(place), place.stat().st_mtime_ns)
    except OSError as error:
        raise SpecError(f"weights: {path} cannot be read: {error.strerror or error}", code="LS-PATH") from None


@lru_cache(maxsize=2)
def _read(path: str, changed: int) -> dict[str, Tensor]:
    """`changed`: when the file was written, so that a new one is read again."""
    found = _safetensors(path) if path.endswith(".safetensors") else _saved(path)
    if isinstance(found, Mapping):
        found = next((found[key] for key in INSIDE if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        raise SpecError(f"weights: {path} holds no tensors by the names of a network's parameters", code="LS-PATH")
    return {_without_prefix(str(name)): value for name, value in found.items() if isinstance(value, Tensor)}


def _saved(path: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise SpecError(
            f"weights: {path} is no file of torch.save with tensors, numbers and texts alone; save the network's "
            "state_dict()",
            code="LS-PATH",
        ) from error


def _safetensors(path: str) -> Any:
    try:
        reader = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError:
        raise SpecError(f"weights: {path} needs safetensors: pip install safetensors", code="LS-PATH") from None
    try:
        return reader.load_file(path)
    except importlib.import_module("safetensors").SafetensorError as error:
        raise SpecError(f"weights: {path} is not a safetensors file: {error}", code="LS-PATH") from None


def _without_prefix(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name
