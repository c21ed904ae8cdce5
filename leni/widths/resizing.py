"""A freshly built network cut to other widths, its random weights with the variance that their initialisation meant.

`Groups.build` cuts the network that was traced. Here the groups of one network serve another one of the same structure,
built anew with other weights, and perhaps for other images or classes: what no width decides stays as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leni.errors import NetworkError
from leni.widths.groups import Groups
from leni.widths.parameters import Dims
from leni.widths.sizes import Size

__all__ = ["keep_variance", "resize"]

RULES = ("fan_in", "fan_out", "fan_out of a group")
GAINS = (2.0, 1.0, 1.0 / 3.0)  # variance times fan: He et al. for ReLU, Glorot or LeCun, torch's own default
NEAR = 0.15  # relative error of a variance that is estimated from a few hundred numbers
FEWEST = 128  # numbers from which a variance is estimated


@dataclass(frozen=True)
class Cut:
    """A weight that was cut.

    Attributes:
        weight: what is left of it, a parameter of the network.
        variance: of the whole weight.
        before: its fans by rule.
        after: those of what is left.
    """

    weight: nn.Parameter
    variance: float
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def rules(self) -> list[str]:
        """The rules by which the weight may have been initialised."""
        return [
            rule for rule in RULES if any(abs(self.variance * self.before[rule] / gain - 1) < NEAR for gain in GAINS)
        ]


def resize(groups: Groups, network: nn.Module, values: Mapping[int, int]) -> list[Cut]:
    """Cut a network to other widths, in place: the first entries of every tensor are kept.

    Args:
        groups: of a network of the same structure.
        network: any number of its input channels or outputs may be other than those of the network that was traced.
        values: of the equations' free widths (`Groups.values`).

    Returns:
        The weights of convolutions and linear layers that were cut, for `keep_variance`.

    Raises:
        NetworkError: the network has another structure.
    """
    done: dict[int, nn.Parameter] = {}
    cuts: list[Cut] = []
    for path, layer in groups.parameters.layers.items():
        try:
            module = network.get_submodule(path)
        except AttributeError:
            raise NetworkError(f"the network has no module {path}, unlike the one that was traced") from None
        for name, dims in layer.tensors.items():
            tensor = module._parameters.get(name, module._buffers.get(name))
            if tensor is None:
                continue
            cut = _cut(groups, module, name, tensor, _shape(groups, tensor, dims, values, f"{path}.{name}"), done)
            cuts += cut
        for name, size in layer.attributes.items():
            _set_attribute(groups, module, name, size, values)
    for flow in groups.flows:
        for patch in flow.patches:
            module = network.get_submodule(patch.path)
            setattr(module, patch.name, groups.number_or_row(patch.size, values, getattr(module, patch.name)))
    return cuts


def keep_variance(cuts: Iterable[Cut]) -> None:
    """Scale cut weights, so that they have the variance that their initialisation would give a layer of their size.

    A fresh weight whose variance is c / fan, with a gain c that is in use, is scaled to c / fan of what is left; where
    several rules explain it, the one that explains most layers counts. Any other weight, such as one drawn with a fixed
    standard deviation, keeps its numbers.

    Source: He et al., 1502.01852; Glorot and Bengio, 2010.
    """
    cuts = list(cuts)
    common = Counter(rule for cut in cuts for rule in cut.rules)
    for cut in cuts:
        if rules := cut.rules:
            rule = max(rules, key=lambda each: (common[each], -RULES.index(each)))
            with torch.no_grad():
                cut.weight.mul_(math.sqrt(cut.before[rule] / cut.after[rule]))


def _shape(groups: Groups, tensor: Tensor, dims: Dims, values: Mapping[int, int], name: str) -> tuple[int, ...]:
    """The shape of a tensor at other widths; a dimension that no width decides stays."""
    solved = [groups.equations.solve(size) for size in dims]
    if len(solved) != tensor.dim() or any(
        not size.fixed and groups.equations.now(size) != length
        for size, length in zip(solved, tensor.shape, strict=True)
    ):
        raise NetworkError(f"{name} has the shape {tuple(tensor.shape)}, unlike the one of the network that was traced")
    return tuple(
        length if size.fixed else groups.number(size, values) for size, length in zip(solved, tensor.shape, strict=True)
    )


@torch.no_grad()
def _cut(
    groups: Groups,
    module: nn.Module,
    name: str,
    tensor: Tensor,
    shape: tuple[int, ...],
    done: dict[int, nn.Parameter],
) -> list[Cut]:
    if tuple(tensor.shape) == shape:
        return []
    if id(tensor) in done:
        setattr(module, name, done[id(tensor)])
        return []
    left = tensor.detach()[tuple(map(slice, shape))].clone()
    if name not in module._parameters:
        setattr(module, name, left)
        return []
    parameter = done[id(tensor)] = nn.Parameter(left, requires_grad=tensor.requires_grad)
    done[id(parameter)] = parameter
    setattr(module, name, parameter)
    if tensor.dim() < 2 or tensor.numel() < FEWEST or not isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
        return []
    return [Cut(parameter, float(tensor.float().var()), _fans(module, tensor), _fans(module, parameter))]


def _fans(module: nn.Module, weight: Tensor) -> dict[str, float]:
    """Fans of a weight (out, in of a group, ...), by rule."""
    area = weight[0, 0].numel()
    groups = module.groups if isinstance(module, nn.modules.conv._ConvNd) else 1
    if groups == getattr(module, "in_channels", 0) > 1:
        groups = weight.shape[0]  # depthwise: the module's own number is that of before the cut
    values = (weight.shape[1] * area, weight.shape[0] * area, weight.shape[0] * area / groups)
    return dict(zip(RULES, map(float, values), strict=True))


def _set_attribute(groups: Groups, module: nn.Module, name: str, size: Size | Dims, values: Mapping[int, int]) -> None:
    """A number that a layer keeps, or a tuple of them; what no width decides stays."""
    if isinstance(size, Size):
        if not groups.equations.solve(size).fixed:
            setattr(module, name, groups.number(size, values))
        return
    now = getattr(module, name)
    kept = [
        own if groups.equations.solve(one).fixed else groups.number(one, values)
        for one, own in zip(size, now, strict=True)
    ]
    setattr(module, name, tuple(kept))
