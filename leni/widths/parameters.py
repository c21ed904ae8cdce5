"""Sizes of a network's parameters and buffers, and the attributes of layers that must agree with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from leni.widths.sizes import Equations, Size

__all__ = ["Layer", "Parameters"]

Dims = tuple[Size, ...]


@dataclass
class Layer:
    """One module with parameters of its own.

    Attributes:
        path: of the module.
        module: the module, of the copy that was traced.
        inputs: channels that a convolution or linear layer takes; None for other modules.
        outputs: channels that it gives; None for other modules.
        attributes: sizes that the module keeps as numbers, by the attribute's name.
        tensors: sizes of its parameters and buffers, by name.
    """

    path: str
    module: nn.Module
    inputs: Size | None = None
    outputs: Size | None = None
    attributes: dict[str, Size | Dims] = field(default_factory=dict)
    tensors: dict[str, Dims] = field(default_factory=dict)


class Parameters:
    """The layers of a network, with a width for everything whose channels can differ.

    Args:
        root: the network; of the copy that is traced.
        equations: that get the widths.
    """

    def __init__(self, root: nn.Module, equations: Equations) -> None:
        self._equations = equations
        self._dims: dict[int, Dims] = {}
        self.layers: dict[str, Layer] = {}
        for path, module in root.named_modules():
            if module._parameters or module._buffers or isinstance(module, tuple(_KINDS)):
                self.layers[path] = self._layer(path, module)

    def dims(self, tensor: Tensor) -> Dims | None:
        """Sizes of a parameter or buffer; None for other tensors."""
        return self._dims.get(id(tensor))

    def adopt(self, root: nn.Module) -> None:
        """Give the parameters of another copy of the network the same sizes."""
        for path, layer in self.layers.items():
            module = root.get_submodule(path)
            for name, dims in layer.tensors.items():
                tensor = module._parameters.get(name, module._buffers.get(name))
                if tensor is not None:
                    self._dims[id(tensor)] = dims

    def _layer(self, path: str, module: nn.Module) -> Layer:
        layer = Layer(path, module)
        own = {**module._parameters, **module._buffers}
        if "weight" in own or not isinstance(module, _ConvNd | nn.Linear):  # else it is computed from others
            for kind, describe in _KINDS.items():
                if isinstance(module, kind):
                    describe(layer, module, self._equations)
        for name, tensor in own.items():
            if tensor is None:
                continue
            known = self._dims.get(id(tensor))
            if known is None:
                dims = layer.tensors.get(name) or tuple(
                    self._equations.new(size, chosen=False) for size in tensor.shape
                )
                self._dims[id(tensor)] = layer.tensors[name] = dims
            else:
                for one, other in zip(known, layer.tensors.get(name, known), strict=True):
                    self._equations.equate(one, other, f"{path}.{name} is shared")
                layer.tensors[name] = known
        return layer


def _convolution(layer: Layer, module: Any, equations: Equations) -> None:
    groups = module.groups
    depthwise = groups == module.in_channels > 1
    inputs = equations.new(module.in_channels, chosen=False, parts=1 if depthwise else groups)
    reason = f"{layer.path} has {groups} groups"
    if depthwise:
        outputs = inputs.times(module.out_channels // module.in_channels)
        layer.attributes["groups"] = inputs
        per_group_in, per_group_out = Size.of(1), Size.of(module.out_channels // module.in_channels)
    else:
        outputs = equations.new(module.out_channels, chosen=True, parts=groups)
        per_group_in, per_group_out = inputs.times(Fraction(1, groups)), outputs.times(Fraction(1, groups))
        equations.divide(inputs, groups, reason)
        equations.divide(outputs, groups, reason)
    kernel = tuple(map(Size.of, module.kernel_size))
    transposed = isinstance(module, _ConvTransposeNd)
    weight = (inputs, per_group_out, *kernel) if transposed else (outputs, per_group_in, *kernel)
    layer.inputs, layer.outputs = inputs, outputs
    layer.tensors |= {"weight": weight, "bias": (outputs,)}
    layer.attributes |= {"in_channels": inputs, "out_channels": outputs}


def _linear(layer: Layer, module: Any, equations: Equations) -> None:
    inputs = equations.new(module.in_features, chosen=False)
    outputs = equations.new(module.out_features, chosen=True)
    layer.inputs, layer.outputs = inputs, outputs
    layer.tensors |= {"weight": (outputs, inputs), "bias": (outputs,)}
    layer.attributes |= {"in_features": inputs, "out_features": outputs}


def _batch_norm(layer: Layer, module: Any, equations: Equations) -> None:
    channels = equations.new(module.num_features, chosen=False)
    layer.attributes["num_features"] = channels
    layer.tensors |= dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))


def _group_norm(layer: Layer, module: Any, equations: Equations) -> None:
    channels = equations.new(module.num_channels, chosen=False, parts=module.num_groups)
    layer.attributes["num_channels"] = channels
    layer.tensors |= dict.fromkeys(("weight", "bias"), (channels,))


def _layer_norm(layer: Layer, module: Any, equations: Equations) -> None:
    shape = tuple(equations.new(size, chosen=False) for size in module.normalized_shape)
    layer.attributes["normalized_shape"] = shape
    layer.tensors |= dict.fromkeys(("weight", "bias"), shape)


def _attention(layer: Layer, module: Any, equations: Equations) -> None:
    if module.in_proj_weight is None:
        return  # keys or values of other numbers of channels: not followed
    heads = module.num_heads
    width = equations.new(module.embed_dim, chosen=False, parts=heads)
    equations.divide(width, heads, f"{layer.path} has {heads} heads")
    layer.attributes |= dict.fromkeys(("embed_dim", "kdim", "vdim"), width)
    layer.attributes["head_dim"] = width.times(Fraction(1, heads))
    layer.tensors |= {"in_proj_weight": (width.times(3), width), "in_proj_bias": (width.times(3),)}
    layer.tensors |= dict.fromkeys(("bias_k", "bias_v"), (Size.of(1), Size.of(1), width))


_KINDS: dict[Any, Callable[[Layer, Any, Equations], None]] = {
    _ConvNd: _convolution,
    nn.Linear: _linear,
    _NormBase: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _layer_norm,
    nn.MultiheadAttention: _attention,
}
