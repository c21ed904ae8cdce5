"""Rates of a network's dropout and stochastic depth, set by the recipe where the network has such layers."""

from __future__ import annotations

from torch import nn
from torchvision.ops import StochasticDepth

from leni.errors import EvaluationError

__all__ = ["set_drop_rates"]


def set_drop_rates(network: nn.Module, *, dropout: float | None, drop_path: float | None) -> None:
    """Set the probabilities of dropout and of stochastic depth in place.

    Args:
        network: to change.
        dropout: of every dropout layer; None leaves them as they are.
        drop_path: of the last layer of stochastic depth; those before it rise to it linearly from 0 at the first, as
            Huang et al. (1603.09382) have it. Layers are torchvision's StochasticDepth and timm's DropPath. None leaves
            them as they are.

    Raises:
        EvaluationError: a probability is above 0 and the network has no such layer.
    """
    if dropout is not None:
        layers = [module for module in network.modules() if isinstance(module, nn.modules.dropout._DropoutNd)]
        _check(len(layers), "dropout", dropout, "dropout layer")
        for layer in layers:
            layer.p = dropout
    if drop_path is not None:
        paths = [module for module in network.modules() if _rate_of(module)]
        _check(len(paths), "drop_path", drop_path, "layer of stochastic depth")
        for index, path in enumerate(paths):
            share = index / (len(paths) - 1) if len(paths) > 1 else 1.0
            setattr(path, _rate_of(path), drop_path * share)


def _rate_of(module: nn.Module) -> str:
    """The attribute that holds the probability of a layer of stochastic depth; "" for another layer."""
    if isinstance(module, StochasticDepth):
        return "p"
    return "drop_prob" if type(module).__name__ == "DropPath" and hasattr(module, "drop_prob") else ""


def _check(layers: int, key: str, rate: float, words: str) -> None:
    if rate and not layers:
        raise EvaluationError(f"{key} is {rate:g} in [training], but the network has no {words}")
