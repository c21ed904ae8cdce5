"""Networks by name: `torchvision:resnet18`, `timm:resnet18`, or `package.module:factory` for your own.

To add a network, write a factory `f(**options) -> nn.Module` in any importable module and name it. Weights are never
downloaded; what `num_classes`, `width_mult` and other options mean is the factory's business.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from leni.errors import NetworkError
from leni.near_names import near_names
from leni.user_modules import import_user_module

__all__ = ["default_input_size", "has_input_size", "load_network", "network_factory"]

FORMS = "torchvision:NAME, timm:NAME or package.module:factory"
# Sizes that torchvision's networks cannot do without, in pixels; all others take 224.
TORCHVISION_SIZES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256}
WIDTH_ARGUMENTS = ("width_mult", "channel_multiplier")  # torchvision's and timm's words
SLOW_STARTS = ("googlenet", "inception_v3")


def load_network(name: str, *, width: float = 1.0, **options: Any) -> nn.Module:
    """Build a network, with fresh weights.

    Args:
        name: `torchvision:NAME`, `timm:NAME` or `package.module:factory`.
        width: fraction of its channels, in (0, 1]: by the factory's own argument (`width_mult`, `channel_multiplier`)
            where it has one, else by `leni.narrow`.
        options: for the factory, for example `num_classes=10`, or `width_mult=0.5` where it has one.

    Returns:
        The network, in training mode, on the CPU.

    Raises:
        NetworkError: there is no such network, its package is not installed, the factory does not take the options, or
            the network cannot be had at this width.

    Example:
        >>> load_network("torchvision:squeezenet1_1", num_classes=10).num_classes
        10
    """
    source, rest = _parse(name)
    if options.get("pretrained") or options.get("weights") is not None:
        raise NetworkError(f"{name}: weights are never downloaded; leave out `weights` and `pretrained`")
    if not 0 < width <= 1:
        raise NetworkError(f"{name}: `width` must be in (0, 1], got {width}")
    factory, options = _factory(source, rest, name, dict(options))
    network = _built(name, factory, options)
    if width == 1.0:
        return network
    narrower = _by_own_argument(name, factory, options, width, network)
    if narrower is None:
        from leni.narrowing import narrow

        narrower = narrow(network, width, example_input=torch.zeros(1, *default_input_size(name)))
    return narrower


def _built(name: str, factory: Callable[..., object], options: dict[str, Any]) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # timm and torchvision warn of their own deprecations while they build.
            warnings.simplefilter("ignore")
            network = factory(**options)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{name} cannot be built with {options}: {error}") from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{name} must give a torch.nn.Module, got {type(network).__name__}")
    return network


def _by_own_argument(
    name: str, factory: Callable[..., object], options: dict[str, Any], width: float, full: nn.Module
) -> nn.Module | None:
    """The network by the factory's own width argument; None where it has none, or takes it and does nothing."""
    count = sum(parameter.numel() for parameter in full.parameters())
    for argument in WIDTH_ARGUMENTS:
        if argument in options:
            continue
        try:
            network = _built(name, factory, {**options, argument: width})
        except NetworkError:
            continue
        if sum(parameter.numel() for parameter in network.parameters()) < count:
            return network
    return None


def default_input_size(name: str) -> tuple[int, int, int]:
    """Size of the images that a network was made for.

    Args:
        name: as for `load_network`.

    Returns:
        (C, H, W), pixels. A network of your own is taken to be made for (3, 224, 224) unless its factory has an
        attribute `input_size`.

    Raises:
        NetworkError: there is no such network.
    """
    source, rest = _parse(name)
    factory, _ = _factory(source, rest, name, {})
    if source == "torchvision":
        side = TORCHVISION_SIZES.get(rest, 224)
        return 3, side, side
    if source == "timm":
        cfg = importlib.import_module("timm").get_pretrained_cfg(rest)
        size = cfg.input_size if cfg is not None else (3, 224, 224)
    else:
        size = getattr(factory, "input_size", (3, 224, 224))
    channels, height, width = size
    return int(channels), int(height), int(width)


def has_input_size(name: str) -> bool:
    """Whether it is known for which size of images a network was made; of a network of your own its factory says it.

    Args:
        name: as for `load_network`.
    """
    source, rest = _parse(name)
    return source in ("torchvision", "timm") or hasattr(_factory(source, rest, name, {})[0], "input_size")


def network_factory(name: str) -> Callable[..., object]:
    """The function that builds a network.

    Args:
        name: as for `load_network`.

    Raises:
        NetworkError: there is no such network, or its package is not installed.
    """
    source, rest = _parse(name)
    return _factory(source, rest, name, {})[0]


def _parse(name: str) -> tuple[str, str]:
    source, colon, rest = name.partition(":")
    if not colon or not source or not rest:
        near = near_names(name, (f"torchvision:{known}" for known in _torchvision_names()))
        raise NetworkError(f"a network is named {FORMS}, got {name!r}{near}", code="LS-NETWORK-UNKNOWN")
    return source, rest


def _factory(
    source: str, rest: str, name: str, options: dict[str, Any]
) -> tuple[Callable[..., object], dict[str, Any]]:
    """The factory of a network, and the options to call it with."""
    if source == "torchvision":
        known = _torchvision_names()
        if rest not in known:
            raise NetworkError(
                f"torchvision has no classification network {rest!r}{near_names(rest, known)}",
                code="LS-NETWORK-UNKNOWN",
            )
        if rest in SLOW_STARTS:
            options.setdefault("init_weights", True)  # said outright, or torchvision warns of a change to come
        builder = importlib.import_module("torchvision.models").get_model_builder(rest)
        return builder, options
    if source == "timm":
        timm = _import("timm", f"{name} needs timm: pip install 'leni-search[timm]'", load=importlib.import_module)
        if not timm.is_model(rest):
            raise NetworkError(
                f"timm has no network {rest!r}{near_names(rest, timm.list_models())}", code="LS-NETWORK-UNKNOWN"
            )
        return timm.model_entrypoint(rest), options
    module = _import(source, f"{name}: there is no module {source!r} to import")
    factory = getattr(module, rest, None)
    if not callable(factory):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise NetworkError(f"{source} has no factory {rest!r}{near_names(rest, public)}", code="LS-NETWORK-UNKNOWN")
    return factory, options


def _import(module: str, sentence: str, *, load: Callable[[str], Any] = import_user_module) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise NetworkError(sentence, code="LS-NETWORK-UNKNOWN") from error


def _torchvision_names() -> list[str]:
    models = importlib.import_module("torchvision.models")
    names: list[str] = models.list_models(module=models)
    return names
