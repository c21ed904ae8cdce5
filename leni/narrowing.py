"""Any network at a smaller width, freshly initialized, as with a constructor's `width_mult`, where there is none.

Which channels must go together (those of two convolutions whose outputs are added, of a batch norm, of a depthwise
convolution) is found in widths/groups.py, as in DepGraph (Fang et al., CVPR 2023, arXiv 2301.12900). It is no pruning,
since there is nothing trained to keep.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from leni.call_sites import named_calls
from leni.copying import copied
from leni.errors import NetworkError
from leni.registry import get, names
from leni.tracing import Trace, module_kind, trace
from leni.widths.groups import ChannelGroup, Groups, channel_groups

__all__ = ["group_stage", "layer_stages", "narrow"]

LAYERS = (nn.Conv2d, nn.Linear)


def narrow(
    model: nn.Module, ratio: float, *, stages: Collection[int] | None = None, example_input: Tensor, seed: int = 0
) -> nn.Module:
    """A network like `model` with fewer channels in every layer.

    Args:
        model: any network of one input; it is not changed. Narrow first and `swap` afterwards.
        ratio: in (0, 1]. A layer of C output channels gets max(1, round(ratio * C)); in grouped layers the rule holds
            for each group.
        stages: stages to narrow, as `leni.sites` counts them (0 is the stem); None narrows all. Layers whose outputs
            are added belong together, to the last stage among them.
        example_input: (N, C, H, W); only its shape and dtype matter.
        seed: of the fresh initialisation, by each layer's own `reset_parameters`; parameters of modules without that
            method (ConvNeXt's layer scale) keep the values that they had.

    Returns:
        The narrower network, on the model's device and in its mode. Every output keeps its size. Layers whose channels
        cannot be changed keep them; `leni.widths.channel_groups` says why.

    Raises:
        NetworkError: the ratio is out of range, a stage does not exist, the network has learned activations at its
            sites already, cannot be traced in both modes, or has no layer that can be narrowed.
    """
    if not 0 < ratio <= 1:
        raise NetworkError(f"`ratio` must be in (0, 1], got {ratio}")
    _refuse_learned(model)
    record = trace(model, example_input)
    stage_of = layer_stages(model, record)
    known = sorted(set(stage_of.values()))
    for stage in stages or ():
        if stage not in known:
            raise NetworkError(f"`stages`: the network has no stage {stage}; it has {', '.join(map(str, known))}")
    network = copied(model) if ratio == 1 else _narrower(model, ratio, stage_of, stages, example_input)
    with torch.random.fork_rng(devices=sorted({p.device.index or 0 for p in network.parameters() if p.is_cuda})):
        torch.manual_seed(seed)
        for module in network.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    return network


def _refuse_learned(model: nn.Module) -> None:
    channelled = {name for name in names() if get(name).channelled}
    for path, module in model.named_modules():
        known = isinstance(module, nn.PReLU) or next(module.parameters(), None) is None
        if module_kind(module) in channelled and not known:
            raise NetworkError(
                f"{path} ({type(module).__name__}) has parameters for its channels; narrow the network first, then swap"
            )


def layer_stages(model: nn.Module, record: Trace) -> dict[str, int]:
    """Stage of each convolution and linear layer, by path: that of its output's size, or of the next call site."""
    site_of = {call.node: site for site, call in named_calls(model, record)}
    sizes = {site.spatial: site.stage for site in site_of.values() if site.role in ("inner", "outer")}
    stages: dict[str, int] = {}
    following = max(sizes.values(), default=1)
    for node in reversed(record.graph.nodes):
        site = site_of.get(node)
        following = following if site is None else site.stage
        if isinstance(node.meta.get("module"), LAYERS):
            size = tuple(node.meta["shape"][2:])
            stages[str(node.target)] = sizes.get(size, following) if following else 0
    return stages


def _narrower(
    model: nn.Module,
    ratio: float,
    stage_of: dict[str, int],
    stages: Collection[int] | None,
    example_input: Tensor,
) -> nn.Module:
    """The network with every group of the chosen stages at `ratio`."""
    groups = channel_groups(model, example_input)
    if not groups.groups:
        raise NetworkError(f"nothing of {type(model).__name__} can be narrowed: {_reasons(groups)}")
    return groups.build(
        [
            _width(group, ratio) if stages is None or group_stage(group, stage_of) in stages else group.channels
            for group in groups.groups
        ]
    )


def _width(group: ChannelGroup, ratio: float) -> int:
    return group.parts * max(1, round(ratio * group.channels / group.parts))


def group_stage(group: ChannelGroup, stage_of: dict[str, int]) -> int:
    """Stage of a group: the last of its layers' stages, -1 if they have none."""
    return max((stage_of[layer] for layer in group.layers if layer in stage_of), default=-1)


def _reasons(groups: Groups) -> str:
    first = ", ".join(f"{path}: {reason}" for path, reason in list(groups.kept.items())[:3])
    return first or "it has no convolution or linear layer"
