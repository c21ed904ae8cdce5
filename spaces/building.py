"""Candidate -> network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from leni import registry
from leni.errors import ActivationError, CandidateError
from leni.placement import Placement
from spaces.backbones import backbone
from spaces.candidate import Candidate

__all__ = ["build"]


@dataclass(frozen=True)
class CandidateActivations:
    """The candidate's activation at the sites of its placement, ReLU at the others."""

    candidate: Candidate
    chosen: frozenset[str]

    def multiple(self, site: str) -> int:
        """Channels that leave the site over channels that enter it."""
        if site not in self.chosen:
            return 1
        return registry.get(self.candidate.activation).multiple(**dict(self.candidate.options))

    def create(self, site: str, channels: int) -> nn.Module:
        """The module for a site that `channels` channels enter."""
        if site not in self.chosen:
            return registry.create("relu", channels)
        try:
            return registry.create(self.candidate.activation, channels, **dict(self.candidate.options))
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

    Example:
        >>> network = build(Candidate("resnet8", (4, 8, 16), "leni"), in_channels=1, classes=10)
        >>> sum(parameter.numel() for parameter in network.parameters())
        5742
    """
    row = backbone(candidate.backbone)
    sites = row.sites
    chosen = frozenset(sites[index].name for index in Placement.parse(candidate.placement).select(sites))
    return row.build(candidate.widths, CandidateActivations(candidate, chosen), in_channels, classes)
