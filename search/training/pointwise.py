"""Strided 1x1 convolutions, as in a ResNet's shortcuts, kept from a fault of oneDNN's on the CPU.

The gradient of such a convolution's weight on channels_last maps of fewer channels than a vector has numbers (8, or 16
with AVX-512) is written past the end of a buffer: wrong gradients, or a process that dies. Leaving out the pixels
that the stride skips and convolving the rest with stride 1 is the same function, and takes another path.

Source: github.com/uxlfoundation/oneDNN/issues/6035; seen here with torch 2.14.1 (oneDNN 3.12).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["subsample_before_pointwise"]


class _Subsampled(nn.Conv2d):
    """A strided 1x1 convolution as a stride 1 one of every stride-th pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D, ceil(H / stride), ceil(W / stride))."""
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight, self.bias)


def subsample_before_pointwise(network: nn.Module) -> nn.Module:
    """The network with its strided 1x1 convolutions computed in the safe way; parameters and names stay.

    Args:
        network: changed in place.

    Returns:
        The network.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_strided_pointwise(module):
            module.__class__ = _Subsampled
    return network


def _is_strided_pointwise(convolution: nn.Conv2d) -> bool:
    """Grouped ones take another path in oneDNN, and were never seen to fail."""
    plain = convolution.groups == 1 and convolution.padding in ((0, 0), "valid")
    return plain and convolution.kernel_size == (1, 1) and max(convolution.stride) > 1
