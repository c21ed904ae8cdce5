"""Arguments of a recorded call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from leni.recording import Step, tensors_in

__all__ = ["first", "given", "numbers"]


def given(step: Step, position: int, name: str, default: Any = None) -> Any:
    """An argument of a call, by position or by name."""
    return step.args[position] if len(step.args) > position else step.kwargs.get(name, default)


def first(step: Step) -> Tensor:
    """The first tensor that a step got."""
    return next(tensors_in((step.args, step.kwargs)))


def numbers(step: Step, position: int, name: str) -> list[int]:
    """A size, or dimensions: given as one sequence, or one by one."""
    value = given(step, position, name, ())
    if isinstance(value, int):
        value = [entry for entry in step.args[position:] if isinstance(entry, int)] or [value]
    return list(value) if isinstance(value, list | tuple | torch.Size) else []
