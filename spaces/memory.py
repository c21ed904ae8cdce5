"""How much memory a training step takes, as an estimate without data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spaces.building import build
from spaces.candidate import Candidate

__all__ = ["step_memory"]

COPIES = 3  # of every parameter: itself, its gradient, its momentum
SAMPLES = 2  # of the batch that is tried


def step_memory(candidate: Candidate, *, input_shape: tuple[int, int, int], classes: int, batch: int) -> int:
    """Bytes that a training step of one network holds at its peak, in float32, between forward and backward pass.

    Args:
        candidate: whose network is trained.
        input_shape: (C, H, W) of one image, pixels.
        classes: how many logits the network gives.
        batch: images a step.

    Returns:
        What the forward pass keeps for the backward pass, which grows with the batch, and three copies of the
        parameters. What an operation needs while it runs (a convolution's workspace) is not in it, nor what the device
        itself takes.

    Raises:
        LeniSearchError: as `spaces.build`.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(candidate, in_channels=input_shape[0], classes=classes).to("meta").train()
    kept = _kept_for_backward(network, torch.empty(SAMPLES, *input_shape, device="meta"))
    parameters = sum(parameter.numel() * 4 for parameter in network.parameters())
    return kept * batch // SAMPLES + COPIES * parameters


def _kept_for_backward(network: nn.Module, images: Tensor) -> int:
    """Bytes of the tensors that autograd keeps, each storage once, without the network's own."""
    own = {tensor.untyped_storage()._cdata for tensor in [*network.parameters(), *network.buffers()]}
    storages: dict[int, tuple[Tensor, int]] = {}  # the tensors are kept alive, so that the numbers stay their own

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:  # a layer may keep a view of its weight
            storages[storage._cdata] = (tensor, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.device("meta"):
        network(images.to(next(network.parameters()).dtype))
    return sum(size for _, size in storages.values())
