"""Any network at a smaller width, freshly initialised: torch-pruning's dependency graph used on untrained weights.

Torch-Pruning (Fang et al., DepGraph, CVPR 2023, arXiv 2301.12900) finds which channels must go together: those of two
convolutions whose outputs are added, of a batch norm, of a depthwise convolution. Here it is no pruning, since there is
nothing trained to keep: the network is built narrower, as with a constructor's `width_mult`, where there is none.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx, nn

from leni.call_sites import named_calls
from leni.copying import copied, meta_copy
from leni.errors import NetworkError
from leni.recording import tensors_in
from leni.registry import get, names
from leni.tracing import Trace, module_kind, trace

__all__ = ["narrow"]

LAYERS = (nn.Conv2d, nn.Linear)
FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


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
        The narrower network, on the model's device and in its mode. Outputs of the classifier are as many as before.

    Raises:
        NetworkError: the ratio is out of range, a stage does not exist, the network has learned activations at its
            sites already, or Torch-Pruning cannot narrow it.
    """
    if not 0 < ratio <= 1:
        raise NetworkError(f"`ratio` must be in (0, 1], got {ratio}")
    _refuse_learned(model)
    record = trace(model, example_input)
    stage_of = _layer_stages(model, record)
    known = sorted(set(stage_of.values()))
    for stage in stages or ():
        if stage not in known:
            raise NetworkError(f"`stages`: the network has no stage {stage}; it has {', '.join(map(str, known))}")
    network = copied(model)
    stage_by_layer = {network.get_submodule(path): stage for path, stage in stage_of.items()}
    outputs = [network.get_submodule(path) for path in _output_layers(record)]
    if ratio < 1:
        flags = [(module, module.training) for module in network.modules()]
        try:
            _shrink(network, ratio, example_input, outputs, stage_by_layer, stages)
        except FAILURES as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise NetworkError(f"Torch-Pruning cannot narrow {type(model).__name__}: {reason}") from error
        for module, flag in flags:
            module.training = flag
        _check(model, network, example_input)
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


def _layer_stages(model: nn.Module, record: Trace) -> dict[str, int]:
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


def _output_layers(record: Trace) -> list[str]:
    """Paths of the layers whose channels are the network's outputs."""
    waiting, seen, found = list(record.outputs), set[fx.Node](), []
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node.meta.get("module"), LAYERS):
            found.append(str(node.target))
        else:
            waiting.extend(node.all_input_nodes)
    return found


def _shrink(
    network: nn.Module,
    ratio: float,
    example_input: Tensor,
    outputs: list[nn.Module],
    stage_of: dict[nn.Module, int],
    stages: Collection[int] | None,
) -> None:
    """Remove the last channels of each group of layers, in place."""
    import torch_pruning  # takes longer to import than the rest of leni, and only this needs it

    like = next(network.parameters(), None)
    if like is None:
        raise ValueError("it has no parameters")
    example = torch.zeros(example_input[:1].shape, device=like.device, dtype=like.dtype)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        for parameter in network.parameters():
            parameter.requires_grad_(True)  # Torch-Pruning reads the autograd graph
        dependencies = torch_pruning.DependencyGraph().build_dependency(network, [example], verbose=False)
        roots = []
        for group in dependencies.get_all_groups(ignored_layers=outputs, root_module_types=LAYERS):
            layers = [dep.target.module for dep, _ in group if dependencies.is_out_channel_pruning_fn(dep.handler)]
            stage = max((stage_of[layer] for layer in layers if layer in stage_of), default=-1)
            if stages is None or stage in stages:
                roots.append((group[0].dep.target.module, group[0].dep.handler, _groups(group)))
        for module, function, groups in roots:
            channels = dependencies.get_out_channels(module)
            size = channels // groups
            kept = max(1, round(ratio * size))
            surplus = [block * size + index for block in range(groups) for index in range(kept, size)]
            if surplus:
                dependencies.get_pruning_group(module, function, surplus).prune()


def _groups(group: Any) -> int:
    """In how many equal parts the channels of a group of layers must stay divisible."""
    parts = 1
    for dep, _ in group:
        module = dep.target.module
        if isinstance(module, nn.Conv2d) and not module.groups == module.out_channels == module.in_channels:
            parts = math.lcm(parts, module.groups)
        elif isinstance(module, nn.GroupNorm):
            parts = math.lcm(parts, module.num_groups)
    return parts


def _check(model: nn.Module, network: nn.Module, example_input: Tensor) -> None:
    """Run the narrow network on the meta device, in both modes: outputs must be as before, and training must work."""
    before, after = trace(model, example_input).output, trace(network, example_input).output
    shapes = [[tuple(tensor.shape) for tensor in tensors_in(value)] for value in (before, after)]
    if shapes[0] != shapes[1]:
        raise NetworkError(
            f"Torch-Pruning changed the outputs of {type(model).__name__} from {shapes[0]} to {shapes[1]}"
        )
    # Two samples, since batch norm in training refuses a single value per channel.
    example = torch.empty((2, *example_input.shape[1:]), device="meta", dtype=example_input.dtype)
    try:
        with torch.no_grad(), torch.device("meta"):
            meta_copy(network).train()(example)
    except FAILURES as error:
        raise NetworkError(
            f"{type(model).__name__} narrowed by Torch-Pruning does not run in training mode, where it has layers that "
            f"its evaluation has not (auxiliary heads?); build it without them: {str(error).splitlines()[0]}"
        ) from error
