"""VGG-16 with batch norm (Simonyan & Zisserman, 1409.1556, configuration D) for small images, a width per stage.

It differs from the paper in the head, which is one linear layer after global average pooling, as is usual on CIFAR, and
in pooling with ceil_mode, so that images of any size from 1 pixel pass (8x8 digits too).
"""

from __future__ import annotations

from torch import Tensor, nn

from spaces.backbones.row import Backbone
from spaces.backbones.sites import BackboneSite, SiteActivations, convolution, halved

__all__ = ["VGG16", "VGGS"]

FULL_WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = (2, 2, 3, 3, 3)


class Layer(nn.Module):
    """Convolution, batch norm, activation: x (N, in, H, W) -> (N, width, H, W)."""

    def __init__(self, in_channels: int, width: int, name: str, activations: SiteActivations) -> None:
        super().__init__()
        filters = halved(name, width, activations)
        self.conv = convolution(in_channels, filters)
        self.bn = nn.BatchNorm2d(filters)
        self.act = activations.create(name, filters)

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        return self.act(self.bn(self.conv(x)))


class VGG16(nn.Module):
    """VGG-16-BN: x (N, in_channels, H, W) -> logits (N, classes).

    Args:
        widths: channels of each of the five stages.
        activations: what stands at each call site.
        in_channels: 1 for grey images, 3 for colour.
        classes: how many logits.

    Raises:
        InfeasibleWidth: a width that a concatenating activation cannot halve.
    """

    def __init__(self, widths: tuple[int, ...], activations: SiteActivations, in_channels: int, classes: int) -> None:
        super().__init__()
        stages, channels = [], in_channels
        for stage, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True)):
            layers: list[nn.Module] = []
            for layer in range(depth):
                layers.append(Layer(channels, width, f"stages.{stage}.{layer}.act", activations))
                channels = width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        return self.head(self.pool(self.stages(x)).flatten(1))


def _sites() -> tuple[BackboneSite, ...]:
    """The first convolution is the stem; every other one is inside its stage."""
    names = [(stage, f"stages.{stage}.{layer}.act") for stage, depth in enumerate(DEPTHS) for layer in range(depth)]
    inner = [BackboneSite(name, "inner", stage + 1) for stage, name in names[1:]]
    return (BackboneSite(names[0][1], "stem", 0), *inner)


VGGS = (Backbone("vgg16_bn", FULL_WIDTHS, _sites(), VGG16, "1409.1556, D; linear head, ceil_mode pooling"),)
