"""The formula of LENI's default form in plain torch operations; every other kernel equals it.

    y = weight * ReLU(x) + kernel (depthwise *) min(x, 0)

At x = 0 exactly the gradient is a convention. Zero belongs to the negative branch: d min(x, 0)/dx = 1 and
d ReLU(x)/dx = 0 there, as in torch's PReLU, so that a dead channel that sits on zero is reached through `kernel`.
torch's clamp(max=0) passes no gradient at zero, hence the `torch.where`. Where x is NaN, both branches are NaN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["backward", "forward", "negative_part"]


def negative_part(x: Tensor) -> Tensor:
    """min(x, 0), with derivative 1 at x <= 0 and NaN kept."""
    return torch.where(x > 0, torch.zeros_like(x), x)


def forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """Compute y = weight * ReLU(x) + kernel (depthwise *) min(x, 0).

    Computed in the wider of the dtypes of `x` and `weight` and rounded once, whatever autocast asks for.

    Args:
        x: (N, C, H, W).
        weight: (C,), the factor of the positive branch.
        kernel: (C, 1, k, k), k odd.

    Returns:
        (N, C, H, W), in the dtype of `x`.

    Source: our interpretation of LENI (arXiv 2306.10536), see `leni.block`.
    """
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return _forward(x, weight, kernel)
    return _forward(x, weight, kernel)


def _forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    wide = _wider(x, weight)
    raised, factor, filters = _to(x, wide), _to(weight, wide), _to(kernel, wide)
    positive = factor[:, None, None] * F.relu(raised)
    negative = F.conv2d(negative_part(raised), filters, padding=kernel.shape[-1] // 2, groups=x.shape[1])
    return _to(positive + negative, x.dtype)


def _wider(x: Tensor, weight: Tensor) -> torch.dtype:
    return x.dtype if x.dtype == weight.dtype else torch.promote_types(x.dtype, weight.dtype)


def _to(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` in a dtype, without a node in an exported graph where it has that dtype already."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def backward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `forward` with respect to its three arguments, recomputed from them.

    Args:
        grad: (N, C, H, W), the gradient of the result.
        x: (N, C, H, W).
        weight: (C,).
        kernel: (C, 1, k, k).

    Returns:
        Gradients of `x`, `weight` and `kernel`, each in the shape and dtype of its argument.
    """
    wide = _wider(x, weight)
    outer, raised = grad.to(wide), x.to(wide)
    pad, channels = kernel.shape[-1] // 2, x.shape[1]
    through, grad_kernel, _ = torch.ops.aten.convolution_backward(
        outer, negative_part(raised), kernel.to(wide), None, [1, 1], [pad, pad], [1, 1], False, [0, 0], channels,
        [True, True, False],
    )  # fmt: skip
    nothing = torch.zeros_like(raised)
    positive = torch.where(raised <= 0, nothing, outer * weight.to(wide)[:, None, None])
    grad_x = positive + torch.where(raised > 0, nothing, through)
    grad_weight = (outer * F.relu(raised)).sum((0, 2, 3))
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), grad_kernel.to(kernel.dtype)
