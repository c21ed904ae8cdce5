"""What an activation costs at a call site: counted once for each number of channels and size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from leni import registry
from leni.errors import ActivationError, CandidateError
from spaces.backbones.sites import OWN
from spaces.macs_counter import MacsCounter

__all__ = ["activation_cost", "structural"]

Options = tuple[tuple[str, Any], ...]


def structural(activation: str, options: Options) -> Options:
    """The options of an activation that can change its costs."""
    return () if activation == OWN else tuple(registry.get(activation).structure(dict(options)).items())


@lru_cache(maxsize=65536)
def activation_cost(activation: str, options: Options, channels: int, spatial: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and multiply-adds of an activation at one site, for one sample.

    Args:
        activation: as registered.
        options: of it.
        channels: of its input.
        spatial: the input's other dimensions, (H, W) of a feature map, () after flattening.

    Raises:
        CandidateError: it refuses its options at this number of channels.
    """
    counter = MacsCounter()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), counter, torch.device("meta"):
            module = registry.create(activation, channels, **dict(options)).eval()
            module(torch.empty(1, channels, *spatial))
    except ActivationError as error:
        raise CandidateError(str(error)) from None
    return sum(parameter.numel() for parameter in module.parameters()), counter.macs
