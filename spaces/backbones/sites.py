"""What a backbone written for search says of itself: its stages, its call sites, how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from leni.errors import InfeasibleWidth

__all__ = ["Backbone", "BackboneSite", "SiteActivations", "convolution", "halved"]


@dataclass(frozen=True)
class BackboneSite:
    """One activation call site of a backbone.

    Attributes:
        name: path of the site's module in the network, `stages.0.1.outer`.
        role: stem, inner (inside a block) or outer (after the residual sum).
        stage: counted from 1 by resolution; 0 for the stem.
    """

    name: str
    role: str
    stage: int


class SiteActivations(Protocol):
    """Which activation stands at which site: the part of a candidate that a backbone is built from."""

    def multiple(self, site: str) -> int:
        """Channels that leave the site over channels that enter it: 1, or 2 for an activation that concatenates."""

    def create(self, site: str, channels: int) -> nn.Module:
        """The module for a site that `channels` channels enter."""


@dataclass(frozen=True)
class Backbone:
    """A frozen row of the table of backbones.

    Attributes:
        name: as a space names it, `resnet8`.
        full_widths: channels of each stage at width 1.
        sites: call sites in the order of the forward pass.
        build: (widths, activations, in_channels, classes) -> network.
        source: paper, and what differs from it.
    """

    name: str
    full_widths: tuple[int, ...]
    sites: tuple[BackboneSite, ...]
    build: Callable[[tuple[int, ...], SiteActivations, int, int], nn.Module]
    source: str

    def widths(self, *ratios: float) -> tuple[int, ...]:
        """Channels per stage at one ratio for all stages, or at one ratio a stage.

        Args:
            ratios: one number, or one a stage, in (0, 1].

        Raises:
            InfeasibleWidth: a ratio is outside (0, 1], their number is wrong, or a stage would have no channel.
        """
        if len(ratios) == 1:
            ratios = ratios * len(self.full_widths)
        if len(ratios) != len(self.full_widths):
            raise InfeasibleWidth(f"{self.name} has {len(self.full_widths)} stages, got {len(ratios)} widths")
        for ratio in ratios:
            if not 0 < ratio <= 1:
                raise InfeasibleWidth(f"width must be in (0, 1], got {ratio}")
        widths = tuple(int(full * ratio + 0.5) for full, ratio in zip(self.full_widths, ratios, strict=True))
        if 0 in widths:
            stage = widths.index(0)
            smallest = 0.5 / self.full_widths[stage]
            raise InfeasibleWidth(
                f"width {ratios[stage]} leaves stage {stage + 1} of {self.name} no channel; "
                f"the smallest that leaves one is {smallest}"
            )
        return widths


def halved(site: str, width: int, activations: SiteActivations) -> int:
    """Filters of the convolution before a site, so that `width` channels leave the site.

    Raises:
        InfeasibleWidth: the site's activation concatenates, and `width` cannot be divided.
    """
    multiple = activations.multiple(site)
    if width % multiple:
        raise InfeasibleWidth(
            f"site {site}: an activation that gives {multiple} channels for one needs a width divisible by "
            f"{multiple}, got {width}"
        )
    return width // multiple


def convolution(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded to keep the size, started as He et al. (1502.01852) do for ReLU."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
