"""Call sites of a backbone, what is asked of the activations at them, and parts that backbones of ours share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from leni.errors import InfeasibleWidth

__all__ = ["OWN", "PLAIN", "BackboneSite", "SiteActivations", "convolution", "halved"]

PLAIN = "relu"
OWN = "own"
"""What a network has at its sites by itself, as the name of an activation."""


@dataclass(frozen=True)
class BackboneSite:
    """One activation call site of a backbone.

    Attributes:
        name: path of the site's module in the network, `stages.0.1.outer`.
        role: stem, inner (inside a block) or outer (after the residual sum).
        stage: counted from 1 by resolution; 0 for the stem.
        kind: the activation that the network has there by itself.
    """

    name: str
    role: str
    stage: int
    kind: str = PLAIN


class SiteActivations(Protocol):
    """Which activation stands at which site: the part of a candidate that a backbone is built from."""

    def multiple(self, site: str) -> int:
        """Channels that leave the site over channels that enter it: 1, or 2 for an activation that concatenates."""

    def create(self, site: str, channels: int) -> nn.Module:
        """The module for a site that `channels` channels enter."""

    def name(self, site: str) -> str:
        """Name of the site's activation; OWN where the network keeps what it has."""

    def options(self, site: str) -> dict[str, Any]:
        """Options of the site's activation."""

    def structure(self, site: str) -> tuple[tuple[str, Any], ...]:
        """Options that can change the costs, for an activation that is not the network's own."""


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
