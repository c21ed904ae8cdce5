"""LENI's default block, forward and backward, beside ReLU, PReLU and the plain formula in eager torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from leni import registry
from leni.errors import SpecError
from leni.kernels import leni_forward, path, reference
from search.training.timing import side_by_side, torch_threads

__all__ = ["CPU_GRID", "CUDA_GRID", "bench_block"]

Shape = tuple[int, int, int, int]
CPU_GRID: tuple[Shape, ...] = (
    (128, 16, 32, 32), (128, 64, 16, 16), (128, 8, 8, 8), (32, 4, 28, 28), (32, 32, 14, 14),
    (64, 512, 7, 7), (128, 64, 4, 4), (128, 256, 2, 2), (128, 128, 1, 1), (16, 64, 56, 56),
)  # fmt: skip
"""(N, C, H, W) that the CPU path is measured at, each contiguous and channels_last, on one thread and on all."""
CUDA_GRID: tuple[Shape, ...] = ((256, 64, 56, 56), (256, 256, 14, 14), (256, 512, 7, 7), (128, 16, 32, 32))
"""(N, C, H, W) for a GPU: bf16, channels_last."""


def bench_block(
    *,
    shapes: Sequence[Shape] | None = None,
    kernel_size: int = 3,
    threads: int | None = None,
    seconds: float = 1.0,
    device: str = "cpu",
) -> Iterator[dict[str, Any]]:
    """Forward and backward of one block, one row per shape and layout, as soon as it is measured.

    Args:
        shapes: (N, C, H, W); None for the device's grid.
        kernel_size: k of LENI.
        threads: of torch; None as it is.
        seconds: to spend on each row.
        device: "cpu" (float32) or "cuda" (bf16 maps, float32 parameters).

    Yields:
        shape, layout, threads, path ("numba", "triton" or why neither), relu_ms, and over ReLU's time: prelu, leni,
        eager; and leni/eager.

    Raises:
        SpecError: a GPU is asked for and there is none.
    """
    cuda = device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        raise SpecError(f"device {device!r}: torch finds no GPU here", code="LS-RESOURCES")
    chosen = shapes or (CUDA_GRID if cuda else CPU_GRID)
    layouts = ("channels_last",) if cuda and shapes is None else ("contiguous", "channels_last")
    with torch_threads(threads) as used:
        for shape in chosen:
            for layout in layouts:
                times = _times(shape, layout, kernel_size, seconds, device)
                relu = times["relu"]
                yield {
                    "shape": list(shape),
                    "layout": layout,
                    "threads": used,
                    "path": path(device.partition(":")[0]),
                    "relu_ms": relu * 1e3,
                    "prelu": times["prelu"] / relu,
                    "leni": times["leni"] / relu,
                    "eager": times["eager"] / relu,
                    "leni/eager": times["leni"] / times["eager"],
                }


def _times(shape: Shape, layout: str, size: int, seconds: float, device: str) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    x, grad = (
        torch.randn(shape, generator=generator).to(device, dtype).contiguous(memory_format=memory) for _ in range(2)
    )
    weight = torch.ones(shape[1], device=device, requires_grad=True)
    kernel = torch.randn(shape[1], 1, size, size, generator=generator).mul(0.01).to(device).requires_grad_()
    prelu = registry.create("prelu", shape[1]).to(device)
    x.requires_grad_()
    functions = {
        "relu": lambda: torch.relu(x),
        "prelu": lambda: prelu(x),
        "leni": lambda: leni_forward(x, weight, kernel),
        "eager": lambda: reference.forward(x, weight, kernel),
    }
    leaves = [x, weight, kernel, *prelu.parameters()]
    passes = {name: _both_ways(function, grad, leaves) for name, function in functions.items()}
    with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=device.startswith("cuda")):
        return side_by_side(passes, seconds=seconds, device=device)


def _both_ways(function: Callable[[], Tensor], grad: Tensor, leaves: Sequence[Tensor]) -> Callable[[], None]:
    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        function().backward(grad)

    return run
