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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from leni.block import LENI
from leni.call_sites import CallSite, named_calls
from leni.copying import copied, meta_copy
from leni.errors import LeniSearchError
from leni.halve import Producer, halve, producer_of
from leni.placement import FEATURE_ROLES, Placement
from leni.putting import put_module, reroute
from leni.registry import Activation, get
from leni.tracing import Call, Trace, trace

__all__ = ["SiteReport", "SwapReport", "Swapped", "obstacle", "replaceable", "swap"]


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
            reason = obstacle(row, checked, site, call, named, producer)
        if reason:
            left[site.name] = reason
        else:
            changes.append(_Change(site, call, producer if isinstance(producer, Producer) else None))
    network, changes, failed = _settle(model, record, pairs, changes, row, checked, example_input)
    left |= failed
    done = {change.site.name: change for change in changes}
    reports = tuple(
        _report(model, network, done[site.name]) if site.name in done else SiteReport(site, False, left[site.name])
        for site, _ in pairs
    )
    return Swapped(network, SwapReport(row.name, str(parsed), reports))


def replaceable(
    model: nn.Module, record: Trace, pairs: Sequence[tuple[CallSite, Call]], example_input: Tensor
) -> dict[str, str]:
    """Which call sites can have no other module, tried with a module at every one of them.

    Args:
        model: the network.
        record: its trace.
        pairs: its sites, as `named_calls` gives them.
        example_input: as for `swap`.

    Returns:
        The reasons, by the site's name; empty if every site can be replaced.
    """
    row = get("relu")
    named = {site.name for site, _ in pairs if site.role not in FEATURE_ROLES}
    reasons = {site.name: obstacle(row, {}, site, call, named, None) for site, call in pairs}
    changes = [_Change(site, call, None) for site, call in pairs if not reasons[site.name]]
    _, _, failed = _settle(model, record, pairs, changes, row, {}, example_input)
    return {name: reason for name, reason in reasons.items() if reason} | failed


def obstacle(
    row: Activation,
    options: Mapping[str, object],
    site: CallSite,
    call: Call,
    named: set[str],
    producer: Producer | str | None,
) -> str:
    """Why a chosen site cannot have an activation; empty if it can, as far as can be known before it is there.

    Args:
        row: the activation.
        options: all of its options.
        site: of the network.
        call: of the site, in the trace.
        named: names of sites that were asked for by name.
        producer: for an activation that doubles its channels, as `producer_of` gives it; else None.
    """
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


def _settle(
    model: nn.Module,
    record: Trace,
    pairs: Sequence[tuple[CallSite, Call]],
    changes: list[_Change],
    row: Activation,
    options: Mapping[str, object],
    example_input: Tensor,
) -> tuple[nn.Module, list[_Change], dict[str, str]]:
    """A copy with those changes that turn out as they should, these changes, and why not the others."""
    left: dict[str, str] = {}
    while True:
        network, failed = _convert(model, record, changes, pairs, row, options)
        failed = failed or _verify(network, example_input, changes, pairs, row)
        if not failed:
            return network, changes, left
        left |= failed
        changes = [change for change in changes if change.site.name not in failed]


def _convert(
    model: nn.Module,
    record: Trace,
    changes: Sequence[_Change],
    pairs: Sequence[tuple[CallSite, Call]],
    row: Activation,
    options: Mapping[str, object],
) -> tuple[nn.Module, dict[str, str]]:
    """A copy of `model` with the changes made, and why some could not be made."""
    network = copied(model)
    failed = reroute(network, record, [(change.site, change.call) for change in changes], pairs)
    if failed:
        return network, failed
    for change in changes:
        if change.producer:
            halve(network, change.producer)
        put_module(network, change.site.name, row.factory(change.channels, **options), row.name)
    return network, {}


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
