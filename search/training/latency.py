"""How long a network takes for one image, on the device that it was trained on."""

from __future__ import annotations

import time
from statistics import median

import torch
from torch import nn

__all__ = ["latency_ms"]

WARM_UP, PASSES = 10, 50


@torch.no_grad()
def latency_ms(network: nn.Module, input_shape: tuple[int, int, int], device: str | torch.device) -> float:
    """Median time of a forward pass of one image in evaluation mode, in milliseconds.

    Args:
        network: on the device; its mode is put back.
        input_shape: (C, H, W), pixels.
        device: where it is.
    """
    where, training = torch.device(device), network.training
    wait = torch.cuda.synchronize if where.type == "cuda" else _nothing
    image = torch.zeros(1, *input_shape, device=where)
    network.eval()
    times = []
    for _ in range(WARM_UP + PASSES):
        wait()
        started = time.perf_counter()
        network(image)
        wait()
        times.append(time.perf_counter() - started)
    network.train(training)
    return 1e3 * median(times[WARM_UP:])


def _nothing() -> None:
    """The CPU has nothing to wait for."""
