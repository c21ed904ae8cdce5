"""Rules for modules of torch.nn that are one step of a trace."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

from leni.kinds import module_kind
from leni.recording import Step, tensors_in
from leni.widths.arguments import given
from leni.widths.elementwise import elementwise
from leni.widths.flow import Flow, Product
from leni.widths.functions import pooled, positions
from leni.widths.parameters import Layer
from leni.widths.shapes import reshaped
from leni.widths.sizes import Size

__all__ = ["follow_module"]

POOLS = (
    _AvgPoolNd,
    _MaxPoolNd,
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    nn.LPPool2d,
    nn.Upsample,
    nn.modules.padding._ConstantPadNd,
    nn.modules.padding._ReflectionPadNd,
    nn.modules.padding._ReplicationPadNd,
)
ELEMENTWISE = (nn.Identity, nn.modules.dropout._DropoutNd, nn.Softmax, nn.Softmax2d, nn.LocalResponseNorm, nn.Threshold)


def follow_module(flow: Flow, step: Step) -> bool:
    """Follow a step that is a module; False if there is no rule for it."""
    module: Any = step.module
    path = str(step.target)
    flow.called[path] = None
    layer = flow.parameters.layers.get(path)
    x = next(tensors_in(step.args), None)
    if isinstance(module, nn.MultiheadAttention):
        return layer is not None and _attended(flow, step, layer)
    if x is None or not isinstance(step.result, Tensor):
        return False
    if isinstance(module, _ConvNd | nn.Linear):
        return layer is not None and layer.inputs is not None and _weighted(flow, step, layer, x)
    if isinstance(module, _NormBase | nn.GroupNorm):
        return layer is not None and _normed(flow, step, layer, x, 1)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return layer is not None and _layer_normed(flow, step, layer, x)
    if isinstance(module, nn.PReLU):
        return _prelu(flow, step, layer, x)
    if isinstance(module, POOLS):
        return pooled(flow, step)
    if isinstance(module, nn.Flatten | nn.Unflatten):
        return reshaped(flow, step)
    if isinstance(module, nn.PixelShuffle | nn.PixelUnshuffle):
        return _shuffled(flow, step, x)
    learned = next(module.parameters(), None) is not None
    if isinstance(module, ELEMENTWISE) or (module_kind(module) is not None and not learned):
        return elementwise(flow, step)
    return False


def _weighted(flow: Flow, step: Step, layer: Layer, x: Tensor) -> bool:
    """A convolution or linear layer."""
    module: Any = step.module
    result: Tensor = step.result
    if layer.inputs is None or layer.outputs is None:
        return False
    channels = x.dim() - 1 if isinstance(module, nn.Linear) else x.dim() - 1 - len(module.kernel_size)
    dims = list(flow.dims(x))
    flow.equate(dims[channels], layer.inputs, step)
    out = [*dims[:channels], layer.outputs, *positions(dims, x.shape, result.shape, channels + 1)]
    rows = out if not isinstance(module, _ConvTransposeNd) else dims
    rows = [size for index, size in enumerate(rows) if index != channels]
    flow.products.append(Product(1, (*rows, *layer.tensors["weight"])))
    return flow.put(result, tuple(out))


def _normed(flow: Flow, step: Step, layer: Layer, x: Tensor, channels: int) -> bool:
    dims = flow.dims(x)
    name = "num_channels" if isinstance(step.module, nn.GroupNorm) else "num_features"
    size = layer.attributes[name]
    if isinstance(size, tuple) or x.dim() <= channels:
        return False
    flow.equate(dims[channels], size, step)
    return flow.put(step.result, dims)


def _layer_normed(flow: Flow, step: Step, layer: Layer, x: Tensor) -> bool:
    dims, shape = flow.dims(x), layer.attributes["normalized_shape"]
    if not isinstance(shape, tuple):
        return False
    for one, other in zip(dims[-len(shape) :], shape, strict=True):
        flow.equate(one, other, step)
    return flow.put(step.result, dims)


def _prelu(flow: Flow, step: Step, layer: Layer | None, x: Tensor) -> bool:
    dims = flow.dims(x)
    if layer is not None and x.dim() > 1 and not layer.tensors["weight"][0].fixed:
        flow.equate(dims[1], layer.tensors["weight"][0], step)
        layer.attributes["num_parameters"] = layer.tensors["weight"][0]
    return flow.put(step.result, dims)


def _attended(flow: Flow, step: Step, layer: Layer) -> bool:
    """Queries, keys and values of one number of channels."""
    width, out = layer.attributes.get("embed_dim"), flow.parameters.layers.get(f"{layer.path}.out_proj")
    query, *others = (given(step, index, name) for index, name in enumerate(("query", "key", "value")))
    attended = next(tensors_in(step.result))
    if not isinstance(width, Size) or out is None or out.inputs is None or out.outputs is None:
        return False
    if attended.shape != query.shape:
        return False
    flow.called[out.path] = None
    for size in (out.inputs, out.outputs, *(flow.dims(tensor)[-1] for tensor in (query, *others))):
        flow.equate(width, size, step)
    rows, keys = flow.dims(query)[:-1], flow.dims(others[0])[:-1]
    attended_to = keys[-1] if getattr(step.module, "batch_first", False) else keys[0]
    flow.products += [Product(1, (*rows, width, width))] * 2 + [Product(1, (*keys, width, width))] * 2
    flow.products += [Product(1, (*rows, attended_to, width))] * 2
    return flow.put(attended, flow.dims(query))


def _shuffled(flow: Flow, step: Step, x: Tensor) -> bool:
    module: Any = step.module
    dims = list(map(Size.of, step.result.shape))
    dims[:-3] = flow.dims(x)[:-3]
    if isinstance(module, nn.PixelShuffle):
        parts = module.upscale_factor**2
        flow.divide(flow.dims(x)[-3], parts, step)
        dims[-3] = flow.dims(x)[-3].times(Fraction(1, parts))
    else:
        dims[-3] = flow.dims(x)[-3].times(module.downscale_factor**2)
    return flow.put(step.result, tuple(dims))
