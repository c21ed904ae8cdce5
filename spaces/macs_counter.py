"""Multiply-adds of whatever runs on the meta device."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["MacsCounter"]


class MacsCounter(TorchDispatchMode):
    """torch's flop counter by the same formulas, without what takes most of its time where only shapes are wanted.

    Filling a weight, normalising by running statistics and elementwise work leave shapes as they are, yet on the meta
    device each is worked out in Python, and normalising once more in `FlopCounterMode`, which decomposes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    @property
    def macs(self) -> int:
        """Multiply-adds so far, half of the operations."""
        return self.flops // 2

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether torch.compile is to be kept off: it never comes by here, and keeping it off would load it."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _FILLS:
            return args[0]
        if func in _NORMS:
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        if func.overloadpacket in _ALIKE and _same_shape(args):
            return args[0] if func._schema.is_mutable else torch.empty_like(args[0])
        result = _shaped(func, args, kwargs or {})
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _shaped(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function gives. Three have a meta kernel in Python, and the first call of one loads torch's compiler."""
    if func is _ATEN.addmm.default:
        return args[1].new_empty(args[1].shape[0], args[2].shape[1])
    if func is _ATEN._prelu_kernel.default:
        return torch.empty_like(args[0])
    return (_ATEN.sum.dim_IntList if func is _ATEN.mean.dim else func)(*args, **kwargs)


def _same_shape(args: tuple[Any, ...]) -> bool:
    """Whether the first is a tensor, and no other tensor has another shape."""
    first = args[0]
    return isinstance(first, torch.Tensor) and all(
        other.shape == first.shape for other in args[1:] if isinstance(other, torch.Tensor)
    )


_ATEN = torch.ops.aten
_FILLS = frozenset({_ATEN.normal_.default, _ATEN.uniform_.default, _ATEN.fill_.Scalar, _ATEN.zero_.default})
_NORMS = frozenset({_ATEN.native_batch_norm.default, _ATEN._native_batch_norm_legit_no_training.default})
_ALIKE = frozenset({
    _ATEN.relu, _ATEN.relu_, _ATEN.add, _ATEN.add_, _ATEN.sub, _ATEN.mul, _ATEN.mul_, _ATEN.clamp, _ATEN.clamp_,
    _ATEN.clamp_min, _ATEN.clamp_max, _ATEN.neg, _ATEN.sigmoid, _ATEN.tanh, _ATEN.silu, _ATEN.silu_, _ATEN.gelu,
    _ATEN.hardtanh, _ATEN.hardtanh_, _ATEN.hardswish, _ATEN.hardswish_, _ATEN.elu, _ATEN.leaky_relu,
})  # fmt: skip
