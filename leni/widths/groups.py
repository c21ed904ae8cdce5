"""Channels of a network that go together, found from its own forward pass; and the network at other widths.

    groups = channel_groups(network, torch.empty(1, 3, 224, 224))
    for group in groups.groups:
        print(group.name, group.channels, group.parts)
    smaller = groups.build([group.channels // 2 for group in groups.groups])

A group is one width: its layers have it, and all that reads them has it, a sum with it, or a part of it. The passes of
both modes are followed, so that heads which only training has go with the rest. What was found is tried: the network is
built at other widths, without data, and run; where it stops, or makes another shape than expected, the widths concerned
keep their channels. So a group that is listed can be had at any multiple of its parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from leni.copying import copied, meta_copy
from leni.errors import NetworkError
from leni.recording import Step, Trace, tensors_in
from leni.tracing import Stopped, own_class, trace
from leni.widths.flow import Flow, said, step_name
from leni.widths.functions import RESHAPES, follow_function
from leni.widths.modules import follow_module
from leni.widths.parameters import Dims, Layer, Parameters
from leni.widths.sizes import Equations, Size

__all__ = ["ChannelGroup", "Groups", "channel_groups"]

READINGS = {**dict.fromkeys(RESHAPES, 2), "split": 1, "split_with_sizes": 1}  # in how many other ways they can be read


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that go together.

    Attributes:
        name: path of the first layer that has them.
        channels: as built, a count.
        parts: equal parts that they must be divisible into.
        layers: paths of the convolutions and linear layers whose outputs they are, or are among; a layer whose outputs
            are split in three equal pieces has three times as many.
    """

    name: str
    channels: int
    parts: int
    layers: tuple[str, ...]


@dataclass(eq=False)
class Groups:
    """The groups of one network.

    Attributes:
        groups: in the order of the forward pass.
        kept: why other layers keep their outputs, by path.
        flows: what the passes demand of sizes.
        records: of the passes that the flows follow, in evaluation and in training mode.
    """

    model: nn.Module
    groups: tuple[ChannelGroup, ...]
    kept: dict[str, str]
    equations: Equations
    parameters: Parameters
    flows: tuple[Flow, ...]
    _widths: tuple[int, ...] = field(default=())
    records: tuple[Trace, ...] = field(default=())

    @property
    def free(self) -> tuple[int, ...]:
        """The equations' width of each group."""
        return self._widths

    def values(self, widths: Sequence[int]) -> dict[int, int]:
        """Channels of each free width of the equations, at widths of the groups.

        Raises:
            NetworkError: there are more or fewer widths than groups, or one is no positive multiple of the group's
                parts.
        """
        if len(widths) != len(self.groups):
            raise NetworkError(f"the network has {len(self.groups)} groups of channels, got {len(widths)} widths")
        for group, width in zip(self.groups, widths, strict=True):
            if width < 1 or width % group.parts:
                raise NetworkError(f"{group.name} must have a positive multiple of {group.parts} channels, got {width}")
        return dict(zip(self._widths, widths, strict=True))

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The network at other widths, with the first channels of its weights.

        Args:
            widths: channels of each group.

        Returns:
            A new network, on the model's device and in its mode.

        Raises:
            NetworkError: as `values`, or the network cannot be copied.
        """
        network = copied(self.model)
        self._resize(network, self.values(widths))
        return network

    def number(self, size: Size, values: Mapping[int, int]) -> int:
        """A size at given channels of the free widths."""
        number = self.equations.solve(size).value(values)
        if number.denominator != 1:
            raise ArithmeticError(f"{size} is not a whole number at {values}")
        return int(number)

    def _resize(self, network: nn.Module, values: Mapping[int, int]) -> None:
        done: dict[int, nn.Parameter] = {}
        for path, layer in self.parameters.layers.items():
            module = network.get_submodule(path)
            for name, dims in layer.tensors.items():
                _cut(module, name, tuple(self.number(size, values) for size in dims), done)
            for name, size in layer.attributes.items():
                new = tuple(self.number(one, values) for one in size) if isinstance(size, tuple) else None
                setattr(module, name, self.number(size, values) if isinstance(size, Size) else new)
        for flow in self.flows:
            for patch in flow.patches:
                module = network.get_submodule(patch.path)
                setattr(module, patch.name, self.number_or_row(patch.size, values, getattr(module, patch.name)))

    def number_or_row(self, size: Size | Dims, values: Mapping[int, int], now: Any) -> Any:
        """A number, or as many as an attribute has now, in a tuple or list as it is."""
        if isinstance(size, Size):
            return self.number(size, values)
        return type(now)(self.number(one, values) for one in size)


@torch.no_grad()
def _cut(module: nn.Module, name: str, shape: tuple[int, ...], done: dict[int, nn.Parameter]) -> None:
    """Keep the first entries of a parameter or buffer in each dimension; a shared parameter stays shared."""
    tensor = module._parameters.get(name, module._buffers.get(name))
    if tensor is None or tuple(tensor.shape) == shape:
        return
    if id(tensor) in done:
        setattr(module, name, done[id(tensor)])
        return
    cut: Tensor = tensor.detach()[tuple(map(slice, shape))].clone()
    if name in module._parameters:
        cut = done[id(tensor)] = nn.Parameter(cut, requires_grad=tensor.requires_grad)
        done[id(cut)] = cut
    setattr(module, name, cut)


def channel_groups(model: nn.Module, example_input: Tensor) -> Groups:
    """Find which channels of a network go together.

    Args:
        model: any network of one input; it is not changed.
        example_input: (N, C, H, W); only its shape and dtype matter.

    Returns:
        The groups. What cannot be changed is in none, and `kept` says why.

    Raises:
        NetworkError: the network cannot be traced.
    """
    records = [trace(model, example_input), trace(model, example_input, training=True)]
    fixed: dict[tuple[int, int], str] = {}  # steps whose operands keep their sizes, with the reason
    attempts: Counter[tuple[int, int]] = Counter()  # how often steps were found wrong that can be read in other ways
    alike = _alike(records)
    without_data = not any(record.asked_device or _has_data(record) for record in records)
    base = meta_copy(model) if without_data else model
    example_input = torch.empty_like(example_input, device="meta") if without_data else example_input
    while True:
        groups = _solve(model, records, fixed, attempts)
        probe = [_probe(group, index) for index, group in enumerate(groups.groups)]
        wrong = _wrong_step(groups, base, probe, example_input, records)
        if wrong is None:
            groups.records = tuple(records)
            return groups
        place, reason = wrong
        name = step_name(records[place[0]].steps[place[1]])
        if attempts[place] < READINGS.get(name, 0):
            attempts.update(alike[place])
        else:
            fixed[place] = reason


def _alike(records: Sequence[Trace]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Steps that the same line of the same class makes, itself included, of each step (turn, index)."""
    lines: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for turn, record in enumerate(records):
        counts: Counter[str] = Counter()
        kinds = {path: own_class(module) for path, module in record.root.named_modules(remove_duplicate=False)}
        for index, step in enumerate(record.steps):
            counts[step.scope] += 1
            lines[kinds.get(step.scope), step_name(step), counts[step.scope]].append((turn, index))
    return {place: line for line in lines.values() for place in line}


def _has_data(record: Trace) -> bool:
    return any(tensor.device.type != "meta" for tensor in tensors_in(record.output))


def _probe(group: ChannelGroup, index: int) -> int:
    """A width to try a group at: fewer channels, and not the same fraction as its neighbours'."""
    units = group.channels // group.parts
    return group.parts * max(1, units * (3 + index % 4) // 8)


def _solve(
    model: nn.Module,
    records: Sequence[Trace],
    fixed: Mapping[tuple[int, int], str],
    attempts: Mapping[tuple[int, int], int],
) -> Groups:
    equations = Equations()
    parameters = Parameters(records[0].root, equations)
    flows = []
    for turn, record in enumerate(records):
        parameters.adopt(record.root)
        flow = Flow(record, parameters, equations)
        for index, step in enumerate(record.steps):
            flow.attempt = attempts.get((turn, index), 0)
            follow = follow_module if step.module is not None else follow_function
            if not follow(flow, step):
                flow.opaque(step)
            if (turn, index) in fixed:
                flow.keep((step.args, step.kwargs, step.result), fixed[turn, index])
        flow.keep(record.output, "it is an output of the network")
        flows.append(flow)
    _keep_rest(parameters, equations, flows)
    return _groups(model, equations, parameters, flows)


def _keep_rest(parameters: Parameters, equations: Equations, flows: Iterable[Flow]) -> None:
    """Fix layers that never ran, and sizes that no layer decides."""
    called = {path for flow in flows for path in flow.called}
    for path, layer in parameters.layers.items():
        if path not in called:
            for dims in layer.tensors.values():
                for size in dims:
                    equations.fix(size, "it is never called")
    for index in equations.free():
        if not equations.widths[index].chosen:
            equations.fix(equations.one(index), "no layer decides it")


def _groups(model: nn.Module, equations: Equations, parameters: Parameters, flows: Sequence[Flow]) -> Groups:
    members: dict[int, list[str]] = {}
    kept: dict[str, str] = {}
    for path, layer in _in_order(parameters, flows):
        if layer.outputs is None:
            continue
        solved = equations.solve(layer.outputs)
        for width, _ in solved.terms:
            members.setdefault(width, []).append(path)
        if solved.fixed:
            kept[path] = equations.reason(layer.outputs) or "it has one channel"
    groups = tuple(
        ChannelGroup(paths[0], equations.widths[width].channels, equations.widths[width].parts, tuple(paths))
        for width, paths in members.items()
    )
    return Groups(model, groups, kept, equations, parameters, tuple(flows), tuple(members))


def _in_order(parameters: Parameters, flows: Sequence[Flow]) -> list[tuple[str, Layer]]:
    """Layers in the order in which they ran; those that did not at the end."""
    order: dict[str, None] = {}
    for flow in flows:
        order |= flow.called
    order |= dict.fromkeys(parameters.layers)
    return [(path, parameters.layers[path]) for path in order if path in parameters.layers]


def _wrong_step(
    groups: Groups, base: nn.Module, widths: Sequence[int], example_input: Tensor, records: Sequence[Trace]
) -> tuple[tuple[int, int], str] | None:
    """The step (turn, index) at which the network at other widths does not do what was expected, and what to say."""
    values = groups.values(widths)
    network = copied(base)
    groups._resize(network, values)
    for turn, (record, flow) in enumerate(zip(records, groups.flows, strict=True)):
        stopped: Stopped | None = None
        try:
            steps = trace(network, example_input, training=bool(turn)).steps
        except Stopped as error:
            steps, stopped = error.record.steps, error
        wrong = _first_difference(groups, flow, record.steps, steps, values)
        if wrong is None and stopped is None and len(steps) == len(record.steps):
            continue
        index = wrong if wrong is not None else min(len(steps), len(record.steps) - 1)
        return _free_before(groups, flow, record.steps, turn, index, stopped)
    return None


def _first_difference(
    groups: Groups, flow: Flow, before: Sequence[Step], after: Sequence[Step], values: Mapping[int, int]
) -> int | None:
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        for one, other in zip(tensors_in(old.result), tensors_in(new.result), strict=False):
            if tuple(groups.number(size, values) for size in flow.dims(one)) != tuple(other.shape):
                return index
    return None


def _free_before(
    groups: Groups, flow: Flow, steps: Sequence[Step], turn: int, index: int, stopped: Stopped | None
) -> tuple[tuple[int, int], str]:
    """The last step up to the wrong one that has a size to fix."""
    for place in range(index, -1, -1):
        step = steps[place]
        sizes = [size for t in tensors_in((step.args, step.kwargs, step.result)) for size in flow.dims(t)]
        if any(not groups.equations.solve(size).fixed for size in sizes):
            return (turn, place), f"{said(steps[index])} is written for as many channels as it has"
    raise NetworkError(f"cannot find the channels of {type(groups.model).__name__} that go together: {stopped}")
