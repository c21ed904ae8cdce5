"""Candidate -> exact parameters and multiply-adds, on the meta device: nothing is allocated and nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from spaces.backbones import backbone
from spaces.backbones.activation_costs import structural
from spaces.building import CandidateActivations, build
from spaces.candidate import Candidate
from spaces.macs_counter import MacsCounter

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        params: learned parameters, a count.
        macs: multiply-adds of convolutions and matrix products for one sample, a count.
    """

    params: int
    macs: int


def cost(candidate: Candidate, *, input_shape: tuple[int, int, int], classes: int) -> Cost:
    """Exact parameters and multiply-adds of a candidate, without allocating its network.

    Args:
        candidate: what to count.
        input_shape: (C, H, W) of one image, pixels.
        classes: how many logits the network gives.

    Returns:
        The cost: params equals `sum(p.numel())` of the built network, macs half of what torch's flop counter says of
        one sample. Elementwise work is not counted, as is usual.

    Raises:
        InfeasibleWidth: as `spaces.build` does.
        CandidateError: as `spaces.build` does.

    Source: torch.utils.flop_counter, which counts a multiply-add as two.

    Example:
        >>> cost(Candidate("resnet8", (4, 8, 16), "relu"), input_shape=(1, 8, 8), classes=10)
        Cost(params=5142, macs=49568)
    """
    channels, height, width = input_shape
    row = backbone(candidate.backbone)
    if row.count is not None:
        return Cost(*row.count(candidate.widths, CandidateActivations(candidate), (channels, height, width), classes))
    first, *others = (replace(part, options=structural(part.activation, part.options)) for part in candidate.parts)
    plain = replace(candidate, lr_factor=1.0, options=first.options, also=tuple(others), training=())
    return _count(plain, (channels, height, width), classes)


@lru_cache(maxsize=65536)
def _count(candidate: Candidate, input_shape: tuple[int, int, int], classes: int) -> Cost:
    """Counted once for candidates that differ only in what costs nothing: start, decay, learning rate."""
    counter = MacsCounter()
    with torch.random.fork_rng(devices=[]), torch.no_grad(), counter, torch.device("meta"):
        network = build(candidate, in_channels=input_shape[0], classes=classes).eval()
        network(torch.empty(1, *input_shape))
    return Cost(sum(parameter.numel() for parameter in network.parameters()), counter.macs)
