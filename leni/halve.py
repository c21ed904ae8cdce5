"""The convolution before a call site at half its filters: room for an activation that doubles its channels.

CReLU, and LENI without compression, make 2C channels of C. Where a convolution (with its batch norm) feeds a site
alone, it can leave C/2 channels, and what comes after the site still gets the C that it expects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from leni.tracing import Call, Trace

__all__ = ["Producer", "halve", "producer_of"]


@dataclass(frozen=True)
class Producer:
    """The layers before a site, and what halving them saves.

    Attributes:
        convolution: path of the convolution.
        norm: path of the batch norm between it and the site; empty if there is none.
        params: parameters saved, a count.
        macs: multiply-adds saved, for one sample.
    """

    convolution: str
    norm: str
    params: int
    macs: int


def producer_of(model: nn.Module, record: Trace, call: Call) -> Producer | str:
    """The layers before a site that could be halved.

    Args:
        model: the traced network.
        record: its trace.
        call: the site's call.

    Returns:
        The layers, or a sentence that says why there are none.
    """
    if call.channels % 2:
        return f"it has {call.channels} channels, which cannot be halved"
    follower, node = call.node, call.node.all_input_nodes[0]
    norm = ""
    if isinstance(node.meta.get("module"), nn.modules.batchnorm._BatchNorm) and _only_user(node, follower):
        norm, follower, node = str(node.target), node, node.all_input_nodes[0]
    layer = node.meta.get("module")
    if not isinstance(layer, nn.Conv2d):
        return "no convolution comes before it whose filters could be halved"
    path = str(node.target)
    if not _only_user(node, follower) or any(record.counts[name] > 1 for name in (path, norm) if name):
        return f"{path}, the convolution before it, feeds more than this site"
    computed = _computed(layer) or (_computed(model.get_submodule(norm)) if norm else "")
    if computed:
        return f"the {computed} of {path}, the convolution before it, is computed from other parameters"
    if layer.groups != 1:
        return f"{path}, the convolution before it, has groups (={layer.groups})"
    convolution = model.get_submodule(path)
    if sum(1 for _, module in model.named_modules(remove_duplicate=False) if module is convolution) > 1:
        return f"{path}, the convolution before it, is shared"
    positions = math.prod(node.meta["shape"][2:])
    affine = norm and model.get_submodule(norm).weight is not None
    params = sum(parameter.numel() for parameter in layer.parameters()) // 2 + (call.channels if affine else 0)
    return Producer(path, norm, params, layer.weight.numel() // 2 * positions)


def halve(network: nn.Module, producer: Producer) -> None:
    """Keep the first half of a convolution's filters, and of its batch norm's channels, in place."""
    convolution: Any = network.get_submodule(producer.convolution)
    _keep_half(convolution)
    convolution.out_channels //= 2
    if producer.norm:
        norm: Any = network.get_submodule(producer.norm)
        _keep_half(norm)
        norm.num_features //= 2


def _computed(layer: nn.Module) -> str:
    """Name of a parameter that a parametrization, or a hook such as weight_norm's, computes; empty if there is none."""
    computed = (name for name in ("weight", "bias") if name in vars(layer) or parametrize.is_parametrized(layer, name))
    return next(computed, "")


def _only_user(node: fx.Node, user: fx.Node) -> bool:
    return list(node.users) == [user]


@torch.no_grad()
def _keep_half(layer: nn.Module) -> None:
    """Halve dimension 0 of all parameters and buffers but scalars."""
    for name, parameter in list(layer.named_parameters(recurse=False)):
        kept = nn.Parameter(_half(parameter), requires_grad=parameter.requires_grad)
        setattr(layer, name, kept)
    for name, buffer in list(layer.named_buffers(recurse=False)):
        if buffer.dim():
            setattr(layer, name, _half(buffer))


def _half(tensor: Tensor) -> Tensor:
    return tensor.detach()[: tensor.shape[0] // 2].clone()
