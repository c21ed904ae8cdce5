"""Strided 1x1 convolutions of few channels, in a form whose gradient is right on every CPU.

If a 1x1 convolution has a stride and under 8 input channels in channels_last, oneDNN's AVX2 gradient of the weights
writes past its buffer (torch 2.14.1, uxlfoundation/oneDNN#6035). Every other pixel first, then a convolution of stride
1, gives the same numbers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["StridedPointwise", "replace_strided_pointwise"]

FEW = 8


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution that leaves out pixels before it multiplies: the function of nn.Conv2d, and its state."""

    written_as = nn.Conv2d  # what a trace takes it for

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H / stride, W / stride)."""
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight, self.bias)


def replace_strided_pointwise(network: nn.Module) -> None:
    """Give the convolutions concerned this form, in place."""
    for layer in network.modules():
        if (
            type(layer) is nn.Conv2d
            and layer.kernel_size == (1, 1)
            and max(layer.stride) > 1
            and layer.padding in ((0, 0), "valid")
            and layer.groups == 1
            and layer.in_channels < FEW
        ):
            layer.__class__ = StridedPointwise
