"""A network from its factory, for given images and classes.

Where the factory has arguments for the channels of an image and the number of classes, it gets them. Else its first
layer is replaced by one for the images, and its last by one for the classes.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from leni.copying import refuse_unreadable
from leni.errors import NetworkError, reason_of
from leni.networks import SLOW_STARTS, network_factory
from spaces.backbones.network_names import NetworkName

__all__ = ["Adaptation", "Factory"]

CLASSES = ("num_classes", "n_classes", "classes", "num_labels")
CHANNELS = ("in_chans", "in_channels", "input_channels", "num_channels", "channels")
LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Adaptation:
    """Layers to replace where a factory has no argument.

    Attributes:
        first: path of the layer that reads the images; empty if it is found by no trace.
        last: path of the layer that gives the classes; likewise.
    """

    first: str = ""
    last: str = ""


class Factory:
    """Builds a network.

    Args:
        name: of the network.

    Raises:
        NetworkError: there is no such network.
    """

    def __init__(self, name: NetworkName) -> None:
        self.name = name
        self._call: Callable[..., object] = network_factory(name.source)
        self._options = name.arguments
        source, _, rest = name.source.partition(":")
        if source == "torchvision" and rest in SLOW_STARTS:
            self._options = {"init_weights": True, "aux_logits": False, **self._options}
        known = _parameters(self._call)
        self.classes_argument = "num_classes" if source in ("torchvision", "timm") else _first(CLASSES, known)
        self.channels_argument = "in_chans" if source == "timm" else _first(CHANNELS, known)

    def build(
        self, in_channels: int | None = None, classes: int | None = None, adaptation: Adaptation = Adaptation()
    ) -> nn.Module:
        """The network, freshly initialised from torch's global generator.

        Args:
            in_channels: of the images; None for the factory's default.
            classes: likewise.
            adaptation: the layers to replace where the factory has no argument for these.

        Raises:
            NetworkError: the factory fails, returns no network or one that cannot be read, or a layer cannot be
                replaced.
        """
        arguments = dict(self._options)
        if in_channels is not None and self.channels_argument:
            arguments[self.channels_argument] = in_channels
        if classes is not None and self.classes_argument:
            arguments[self.classes_argument] = classes
        network = self._built(arguments)
        if in_channels is not None and not self.channels_argument:
            _replace(network, adaptation.first, "in", in_channels, f"{self.name}: the images have", "channels")
        if classes is not None and not self.classes_argument:
            _replace(network, adaptation.last, "out", classes, f"{self.name}: the data set has", "classes")
        return network

    def notes(self, in_channels: int, classes: int, adaptation: Adaptation) -> tuple[str, ...]:
        """What is replaced for given images and classes, a sentence each."""
        with torch.device("meta"):
            try:
                network = self._built(dict(self._options))
            except NetworkError:
                network = None
        if network is None:
            with torch.random.fork_rng(devices=[]):
                network = self._built(dict(self._options))
        found = []
        if not self.channels_argument and adaptation.first:
            own = _size(network.get_submodule(adaptation.first), "in")
            if own != in_channels:
                found.append(
                    f"{self.name}: the layer {adaptation.first} is built anew for images of {in_channels} channels, "
                    f"since its factory has no argument for them and takes {own}"
                )
        if not self.classes_argument and adaptation.last:
            own = _size(network.get_submodule(adaptation.last), "out")
            if own != classes:
                found.append(
                    f"{self.name}: the layer {adaptation.last} is built anew for {classes} classes, since its factory "
                    f"has no argument for them and gives {own}"
                )
        return tuple(found)

    def _built(self, arguments: dict[str, Any]) -> nn.Module:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # timm and torchvision warn of their own deprecations
                network = self._call(**arguments)
        except (TypeError, ValueError, RuntimeError, NotImplementedError, AssertionError, KeyError) as error:
            raise NetworkError(f"{self.name} cannot be built with {arguments}: {reason_of(error)}") from error
        if not isinstance(network, nn.Module):
            raise NetworkError(f"{self.name} must give a torch.nn.Module, got {type(network).__name__}")
        if type(network).__module__ == "torch._dynamo.eval_frame":
            raise NetworkError(
                f"{self.name} gives a network that torch.compile has wrapped; return the network from before "
                "torch.compile",
                code="LS-NETWORK-COPY",
            )
        refuse_unreadable(network)
        return network


def _parameters(function: Callable[..., object]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # of a builtin
        return ()


def _first(names: Collection[str], known: Collection[str]) -> str:
    return next((name for name in names if name in known), "")


def _size(layer: nn.Module, side: str) -> int:
    """Inputs ("in") or outputs ("out") of a layer, a count."""
    kind = "channels" if isinstance(layer, nn.Conv2d) else "features"
    return int(getattr(layer, f"{side}_{kind}"))


def _replace(network: nn.Module, path: str, side: str, size: int, what: str, things: str) -> None:
    """Put a layer with another number of inputs or outputs in the place of one, unless it has that number.

    Raises:
        NetworkError: there is no such layer, or it cannot be replaced.
    """
    if not path:
        argument = (CHANNELS if side == "in" else CLASSES)[0]
        raise NetworkError(
            f"{what} {size} {things}, and the {'first' if side == 'in' else 'last'} layer of the network cannot be "
            f"replaced; give its factory an argument `{argument}`"
        )
    old = network.get_submodule(path)
    if _size(old, side) == size:
        return
    if not isinstance(old, LAYERS) or parametrize.is_parametrized(old) or getattr(old, "groups", 1) != 1:
        raise NetworkError(f"{what} {size} {things}, and the layer {path} cannot be replaced by one that has so many")
    like: dict[str, Any] = {"device": old.weight.device, "dtype": old.weight.dtype}
    inputs, outputs = (size, _size(old, "out")) if side == "in" else (_size(old, "in"), size)
    new: nn.Module
    if isinstance(old, nn.Conv2d):
        new = nn.Conv2d(
            inputs,
            outputs,
            old.kernel_size,  # type: ignore[arg-type]
            old.stride,  # type: ignore[arg-type]
            old.padding,  # type: ignore[arg-type]
            old.dilation,  # type: ignore[arg-type]
            bias=old.bias is not None,
            padding_mode=old.padding_mode,
            **like,
        )
    else:
        new = nn.Linear(inputs, outputs, bias=old.bias is not None, **like)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, new)
