"""A trained network as a file: its candidate, its weights, and how its images are to be normalised.

    import spaces
    network = spaces.load_exported("network.pt")
    labels = network(images).argmax(1)   # images: uint8 (N, C, H, W), 0..255

Loading builds the network from its candidate; it needs neither Ray nor Optuna.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leni.errors import LeniSearchError, NetworkError
from spaces.building import build
from spaces.candidate import Candidate

__all__ = ["Exported", "load_exported", "state_on_cpu", "to_bytes"]

FORMAT = "leni-search network 1"
KEYS = frozenset({"format", "candidate", "in_channels", "classes", "mean", "std", "state"})


class Exported(nn.Module):
    """A candidate's network with the normalisation of images in front, (N, C, H, W) -> (N, classes), in evaluation.

    Args:
        candidate: what the network is.
        in_channels: C.
        classes: how many logits it gives.
        mean: of each channel of the images it was trained on, in units where 255 is 1.
        std: the same, not zero.
        state: the network's weights and statistics; None for a fresh network.

    Raises:
        RuntimeError: the state is one of another network.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        candidate: Candidate,
        *,
        in_channels: int,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.candidate, self.in_channels, self.classes = candidate, in_channels, classes
        self.mean, self.std = tuple(mean), tuple(std)
        with torch.random.fork_rng(devices=[]):
            self.network = build(candidate, in_channels=in_channels, classes=classes)
        if state is not None:
            self.network.load_state_dict(state)
        for name, values in (("shift", self.mean), ("scale", self.std)):
            tensor = torch.tensor([255 * value for value in values]).view(-1, 1, 1)
            self.register_buffer(name, tensor, persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images, uint8 or float, 0..255."""
        logits: Tensor = self.network((images.to(torch.float32) - self.shift) / self.scale)
        return logits


def state_on_cpu(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's weights and statistics, wherever and in whatever layout they are."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}


def to_bytes(exported: Exported) -> bytes:
    """The file that `load_exported` reads."""
    stream = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "candidate": exported.candidate.to_json(),
            "in_channels": exported.in_channels,
            "classes": exported.classes,
            "mean": list(exported.mean),
            "std": list(exported.std),
            "state": state_on_cpu(exported.network),
        },
        stream,
    )
    return stream.getvalue()


def load_exported(path: str | Path) -> Exported:
    """The network of a file that `leni-search export` wrote, on the CPU, in evaluation.

    Nothing of the file is run: it holds numbers and texts.

    Args:
        path: the file.

    Raises:
        NetworkError: it cannot be read, or is something else.
    """
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise NetworkError(f"{path} cannot be read: {error.strerror}") from None
    except (EOFError, RuntimeError, pickle.UnpicklingError, ValueError, KeyError):
        raise NetworkError(f"{path} is no file of torch.save with numbers and texts alone") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT or set(values) != KEYS:
        raise NetworkError(f"{path} is not an exported network of this version: it should be {FORMAT!r}")
    try:
        return Exported(
            Candidate.from_json(values["candidate"]), in_channels=values["in_channels"], classes=values["classes"],
            mean=values["mean"], std=values["std"], state=values["state"],
        )  # fmt: skip
    except (LeniSearchError, RuntimeError) as error:
        raise NetworkError(f"{path}: {' '.join(str(error).split())[:300]}") from None
