"""The rule for functions whose operands and result are of one shape."""

from __future__ import annotations

import torch

from leni.recording import Step, tensors_in
from leni.widths.flow import Flow
from leni.widths.sizes import Size

__all__ = ["elementwise"]


def elementwise(flow: Flow, step: Step) -> bool:
    """Operands and result are of one shape, but for broadcasting."""
    tensors = list(tensors_in((step.args, step.kwargs)))
    results = list(tensors_in(step.result))
    shape = results[0].shape
    try:
        broadcast = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except RuntimeError:
        return False
    if not tensors or broadcast != shape or any(tensor.shape != shape for tensor in results):
        return False
    dims: list[Size | None] = [None] * len(shape)
    for tensor in tensors:
        for index, size in enumerate(flow.dims(tensor), len(shape) - tensor.dim()):
            if flow.equations.now(size) != shape[index]:
                continue  # broadcast
            known = dims[index]
            if known is not None:
                flow.equate(known, size, step)
            dims[index] = size
    whole = tuple(Size.of(now) if size is None else size for size, now in zip(dims, shape, strict=True))
    return flow.put_all(results, whole)
