"""New modules at call sites of a network, in place: what `swap` does to its copy.

A site whose module is called once gets a new module at that path. Any other call is rewired first (rewire.py), so that
it calls a module of its own at the path that is the site's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import nn

from leni.call_sites import CallSite
from leni.errors import NetworkError
from leni.rewire import Target, inputs_of, rewire
from leni.tracing import PUT_BY_SWAP, Call, Trace

__all__ = ["Place", "put_module", "reroute"]

Place = tuple[CallSite, Call]


def reroute(network: nn.Module, record: Trace, chosen: Sequence[Place], every: Sequence[Place]) -> dict[str, str]:
    """Let each chosen call run the module at its site's path; the modules must be put there before the network runs.

    Args:
        network: changed in place; of the structure of the network that was traced, at any width.
        record: of the trace.
        chosen: sites that will get new modules.
        every: all sites of the trace.

    Returns:
        Why some calls cannot be redirected, by the site's name; the network is of no use then.
    """
    names = {id(call): site.name for site, call in every}
    rewired: dict[str, list[Place]] = defaultdict(list)
    for site, call in chosen:
        if call.functional or record.counts[call.path] > 1:
            rewired[next(path for path in reversed(call.scopes) if record.counts[path] == 1)].append((site, call))
    failed: dict[str, str] = {}
    for path, group in rewired.items():
        try:
            _rewire(network, path, record, group, names)
        except NetworkError as error:
            failed |= {site.name: str(error) for site, _ in group}
    return failed


def put_module(network: nn.Module, path: str, module: nn.Module, kind: str) -> None:
    """Set a new module at a site's path, like its surroundings in device, dtype and mode.

    Args:
        network: changed in place.
        path: the site's name.
        module: the activation.
        kind: its name, as registered.
    """
    setattr(module, PUT_BY_SWAP, kind)
    parent_path, _, name = path.rpartition(".")
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


def _rewire(network: nn.Module, path: str, record: Trace, group: Sequence[Place], names: Mapping[int, str]) -> None:
    """Redirect the calls of `group` in the forward of the module at `path`; `names` has the site of each call."""
    scope = network.get_submodule(path)
    inside = [_inside(call, path) for _, call in group]
    inlined = {id(module): module for scopes in inside for module in map(network.get_submodule, scopes)}
    visible = [
        call
        for call in record.calls
        if path in call.scopes
        and not call.hidden
        and all(id(network.get_submodule(name)) in inlined for name in _inside(call, path))
    ]
    chosen = {id(call) for _, call in group}
    moved = {call.path for site, call in group if site.name == call.path}
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
