"""ResNet 8, 20, 32 and 56 in CIFAR form (He et al., 1512.03385, section 4.2), with a width per stage.

It differs from the paper in the shortcut of a block that changes size or width: a 1x1 convolution with batch norm, so
that any width can follow any other.
"""

from __future__ import annotations

from torch import Tensor, nn

from leni.errors import CandidateError
from spaces.backbones.row import Backbone
from spaces.backbones.sites import BackboneSite, SiteActivations, convolution, halved

__all__ = ["RESNETS", "ResNet"]

FULL_WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: x (N, in, H, W) -> (N, width, H / stride, W / stride)."""

    def __init__(self, in_channels: int, width: int, stride: int, name: str, activations: SiteActivations) -> None:
        super().__init__()
        if activations.multiple(f"{name}.outer") != 1:
            raise CandidateError(
                f"site {name}.outer stands after a residual sum, where an activation that doubles the channels cannot "
                "go; place it at stem+inner"
            )
        filters = halved(f"{name}.inner", width, activations)
        self.conv1 = convolution(in_channels, filters, stride=stride)
        self.bn1 = nn.BatchNorm2d(filters)
        self.inner = activations.create(f"{name}.inner", filters)
        self.conv2 = convolution(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != width:
            self.shortcut = nn.Sequential(convolution(in_channels, width, 1), nn.BatchNorm2d(width))
        self.outer = activations.create(f"{name}.outer", width)

    def forward(self, x: Tensor) -> Tensor:
        """One residual step."""
        y = self.inner(self.bn1(self.conv1(x)))
        # Every other pixel first, then a convolution of stride 1: if a 1x1 convolution has a stride and under 8 input
        # channels in channels_last, oneDNN's AVX2 gradient of the weights writes past its buffer (torch 2.14.1).
        kept = x if self.stride == 1 else x[:, :, :: self.stride, :: self.stride]
        return self.outer(self.bn2(self.conv2(y)) + self.shortcut(kept))


class ResNet(nn.Module):
    """A CIFAR ResNet: x (N, in_channels, H, W) -> logits (N, classes).

    Args:
        depth: 6n + 2, n blocks a stage.
        widths: channels of each of the three stages; the stem has the first's.
        activations: what stands at each call site.
        in_channels: 1 for grey images, 3 for colour.
        classes: how many logits.

    Raises:
        InfeasibleWidth: a width that a concatenating activation cannot halve.
        CandidateError: a concatenating activation at an outer site.
    """

    def __init__(
        self, depth: int, widths: tuple[int, ...], activations: SiteActivations, in_channels: int, classes: int
    ) -> None:
        super().__init__()
        filters = halved("stem", widths[0], activations)
        self.conv = convolution(in_channels, filters)
        self.bn = nn.BatchNorm2d(filters)
        self.stem = activations.create("stem", filters)
        stages, channels = [], widths[0]
        for stage, width in enumerate(widths):
            blocks = []
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(channels, width, stride, f"stages.{stage}.{block}", activations))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        x = self.stages(self.stem(self.bn(self.conv(x))))
        return self.head(self.pool(x).flatten(1))


def _row(depth: int) -> Backbone:
    """The table's row for one depth."""
    sites = [BackboneSite("stem", "stem", 0)]
    for stage in range(len(FULL_WIDTHS)):
        for block in range((depth - 2) // 6):
            for role in ("inner", "outer"):
                sites.append(BackboneSite(f"stages.{stage}.{block}.{role}", role, stage + 1))

    def build(widths: tuple[int, ...], activations: SiteActivations, in_channels: int, classes: int) -> nn.Module:
        return ResNet(depth, widths, activations, in_channels, classes)

    return Backbone(f"resnet{depth}", FULL_WIDTHS, tuple(sites), build, "1512.03385, 4.2; 1x1 convolution as shortcut")


RESNETS = tuple(_row(depth) for depth in (8, 20, 32, 56))
