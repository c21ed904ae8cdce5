"""Deep copies of a network: with its data, without (on the meta device), and with fake tensors on its own device.

Wrappers that only pass a call on (`nn.DataParallel`, `DistributedDataParallel`, what `torch.compile` returns) are kept
in a copy with data; in a copy for tracing each becomes a plain module of one child, at the same path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from leni.errors import NetworkError, reason_of

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

__all__ = ["copied", "fake_copy", "meta_copy", "real_copy", "refuse_unreadable"]

COMPILED = ("torch._dynamo.eval_frame", "OptimizedModule")  # of torch.compile; by name, since its import is slow
SHARDED = "torch.distributed.fsdp"


class _Passage(nn.Module):
    """Stands for a wrapper in a copy that is traced: calls its one child."""

    def __init__(self, name: str, child: nn.Module) -> None:
        super().__init__()
        self.add_module(name, child)
        self.training = child.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        (child,) = self.children()
        return child(*args, **kwargs)


def copied(model: nn.Module) -> nn.Module:
    """A deep copy of a network, with its data.

    Args:
        model: any network.

    Returns:
        The copy; wrappers are copied too.

    Raises:
        NetworkError: the network, or a part of it, cannot be read (`refuse_unreadable`) or cannot be copied.
    """
    refuse_unreadable(model)
    for path, module in model.named_modules():
        if isinstance(module, DistributedDataParallel):
            raise NetworkError(
                f"{_named(path, module)} synchronizes the parameters that it was built with, so a changed copy would "
                "train wrongly; pass the network inside it (its attribute `module`), and wrap the result",
                code="LS-NETWORK-COPY",
            )
    return _deepcopy(model, {})


def meta_copy(model: nn.Module) -> nn.Module:
    """A deep copy without data, for tracing: every parameter and buffer on the meta device, none copied on the way.

    Raises:
        NetworkError: as `copied`, but that DistributedDataParallel is looked into.
    """
    refuse_unreadable(model)
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return _without_wrappers(model, memo)


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A deep copy without data, for tracing: its tensors say that they are where the network's are.

    Args:
        model: any network.
        mode: under which the copy is to run.

    Returns:
        The copy. What depends on a tensor's device, such as autocast, goes the way that it goes in use.

    Raises:
        NetworkError: as `meta_copy`.
    """
    refuse_unreadable(model)
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    memo: dict[int, Any] = {id(tensor): mode.from_tensor(tensor.detach()) for tensor in tensors}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(memo[id(parameter)], requires_grad=False)
    return _without_wrappers(model, memo)


def real_copy(model: nn.Module) -> nn.Module:
    """A deep copy with its data, for tracing.

    Raises:
        NetworkError: as `meta_copy`.
    """
    refuse_unreadable(model)
    return _without_wrappers(model, {})


def refuse_unreadable(model: nn.Module) -> None:
    """Refuse a network that can neither be traced nor changed.

    Raises:
        NetworkError: a part of it is scripted, sharded, or has parameters without a shape; the message says what to
            pass instead.
    """
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise NetworkError(
                f"{_named(path, module)} is compiled by torch.jit and can be neither traced nor changed; pass the "
                "network from before torch.jit.script or torch.jit.trace",
                code="LS-NETWORK-COPY",
            )
        if any(kind.__module__.startswith(SHARDED) for kind in type(module).__mro__):
            raise NetworkError(
                f"{_named(path, module)} shards its parameters (torch.distributed.fsdp); pass the network from before "
                "it was sharded, and shard the result",
                code="LS-NETWORK-COPY",
            )
        if any(is_lazy(value) for value in (*module._parameters.values(), *module._buffers.values())):
            raise NetworkError(
                f"{_named(path, module)} is lazy and its parameters have no shape yet; run the network once on an "
                "example input, then pass it",
                code="LS-NETWORK-COPY",
            )


def _without_wrappers(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A deep copy in which each wrapper is a `_Passage`."""
    for module in reversed(list(model.modules())):  # the inner ones first
        name = _inner_name(module)
        if name is not None:
            memo[id(module)] = _Passage(name, _deepcopy(getattr(module, name), memo))
    return _deepcopy(model, memo)


def _inner_name(module: nn.Module) -> str | None:
    if isinstance(module, nn.DataParallel | DistributedDataParallel):
        return "module"
    return "_orig_mod" if (type(module).__module__, type(module).__name__) == COMPILED else None


def _deepcopy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    kept = dict(memo)
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        _refuse_attributes(model, kept)
        raise NetworkError(
            f"cannot copy {type(model).__name__}: {reason_of(error)}; give the class a __deepcopy__ that works",
            code="LS-NETWORK-COPY",
        ) from error


def _refuse_attributes(model: nn.Module, memo: Mapping[int, Any]) -> None:
    """Refuse the first attribute that cannot be copied, with what to do about it."""
    for path, module in model.named_modules():
        for name, value in _attributes(module):
            try:
                copy.deepcopy(value, dict(memo))
            except Exception as reason:
                where = f"{path}.{name}" if path else name
                raise NetworkError(
                    f"cannot copy {type(model).__name__}: {_remedy(where, module, value, reason)}",
                    code="LS-NETWORK-COPY",
                ) from reason


def _remedy(where: str, module: nn.Module, value: Any, reason: Exception) -> str:
    if not isinstance(value, Tensor):
        return (
            f"its attribute {where} ({type(value).__name__}) cannot be copied ({reason_of(reason)}); delete it "
            "before, or give the class a __deepcopy__ that leaves it out"
        )
    name = where.rpartition(".")[2]
    if f"{name}_g" in module._parameters:
        return (
            f"{where} is computed by torch.nn.utils.weight_norm, which does not allow copies; use "
            "torch.nn.utils.parametrizations.weight_norm instead, or call torch.nn.utils.remove_weight_norm before"
        )
    if f"{name}_u" in module._buffers:
        return (
            f"{where} is computed by torch.nn.utils.spectral_norm, which does not allow copies; use "
            "torch.nn.utils.parametrizations.spectral_norm instead, or call torch.nn.utils.remove_spectral_norm before"
        )
    if f"{name}_orig" in module._parameters:
        return (
            f"{where} is computed by torch.nn.utils.prune, which does not allow copies; call "
            "torch.nn.utils.prune.remove before"
        )
    return (
        f"its attribute {where} is a tensor that was computed with gradients; delete it, or store it detached "
        "(`.detach()`)"
    )


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """A module's own attributes, its parameters, buffers, hooks and children excluded."""
    inherited = vars(nn.Module())
    return ((name, value) for name, value in vars(module).items() if name not in inherited)


def _named(path: str, module: nn.Module) -> str:
    return f"{path} ({type(module).__name__})" if path else f"the network ({type(module).__name__})"
