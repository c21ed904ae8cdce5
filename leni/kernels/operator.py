"""The torch operator `leni::block`: LENI's default form, forward and backward, on the path chosen for the device.

One operator, and not a composition, so that a graph saves x alone, torch.compile and FlopCounterMode see one node, and
vmap runs the same kernel over R*C channels. It decomposes into the reference where a graph leaves torch (torch.export,
ONNX, torch.jit.trace). Autocast leaves it alone: the result has the dtype of x, computed in the parameters' precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from leni.kernels import reference

__all__ = ["leni_forward", "path"]

Gradients = tuple[Tensor, Tensor, Tensor]
_COMPILERS = {"cpu": "numba", "cuda": "triton"}

# Kept for the life of the process: torch drops what a Library registered together with it.
_LIBRARY = torch.library.Library("leni", "DEF")
_LIBRARY.define("block(Tensor x, Tensor weight, Tensor kernel) -> Tensor")
_LIBRARY.define("block_backward(Tensor grad, Tensor x, Tensor weight, Tensor kernel) -> (Tensor, Tensor, Tensor)")


class Path(NamedTuple):
    """Forward and backward for a type of device, and in words which they are and why."""

    forward: Callable[[Tensor, Tensor, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor, Tensor], Gradients]
    words: str


def leni_forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """Compute y = weight * ReLU(x) + kernel (depthwise *) min(x, 0).

    Args:
        x: (N, C, H, W).
        weight: (C,), the factor of the positive branch.
        kernel: (C, 1, k, k), k odd.

    Returns:
        (N, C, H, W), in the dtype of `x`; channels_last if `x` is, else contiguous.

    Source: our interpretation of LENI (arXiv 2306.10536), see `leni.block`; at x = 0 see `leni.kernels.reference`.
    """
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return reference.forward(x, weight, kernel)
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return _TransformableBlock.apply(x, weight, kernel)
    return _Block.apply(x, weight, kernel)


def path(device: str = "cpu") -> str:
    """Which path LENI's default form takes on a type of device.

    Args:
        device: "cpu", "cuda" or another type that torch knows.

    Returns:
        "numba", "triton", or "reference: " and the reason, one sentence.
    """
    return _path(device).words


@functools.cache
def _path(device: str) -> Path:
    """Choose once in a process; compiles, or reads the compiler's cache, at the first call."""
    words = f"there is no faster kernel for {device}"
    if device in _COMPILERS:
        compiler = _COMPILERS[device]
        try:
            kernels = _kernels(device)
        except ModuleNotFoundError as error:
            words = f"{error.name} is not installed"
        except ImportError as error:
            words = f"{compiler} cannot be imported ({error})"
        else:
            reason = kernels.prepare()
            if reason is None:
                return Path(kernels.forward, kernels.backward, compiler)
            words = f"{compiler} cannot compile the kernel ({reason})"
    return Path(reference.forward, reference.backward, f"reference: {words}")


def _kernels(device: str) -> Any:
    """The module with the compiled kernels for a device, imported where it is needed: compilers load slowly."""
    if device == "cpu":
        from leni.kernels import cpu

        return cpu
    from leni.kernels import triton

    return triton


def _in_layout_of(x: Tensor, result: Tensor) -> Tensor:
    """`result`, channels_last if `x` is and else contiguous."""
    if x.is_contiguous():
        return result.contiguous()
    if x.is_contiguous(memory_format=torch.channels_last):
        return result.contiguous(memory_format=torch.channels_last)
    return result.contiguous()


def _block(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    return _in_layout_of(x, _path(x.device.type).forward(x, weight, kernel))


def _block_backward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> Gradients:
    grad_x, grad_weight, grad_kernel = _path(x.device.type).backward(grad, x, weight, kernel)
    return _in_layout_of(x, grad_x), grad_weight, grad_kernel


def _fake(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    return _in_layout_of(x, torch.empty_like(x))


def _fake_backward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> Gradients:
    return _in_layout_of(x, torch.empty_like(x)), weight.new_empty(weight.shape), kernel.new_empty(kernel.shape)


class _Block(torch.autograd.Function):
    """The operator with its gradient, in the form that costs least a call."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, kernel)
        return torch.ops.leni.block.default(x, weight, kernel)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        if torch.is_grad_enabled():  # create_graph=True: the gradient is to be differentiated too
            return _BlockBackward.apply(grad, *ctx.saved_tensors)
        return torch.ops.leni.block_backward.default(grad, *ctx.saved_tensors)


class _TransformableBlock(torch.autograd.Function):
    """The same in the form that torch.func's transforms and torch.compile accept; it costs more a call."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
        return torch.ops.leni.block.default(x, weight, kernel)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return _BlockBackward.apply(grad, *ctx.saved_tensors)


class _BlockBackward(torch.autograd.Function):
    """The gradient, with second derivatives by way of the reference."""

    generate_vmap_rule = True

    @staticmethod
    def forward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> Gradients:
        return torch.ops.leni.block_backward.default(grad, x, weight, kernel)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Gradients) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        pull = torch.func.vjp(reference.backward, *ctx.saved_tensors)[1]
        return pull(grads)


def _fold(replicas: int, value: Tensor, dim: int | None, target: int) -> Tensor:
    """The vmapped dimension merged into the channels, which are dimension `target` of the unvmapped value."""
    moved = value.movedim(dim, target) if dim is not None else value.unsqueeze(target)
    shape = list(moved.shape)
    shape[target] = replicas
    return moved.expand(shape).flatten(target, target + 1)


def _vmap(info: Any, in_dims: Sequence[int | None], *values: Tensor) -> tuple[Tensor, int]:
    """R blocks of C channels are one block of R*C channels."""
    x, weight, kernel = (
        _fold(info.batch_size, value, dim, target)
        for value, dim, target in zip(values, in_dims, (1, 0, 0), strict=True)
    )
    return torch.ops.leni.block.default(x, weight, kernel).unflatten(1, (info.batch_size, -1)), 1


def _vmap_backward(info: Any, in_dims: Sequence[int | None], *values: Tensor) -> tuple[Gradients, tuple[int, int, int]]:
    folded = (
        _fold(info.batch_size, value, dim, target)
        for value, dim, target in zip(values, in_dims, (1, 1, 0, 0), strict=True)
    )
    grad_x, grad_weight, grad_kernel = torch.ops.leni.block_backward.default(*folded)
    shape = (info.batch_size, -1)
    gradients = (grad_x.unflatten(1, shape), grad_weight.unflatten(0, shape), grad_kernel.unflatten(0, shape))
    return gradients, (1, 0, 0)


def _flops(x_shape: Sequence[int], weight_shape: Sequence[int], kernel_shape: Sequence[int], **others: object) -> int:
    """Two a multiply-add of the depthwise convolution, as FlopCounterMode counts the convolution itself."""
    samples, channels, height, width = x_shape
    return 2 * kernel_shape[-1] ** 2 * samples * channels * height * width


def _flops_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    kernel_shape: Sequence[int],
    **others: object,
) -> int:
    """One convolution for x, one for the kernel."""
    return 2 * _flops(x_shape, weight_shape, kernel_shape)


_LIBRARY.impl("block", _block, "CompositeExplicitAutograd")
_LIBRARY.impl("block_backward", _block_backward, "CompositeExplicitAutograd")
torch.library.register_fake("leni::block", _fake, lib=_LIBRARY)
torch.library.register_fake("leni::block_backward", _fake_backward, lib=_LIBRARY)
torch.library.register_vmap("leni::block", _vmap, lib=_LIBRARY)
torch.library.register_vmap("leni::block_backward", _vmap_backward, lib=_LIBRARY)
register_flop_formula(torch.ops.leni.block)(_flops)
register_flop_formula(torch.ops.leni.block_backward)(_flops_backward)
