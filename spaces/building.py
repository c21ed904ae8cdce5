"""Candidate -> network."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import nn

from leni import registry
from leni.errors import ActivationError, CandidateError
from leni.placement import Placement
from spaces.assigned import Assigned
from spaces.backbones import backbone
from spaces.backbones.activation_costs import structural
from spaces.backbones.sites import OWN, PLAIN
from spaces.candidate import Candidate

__all__ = ["CandidateActivations", "build"]


class CandidateActivations:
    """A candidate's activations at the sites of their placements, the backbone's own at the others.

    Args:
        candidate: of any backbone.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._structures: dict[int, tuple[tuple[str, Any], ...]] = {}

    @cached_property
    def _at(self) -> dict[str, Assigned]:
        """The activation of each site that does not keep the backbone's own."""
        sites = backbone(self._candidate.backbone).sites
        return {
            sites[place].name: part
            for part in self._candidate.parts
            if part.activation != OWN
            for place in Placement.parse(part.placement).select(sites)
        }

    def name(self, site: str) -> str:
        """Name of the site's activation; OWN where the network keeps what it has."""
        return self._at[site].activation if site in self._at else OWN

    def options(self, site: str) -> dict[str, Any]:
        """Options of the site's activation."""
        return dict(self._at[site].options) if site in self._at else {}

    def structure(self, site: str) -> tuple[tuple[str, Any], ...]:
        """The options of the site's activation that can change its costs."""
        part = self._at[site]
        if id(part) not in self._structures:
            self._structures[id(part)] = structural(part.activation, part.options)
        return self._structures[id(part)]

    def multiple(self, site: str) -> int:
        """Channels that leave the site over channels that enter it."""
        return registry.get(self.name(site)).multiple(**self.options(site)) if site in self._at else 1

    def create(self, site: str, channels: int) -> nn.Module:
        """The module for a site that `channels` channels enter; ReLU where a backbone of ours has its own."""
        if site not in self._at:
            return registry.create(PLAIN, channels)
        try:
            return registry.create(self.name(site), channels, **self.options(site))
        except ActivationError as error:  # options that are right one by one, and not together or not at this width
            raise CandidateError(f"site {site}: {error}") from None


def build(candidate: Candidate, *, in_channels: int, classes: int) -> nn.Module:
    """The network of a candidate, freshly initialised from torch's global generator.

    Args:
        candidate: what to build; its learning-rate factor plays no part.
        in_channels: channels of the images.
        classes: how many logits the network gives.

    Returns:
        A network that takes (N, in_channels, H, W) to (N, classes).

    Raises:
        InfeasibleWidth: an activation that concatenates, at a width that cannot be halved.
        CandidateError: an activation that concatenates, after a residual sum; or one that refuses its options at this
            width, as LENI does where its groups do not divide the channels.
        NetworkError: the backbone is a network that cannot be built for such images.

    Example:
        >>> network = build(Candidate("resnet8", (4, 8, 16), "leni"), in_channels=1, classes=10)
        >>> sum(parameter.numel() for parameter in network.parameters())
        5742
    """
    row = backbone(candidate.backbone)
    return row.build(candidate.widths, CandidateActivations(candidate), in_channels, classes)
