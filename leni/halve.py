"""The convolution before a call site at half its filters: room for an activation that doubles its channels.

CReLU, and LENI without compression, make 2C channels of C. Where a convolution (with its batch norm) feeds a site
alone, it can leave C/2 channels, and what comes after the site still gets the C that it expects. A convolution with
groups leaves half the filters of each group.
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

PASSING = (nn.Identity, nn.modules.dropout._DropoutNd)


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
    follower, node = _before(call.node, call.node.all_input_nodes[0])
    norm = _layer_of(model, node, nn.modules.batchnorm._BatchNorm, "batch_norm")
    if norm and _only_user(node, follower):
        follower, node = _before(node, node.all_input_nodes[0])
    else:
        norm = ""
    path = _layer_of(model, node, nn.Conv2d, "conv2d")
    if not path:
        return "no convolution comes before it whose filters could be halved"
    if not _only_user(node, follower) or any(record.counts[name] > 1 for name in (path, norm) if name):
        return f"{path}, the convolution before it, feeds more than this site"
    layer: Any = model.get_submodule(path)
    obstacle = _obstacle(model, layer, norm)
    if obstacle:
        return obstacle.format(path=f"{path}, the convolution before it,")
    positions = math.prod(node.meta["shape"][2:])
    saved = [parameter.numel() // 2 for parameter in layer.parameters() if _per_filter(parameter, call.channels)]
    affine = norm and model.get_submodule(norm).weight is not None
    params = sum(saved) + (call.channels if affine else 0)
    return Producer(path, norm, params, layer.weight.numel() // 2 * positions)


def halve(network: nn.Module, producer: Producer) -> None:
    """Keep the first half of a convolution's filters, of each group, and their batch norm's channels, in place."""
    convolution: Any = network.get_submodule(producer.convolution)
    channels, groups = convolution.out_channels, convolution.groups
    kept = torch.arange(channels).reshape(groups, -1)[:, : channels // groups // 2].flatten()
    _keep(convolution, kept, channels)
    convolution.out_channels //= 2
    if producer.norm:
        norm: Any = network.get_submodule(producer.norm)
        _keep(norm, kept, channels)
        norm.num_features //= 2


def _before(follower: fx.Node, node: fx.Node) -> tuple[fx.Node, fx.Node]:
    """The first node at or above `node` that does more than hand values on, and its reader."""
    while isinstance(node.meta.get("module"), PASSING) and _only_user(node, follower):
        follower, node = node, node.all_input_nodes[0]
    return follower, node


def _layer_of(model: nn.Module, node: fx.Node, kind: type[nn.Module], function: str) -> str:
    """Path of the layer that a node is a call of, or in whose forward it is the one call of `function`; else empty.

    A layer of a class of its own, such as timm's `BatchNormAct2d` and its convolutions with padding or with
    standardised weights, is seen as the function that it calls.
    """
    if isinstance(node.meta.get("module"), kind):
        return str(node.target)
    if node.op != "call_function" or getattr(node.target, "__name__", "") != function:
        return ""
    scope = str(node.meta["scope"])
    alike = [n for n in node.graph.nodes if n.target is node.target and n.meta.get("scope") == scope]
    return scope if alike == [node] and isinstance(model.get_submodule(scope), kind) else ""


def _obstacle(model: nn.Module, layer: nn.Conv2d, norm: str) -> str:
    """Why a convolution cannot be halved, with {path} in the place of its name; empty if it can."""
    computed = _computed(layer) or (_computed(model.get_submodule(norm)) if norm else "")
    if computed:
        return f"the {computed} of {{path}} is computed from other parameters"
    if layer.out_channels // layer.groups % 2:
        return f"{{path}} has {layer.groups} groups of an odd number of filters ({layer.out_channels // layer.groups})"
    if sum(1 for _, module in model.named_modules(remove_duplicate=False) if module is layer) > 1:
        return "{path} is shared"
    return ""


def _computed(layer: nn.Module) -> str:
    """Name of a parameter that a parametrization, or a hook such as weight_norm's, computes; empty if there is none."""
    computed = (name for name in ("weight", "bias") if name in vars(layer) or parametrize.is_parametrized(layer, name))
    return next(computed, "")


def _only_user(node: fx.Node, user: fx.Node) -> bool:
    return list(node.users) == [user]


def _per_filter(tensor: Tensor, channels: int) -> bool:
    return tensor.dim() > 0 and tensor.shape[0] == channels


@torch.no_grad()
def _keep(layer: nn.Module, kept: Tensor, channels: int) -> None:
    """Keep entries of dimension 0 of all parameters and buffers that have one for each channel."""
    for name, parameter in list(layer.named_parameters(recurse=False)):
        if _per_filter(parameter, channels):
            cut = parameter.detach()[kept.to(parameter.device)]
            setattr(layer, name, nn.Parameter(cut, requires_grad=parameter.requires_grad))
    for name, buffer in list(layer.named_buffers(recurse=False)):
        if _per_filter(buffer, channels):
            setattr(layer, name, buffer.detach()[kept.to(buffer.device)])
