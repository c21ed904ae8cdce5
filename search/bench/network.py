"""A training step of a whole network with one activation after the other, as ratios to ReLU's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from leni.errors import SpecError
from leni.networks import load_network
from leni.swapping import swap
from search.training.timing import side_by_side, torch_threads
from spaces import Candidate, build
from spaces.backbones import BACKBONES, backbone

__all__ = ["bench_network"]


def bench_network(
    model: str = "resnet20",
    activations: Sequence[str] = ("relu", "prelu", "leni"),
    *,
    width: float = 1.0,
    image_size: int = 28,
    batch: int = 128,
    threads: int | None = None,
    seconds: float = 20.0,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """One step of SGD with momentum (forward, loss, backward, update), the activation at every site.

    Args:
        model: one of our backbones, or torchvision:NAME, timm:NAME, package.module:factory.
        activations: names of the registry; the first is what the others are compared with.
        width: of a backbone, as a fraction of its full one.
        image_size: side of the images, pixels.
        batch: images a step.
        threads: of torch; None as it is.
        seconds: to spend in all.
        device: "cpu" (float32) or "cuda" (bf16 autocast, channels_last).

    Returns:
        A row an activation: activation, params (count), step_ms, ratio (to the first), threads.

    Raises:
        SpecError: a GPU is asked for and there is none, or there is nothing to compare.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SpecError(f"device {device!r}: torch finds no GPU here", code="LS-RESOURCES")
    if len(set(activations)) < 2:
        raise SpecError(f"activations must be two or more, to compare, got {', '.join(activations) or 'none'}")
    with torch_threads(threads) as used:
        networks = {name: _network(model, name, width, image_size) for name in activations}
        steps = {name: _step(network, model, image_size, batch, device) for name, network in networks.items()}
        times = side_by_side(steps, seconds=seconds, device=device)
    first = times[activations[0]]
    return [
        {
            "activation": name,
            "params": sum(parameter.numel() for parameter in network.parameters()),
            "step_ms": times[name] * 1e3,
            "ratio": times[name] / first,
            "threads": used,
        }
        for name, network in networks.items()
    ]


def _channels(model: str) -> int:
    return 1 if model in BACKBONES else 3


def _network(model: str, activation: str, width: float, image_size: int) -> torch.nn.Module:
    """The network with the activation at every site, ReLU's network with its own where that is asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if model in BACKBONES:
            widths = backbone(model).widths(width)
            return build(Candidate(model, widths, activation), in_channels=1, classes=10)
        network = load_network(model)
        image = torch.zeros(1, 3, image_size, image_size)
        return network if activation == "relu" else swap(network, activation, "all", example_input=image).network


def _step(network: torch.nn.Module, model: str, image_size: int, batch: int, device: str) -> Callable[[], None]:
    cuda = device.startswith("cuda")
    memory = torch.channels_last if cuda else torch.contiguous_format
    network = network.to(device).to(memory_format=memory).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=cuda or None)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, _channels(model), image_size, image_size, generator=generator)
    images = images.to(device).contiguous(memory_format=memory)
    labels = torch.randint(10, (batch,), generator=generator).to(device)

    def step() -> None:
        with torch.autocast("cuda" if cuda else "cpu", torch.bfloat16, enabled=cuda):
            logits = network(images)
            logits = logits[0] if isinstance(logits, tuple) else logits  # auxiliary heads beside it
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimiser.step()

    return step
