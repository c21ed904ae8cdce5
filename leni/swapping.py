"""Another activation at chosen call sites of a network, in a new network.

    network, report = leni.swap(model, "leni", "inner", example_input=torch.empty(1, 3, 224, 224), kernel_size=5)
    print(report)

The new network is a deep copy. Where a site is a module of its own, that module is replaced; where a site is a function
or one of several calls of a module, the forward that makes the call is rewired (rewire.py). Each site has its own
module, with its own channel count, at the path that is the site's name. All other names stay, so that checkpoints load
both ways with `strict=False`, and strictly where neither activation has parameters.

What cannot be replaced is left alone, and the report says why. That a site runs exactly once, on what it ran on, is
verified by tracing the new network.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from leni.block import LENI
from leni.call_sites import CallSite, named_calls
from leni.copying import copied, meta_copy
from leni.errors import LeniSearchError, NetworkError
from leni.halve import Producer, halve, producer_of
from leni.placement import FEATURE_ROLES, Placement
from leni.registry import Activation, get
from leni.rewire import Target, inputs_of, rewire
from leni.tracing import PUT_BY_SWAP, Call, Trace, trace

__all__ = ["SiteReport", "SwapReport", "Swapped", "swap"]


@dataclass(frozen=True)
class SiteReport:
    """What became of one call site.

    Attributes:
        site: the site, as it was.
        replaced: whether it has the new activation.
        reason: why it was left alone; empty where it was replaced.
        params: parameters that it gained, a count; negative where the layers before it were halved, or the old
            activation had more.
        macs: multiply-adds that it gained, for one sample.
    """

    site: CallSite
    replaced: bool
    reason: str = ""
    params: int = 0
    macs: int = 0


@dataclass(frozen=True)
class SwapReport:
    """What `swap` did, site by site; `print` shows it as a table.

    Attributes:
        activation: name of the new activation.
        placement: as asked for, in canonical form.
        sites: in the order of the forward pass.
    """

    activation: str
    placement: str
    sites: tuple[SiteReport, ...]

    @property
    def replaced(self) -> tuple[CallSite, ...]:
        """The sites that have the new activation."""
        return tuple(row.site for row in self.sites if row.replaced)

    @property
    def left(self) -> dict[str, str]:
        """Why the other sites were left alone, by name."""
        return {row.site.name: row.reason for row in self.sites if not row.replaced}

    @property
    def params(self) -> int:
        """Parameters gained in all, a count."""
        return sum(row.params for row in self.sites)

    @property
    def macs(self) -> int:
        """Multiply-adds gained in all, for one sample: of convolutions and linear layers, and of LENI's two steps."""
        return sum(row.macs for row in self.sites)

    def __str__(self) -> str:
        header = ("site", "role", "stage", "was", "channels", "size", "now", "params", "macs")
        rows = [
            (
                row.site.name,
                row.site.role,
                str(row.site.stage),
                row.site.kind,
                str(row.site.channels),
                "x".join(map(str, row.site.spatial)) or "1",
                self.activation if row.replaced else row.site.kind,
                f"{row.params:+,}" if row.replaced else "",
                f"{row.macs:+,}" if row.replaced else f"left alone: {row.reason}",
            )
            for row in self.sites
        ]
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
        lines = ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in [header, *rows]]
        lines.append(
            f"{self.activation} at {len(self.replaced)} of {len(self.sites)} call sites (placement {self.placement}): "
            f"{self.params:+,} parameters, {self.macs:+,} multiply-adds"
        )
        return "\n".join(lines)


class Swapped(NamedTuple):
    """A new network, and what is new in it."""

    network: nn.Module
    report: SwapReport


@dataclass(frozen=True)
class _Change:
    """A site to be replaced, with what is needed for it."""

    site: CallSite
    call: Call
    producer: Producer | None

    @property
    def channels(self) -> int:
        return self.site.channels // 2 if self.producer else self.site.channels


def swap(
    model: nn.Module, activation: str, placement: str = "all", *, example_input: Tensor, **options: object
) -> Swapped:
    """Put an activation at chosen call sites of a network, in a new network.

    Args:
        model: any network of one input that `leni.sites` can read; it is not changed.
        activation: as registered, for example `leni`.
        placement: in the placement language, for example `stem+stage:1-2`; `all` means all feature maps.
        example_input: (N, C, H, W), as for `leni.sites`; multiply-adds are counted at its size.
        options: of the activation, for example `kernel_size=5`.

    Returns:
        The network, with device, dtype and training flag of the model, and the report. Sites that are not (N, C, H, W)
        are left alone unless `sites:` names them and the activation needs no channels; gates and heads are left alone
        unless `gate`, `head` or `sites:` names them. An activation that doubles its channels goes where the convolution
        before the site (with its batch norm) feeds it alone; that convolution keeps the first half of its filters.

    Raises:
        ActivationError: the activation or an option of it is unknown.
        PlacementError: the placement cannot be read, or a word of it matches nothing.
        NetworkError: the network cannot be traced.
    """
    row = get(activation)
    checked = row.check(options)
    parsed = Placement.parse(placement)
    record = trace(model, example_input)
    pairs = named_calls(model, record)
    selected = parsed.select([site for site, _ in pairs])
    named = {name for term in parsed.terms for name in term.names}
    left: dict[str, str] = {}
    changes: list[_Change] = []
    for index, (site, call) in enumerate(pairs):
        producer = producer_of(model, record, call) if row.multiple(**checked) == 2 else None
        reason = f"not chosen ({site.role})"
        if index in selected:
            reason = _obstacle(row, checked, site, call, named, producer)
        if reason:
            left[site.name] = reason
        else:
            changes.append(_Change(site, call, producer if isinstance(producer, Producer) else None))
    network = model
    while True:
        network, failed = _convert(model, record, changes, pairs, row, checked)
        failed = failed or _verify(network, example_input, changes, pairs, row)
        if not failed:
            break
        left |= failed
        changes = [change for change in changes if change.site.name not in failed]
    done = {change.site.name: change for change in changes}
    reports = tuple(
        _report(model, network, done[site.name]) if site.name in done else SiteReport(site, False, left[site.name])
        for site, _ in pairs
    )
    return Swapped(network, SwapReport(row.name, str(parsed), reports))


def _obstacle(
    row: Activation,
    options: Mapping[str, object],
    site: CallSite,
    call: Call,
    named: set[str],
    producer: Producer | str | None,
) -> str:
    """Why a chosen site cannot have the activation; empty if it can."""
    if site.hidden:
        return site.hidden
    output = call.node.meta["shape"]
    if output != call.shape:
        return f"it changes the shape from {call.shape} to {output}"
    if not site.feature_map and site.name not in named and site.role in FEATURE_ROLES:
        return f"its input is no feature map (N, C, H, W) but {call.shape}, channels in dimension {site.channel_dim}"
    if row.channelled and site.channel_dim != 1:
        return f"its channels are in dimension {site.channel_dim}, and {row.name} needs them in dimension 1"
    if isinstance(producer, str):
        return producer
    if site.feature_map:
        return ""
    try:
        result = meta_copy(row.factory(site.channels, **options))(torch.empty(call.shape, device="meta"))
    except (LeniSearchError, RuntimeError, IndexError) as error:
        return f"{row.name} cannot be applied to {call.shape}: {str(error).splitlines()[0]}"
    return "" if tuple(result.shape) == call.shape else f"{row.name} makes {tuple(result.shape)} of {call.shape}"


def _convert(
    model: nn.Module,
    record: Trace,
    changes: Sequence[_Change],
    pairs: Sequence[tuple[CallSite, Call]],
    row: Activation,
    options: Mapping[str, object],
) -> tuple[nn.Module, dict[str, str]]:
    """A copy of `model` with the changes made, and why some could not be made."""
    names = {id(call): site.name for site, call in pairs}
    network = copied(model)
    rewired: dict[str, list[_Change]] = defaultdict(list)
    for change in changes:
        if change.call.functional or record.counts[change.call.path] > 1:
            rewired[next(path for path in reversed(change.call.scopes) if record.counts[path] == 1)].append(change)
    failed: dict[str, str] = {}
    for path, group in rewired.items():
        try:
            _rewire(network, path, record, group, names)
        except NetworkError as error:
            failed |= {change.site.name: str(error) for change in group}
    if failed:
        return network, failed
    for change in changes:
        _put(network, change, row, options)
    return network, {}


def _put(network: nn.Module, change: _Change, row: Activation, options: Mapping[str, object]) -> None:
    """Set the new module at the site's path, like its surroundings in device, dtype and mode."""
    if change.producer:
        halve(network, change.producer)
    module = row.factory(change.channels, **options)
    setattr(module, PUT_BY_SWAP, row.name)
    parent_path, _, name = change.site.name.rpartition(".")
    parent = network.get_submodule(parent_path)
    module.train(parent.training)
    while True:
        scope = network.get_submodule(parent_path)
        like = next((value for value in scope.parameters() if value.is_floating_point()), None)
        if like is not None:
            module.to(device=like.device, dtype=like.dtype)
        if like is not None or not parent_path:
            break
        parent_path = parent_path.rpartition(".")[0]
    setattr(parent, name, module)
    if isinstance(parent, nn.TransformerEncoderLayer):
        parent.activation_relu_or_gelu = 0  # else evaluation takes a fused way past the new module


def _rewire(network: nn.Module, path: str, record: Trace, group: Sequence[_Change], names: Mapping[int, str]) -> None:
    """Redirect the calls of `group` in the forward of the module at `path`; `names` has the site of each call."""
    scope = network.get_submodule(path)
    inside = [_inside(change.call, path) for change in group]
    inlined = {id(module): module for scopes in inside for module in map(network.get_submodule, scopes)}
    visible = [
        call
        for call in record.calls
        if path in call.scopes
        and not call.hidden
        and all(id(network.get_submodule(name)) in inlined for name in _inside(call, path))
    ]
    chosen = {id(change.call) for change in group}
    moved = {change.call.path for change in group if change.site.name == change.call.path}
    targets: list[Target] = []
    kept: dict[str, nn.Module] = {}
    for call in visible:
        name = names.get(id(call))
        if name is not None and call.path in moved and id(call) not in chosen:
            # The first call's module makes room, so the others need another path for it, and have one: their own name.
            kept[name] = network.get_submodule(call.path)
            if next(kept[name].parameters(), None) is not None:
                raise NetworkError(f"{call.path} is called at other sites too, which share its parameters")
        targets.append(_below(path, name) if name is not None and (id(call) in chosen or name in kept) else None)
    inputs = inputs_of(scope, *record.arguments[path])
    rewire(
        scope,
        kinds=[call.kind for call in visible],
        targets=targets,
        inlined=list(inlined.values()),
        inputs=inputs,
    )
    for name, module in kept.items():
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, module)


def _inside(call: Call, path: str) -> tuple[str, ...]:
    """Paths of the modules running between the module at `path` and the call."""
    return call.scopes[call.scopes.index(path) + 1 :]


def _below(path: str, name: str) -> str:
    return name[len(path) + 1 :] if path else name


def _verify(
    network: nn.Module,
    example_input: Tensor,
    changes: Sequence[_Change],
    pairs: Sequence[tuple[CallSite, Call]],
    row: Activation,
) -> dict[str, str]:
    """Why changes are not what they should be, by site: each runs once, on its input, and all else as before."""
    after = {site.name: (site, call) for site, call in named_calls(network, trace(network, example_input))}
    changed = {change.site.name: change for change in changes}
    failed = {}
    for site, call in pairs:
        change = changed.get(site.name)
        if change is None:
            continue
        found = after.get(site.name)
        kind, channels = row.name, change.channels
        if found is None or (found[0].kind, found[0].channels, found[0].spatial) != (kind, channels, site.spatial):
            failed[site.name] = "the network does not call a module at its path with what the site had"
        elif _reads(found[1]) != _reads(call):
            failed[site.name] = "it works in place, and other layers read its input after it"
    return failed


def _reads(call: Call) -> int:
    """How often the result of a call is read."""
    return sum(user.args.count(call.node) for user in call.node.users)


def _report(model: nn.Module, network: nn.Module, change: _Change) -> SiteReport:
    """Costs of a change: the new module's, less the old one's, less what the halved layers save."""
    new = network.get_submodule(change.site.name)
    old = None if change.call.functional else model.get_submodule(change.call.path)
    shape = change.call.shape
    params, macs = _params(new), _macs(new, (1, change.channels, *shape[2:]) if change.producer else shape)
    if old is not None and change.site.name == change.call.path:
        params -= _params(old)
    if old is not None:
        macs -= _macs(old, shape)
    if change.producer:
        params -= change.producer.params
        macs -= change.producer.macs
    return SiteReport(change.site, True, "", params, macs)


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-adds of convolutions and linear layers for one sample; LENI's K and w1 are used once a position."""
    if isinstance(module, LENI):
        weights = module.kernel.numel() + (0 if module.weight is None else module.weight.numel())
        return weights * math.prod(shape[2:])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta_copy(module).eval()(torch.empty(shape, device="meta"))
    return int(counter.get_total_flops()) // 2
