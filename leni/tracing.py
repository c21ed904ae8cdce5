"""One forward pass on the meta device, recorded as a torch.fx graph: which activations are called, by whom, on what.

The network is copied with all its tensors on the meta device, so nothing is computed, nothing allocated, and neither
the network nor its batch statistics are touched. Module calls are seen by hooks, functional calls (`F.relu`,
`Tensor.relu_`, `torch.relu`) by a torch function mode; both become nodes of a `torch.fx.Graph` with shapes. Since
tensors are tensors here and not fx's proxies, control flow on shapes, types and options goes the way that it goes in
use; only control flow on values stops the tracing, and then the copy is run for real. The pass is an evaluation: heads
that a network has in training alone (GoogLeNet's auxiliary classifiers) are not part of it.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from leni import registry
from leni.errors import NetworkError

__all__ = ["Call", "Trace", "function_kind", "is_leaf", "module_kind", "trace"]

FUNCTIONS = frozenset(
    {"relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardtanh", "prelu"}
    | {"rrelu", "softplus", "softsign", "tanh", "sigmoid", "hardsigmoid"}
)
# Class names of torch and, where timm has activations of its own, of timm.
CLASSES = {name.replace("_", ""): name for name in FUNCTIONS} | {
    "swish": "silu",
    "swishme": "silu",
    "mishme": "mish",
    "hardswishme": "hardswish",
    "hardsigmoidme": "hardsigmoid",
    "gelutanh": "gelu",
    "quickgelu": "gelu",
}
PUT_BY_SWAP = "activation_name"  # attribute of modules that `swap` put there
WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.MultiheadAttention, nn.Embedding)
FIRST_FUNCTIONS = ("conv1d", "conv2d", "conv3d", "batch_norm", "group_norm", "instance_norm")
LAST_FUNCTIONS = ("linear", "layer_norm", "rms_norm")


@dataclass(eq=False)
class Call:
    """One call of an activation.

    Attributes:
        kind: of the activation, for example relu.
        path: of the module called, as its caller reaches it; for a function, of the module whose forward calls it.
        functional: whether a function was called, and not a module.
        scopes: paths of the modules that were running, the network itself ("") first, the called module excluded.
        node: of the call in the trace's graph.
        shape: of the input, batch first.
        channel_dim: dimension of `shape` that holds channels.
        module: the module called (of the meta copy), None for a function.
    """

    kind: str
    path: str
    functional: bool
    scopes: tuple[str, ...]
    node: fx.Node
    shape: tuple[int, ...]
    channel_dim: int
    module: nn.Module | None

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.shape[self.channel_dim]

    @property
    def spatial(self) -> tuple[int, ...]:
        """The input's dimensions but for batch and channels."""
        return tuple(size for dim, size in enumerate(self.shape) if dim not in (0, self.channel_dim))


@dataclass(eq=False)
class Trace:
    """What a forward pass did.

    Attributes:
        graph: one node for each module of torch.nn, activation or function that ran; `meta` holds `shape`,
            `channel_dim`, `scope` (path of the module running) and `module`.
        calls: of activations, in order.
        counts: how often the module at each path was called.
        arguments: positional and keyword arguments of the last call of the module at each path, on the meta device.
        first_block: how many activations ran before the first block, None if there is no block.
        output: what the network returned, on the meta device.
    """

    graph: fx.Graph = field(default_factory=fx.Graph)
    calls: list[Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    arguments: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)
    first_block: int | None = None
    output: Any = None


def trace(model: nn.Module, example_input: Tensor) -> Trace:
    """Run a network once and record it.

    Args:
        model: any network of one input; neither its tensors nor its training flag are changed.
        example_input: (N, C, H, W), or whatever the network takes; only its shape and dtype matter, but for networks
            that cannot run without values.

    Returns:
        The record of the pass, in evaluation mode, on the meta device. Where that stops (control flow on values), of a
        real pass, provided that activations are modules there, each called once.

    Raises:
        NetworkError: the pass fails, or needs values and calls activations otherwise; the message says where and why.
    """
    example = torch.empty_like(example_input[:1], device="meta", requires_grad=False)
    try:
        return _record(model, meta_copy(model), example)
    except NetworkError as error:
        stopped = error
    record = _record(model, copy.deepcopy(model), example_input[:1].detach())
    for call in record.calls:
        if call.functional or record.counts[call.path] > 1:
            what = f"calls the function {call.kind} in" if call.functional else "calls more than once"
            raise NetworkError(
                f"{stopped}; without a trace only modules called once can be found, but the network "
                f"{what} {call.path or 'its own forward'}"
            ) from stopped
    return record


def _record(model: nn.Module, twin: nn.Module, example: Tensor) -> Trace:
    """The record of `twin`, a copy of `model`, run on `example`."""
    twin.eval()
    recorder = _Recorder(twin)
    recorder.remember(recorder.trace.graph.placeholder("input"), example)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.device(example.device), recorder:
            recorder.trace.output = twin(example)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        lines = (line.strip() for line in str(error).splitlines())
        reason = next(filter(None, lines), type(error).__name__).removesuffix(".")
        raise NetworkError(f"cannot trace {type(model).__name__}: stopped in {recorder.where()}: {reason}") from error
    return recorder.trace


def meta_copy(model: nn.Module) -> nn.Module:
    """A deep copy without data: every parameter and buffer on the meta device, none of them copied on the way."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return copy.deepcopy(model, memo)


def module_kind(module: nn.Module) -> str | None:
    """Name of the activation that a module is: as registered, or as torch has it; None if it is no activation."""
    put_there: str | None = getattr(module, PUT_BY_SWAP, None)
    if put_there is not None:
        return put_there
    registered = _registered().get(type(module))
    if registered is not None:
        return registered
    leafless = next(module.children(), None) is None
    return CLASSES.get(own_class(module).__name__.lower()) if leafless else None


def function_kind(function: Callable[..., Any] | str) -> str | None:
    """Name of the activation that a function or a tensor's method is, in place or not; None if it is none."""
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    name = name.rstrip("_") if not name.startswith("__") else name
    return name if name in FUNCTIONS else None


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one step of the trace: an activation, or torch's own and no container."""
    if module_kind(module) is not None:
        return True
    return own_class(module).__module__.startswith("torch.nn.") and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )


def _registered() -> dict[type, str]:
    """Classes of registered activations; torch's own are known by their class names."""
    return _classes(registry.names())


@functools.lru_cache(maxsize=1)
def _classes(names: tuple[str, ...]) -> dict[type, str]:
    factories = (
        (name, getattr(registry.get(name).factory, "__wrapped__", registry.get(name).factory)) for name in names
    )
    return {
        factory: name
        for name, factory in factories
        if isinstance(factory, type) and not factory.__module__.startswith("torch.")
    }


class _Recorder(TorchFunctionMode):
    """Writes a `Trace` while the meta copy `root` runs."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.trace = Trace()
        self._running: list[tuple[str, nn.Module, Counter[int]]] = []
        self._leaf: nn.Module | None = None
        self._nodes: dict[int, tuple[fx.Node, Tensor]] = {}  # the tensor is kept, so that its id stays its own
        self._paths: dict[int, dict[int, list[str]]] = {}
        self._blocks = _blocks(root)
        for module in root.modules():
            module.register_forward_pre_hook(self._enter, with_kwargs=True)
            module.register_forward_hook(self._leave, with_kwargs=True)

    def where(self) -> str:
        """The module that runs, in words."""
        if not self._running:
            return "the network's call"
        path, module, _ = self._running[-1]
        return f"{path or 'the network itself'} ({type(module).__name__})"

    def remember(self, node: fx.Node, value: Any, channel_dim: int | None = None) -> None:
        """Make `node` the origin of the tensors in `value`."""
        tensors = list(_tensors(value))
        node.meta.setdefault("shape", tuple(tensors[0].shape))
        node.meta.setdefault("channel_dim", channel_dim)
        for tensor in tensors:
            self._nodes[id(tensor)] = (node, tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._leaf is None and self._running and next(_tensors(result), None) is not None:
            inputs = self._inputs(args, kwargs)
            if inputs:
                kind = function_kind(func)
                self._record(func, None, kind, self._running[-1][0], inputs, result, args)
        return result

    def _inputs(self, args: Any, kwargs: Any) -> list[tuple[fx.Node, Tensor]]:
        found = [self._nodes.get(id(tensor)) for tensor in _tensors((args, kwargs or {}))]
        return [entry for entry in found if entry is not None]

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._leaf is not None:
            return
        path = self._path(module)
        if id(module) in self._blocks and self.trace.first_block is None:
            self.trace.first_block = len(self.trace.calls)
        self.trace.counts[path] += 1
        self.trace.arguments[path] = (args, kwargs)
        self._running.append((path, module, Counter()))
        if is_leaf(module):
            self._leaf = module

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        if self._leaf is None:
            self._running.pop()
        elif self._leaf is module:
            self._leaf = None
            path, _, _ = self._running.pop()
            inputs = self._inputs(args, kwargs)
            if inputs and next(_tensors(result), None) is not None:
                self._record(path, module, module_kind(module), path, inputs, result, args)

    def _path(self, module: nn.Module) -> str:
        """Path of `module` as the running module reaches it: an object shared by two callers has two paths."""
        if not self._running:
            return ""
        path, caller, calls = self._running[-1]
        if id(caller) not in self._paths:
            known: dict[int, list[str]] = {}
            for name, child in caller.named_modules(remove_duplicate=False):
                known.setdefault(id(child), []).append(name)
            self._paths[id(caller)] = known
        names = self._paths[id(caller)].get(id(module))
        if names is None:  # reached past its parent, so from the root
            return next(name for name, child in self._running[0][1].named_modules() if child is module)
        # A Sequential runs its children in order, so the k-th call of one object is the k-th of its names.
        turn = calls[id(module)] % len(names) if isinstance(caller, nn.Sequential) else 0
        calls[id(module)] += 1
        return f"{path}.{names[turn]}" if path else names[turn]

    def _record(
        self,
        target: Any,
        module: nn.Module | None,
        kind: str | None,
        path: str,
        inputs: list[tuple[fx.Node, Tensor]],
        result: Any,
        args: Any,
    ) -> None:
        nodes = tuple(node for node, _ in inputs)
        source, tensor = inputs[0]
        graph = self.trace.graph
        node = graph.create_node("call_function" if module is None else "call_module", target, nodes)
        shape = tuple(tensor.shape)
        scopes = tuple(running for running, _, _ in self._running)
        node.meta.update(scope=scopes[-1] if scopes else "", module=module)
        self.remember(node, result, _channel_dim(target, module, source, next(_tensors(result)), args))
        if kind is not None:
            dim = source.meta["channel_dim"]
            if dim is None or dim >= len(shape):
                dim = len(shape) - 1 if len(shape) in (2, 3) else min(1, len(shape) - 1)
            call = Call(kind, path, module is None, scopes, node, shape, dim, module)
            node.meta["call"] = call
            self.trace.calls.append(call)


def own_class(module: nn.Module) -> type:
    """The class that a module was written as, before `swap` gave it a forward of its own."""
    written: type = getattr(type(module), "written_as", type(module))
    return written


def _blocks(root: nn.Module) -> set[int]:
    """Identities of the blocks: modules of the network's own classes with two or more weight layers each.

    Of a class that is used more than once; or in one Sequential, nested or not, with such a module.
    """
    candidates = {
        path: module
        for path, module in root.named_modules()
        if path
        and not own_class(module).__module__.startswith("torch.nn.")
        and len(list(itertools.islice(_weight_layers(module), 2))) == 2
    }
    counts = Counter(own_class(module) for module in candidates.values())
    repeated = [path for path, module in candidates.items() if counts[own_class(module)] > 1]
    found = {id(candidates[path]) for path in repeated}
    for path, module in candidates.items():
        area = path
        while area and isinstance(root.get_submodule(area.rpartition(".")[0]), nn.Sequential | nn.ModuleList):
            area = area.rpartition(".")[0]
        inside, prefix = f"{path}.", f"{area}." if area else ""
        if area != path and any(other.startswith(prefix) and not other.startswith(inside) for other in repeated):
            found.add(id(module))
    return found


def _weight_layers(module: nn.Module) -> Iterator[nn.Module]:
    return (layer for layer in module.modules() if isinstance(layer, WEIGHT_LAYERS))


def _channel_dim(target: Any, module: nn.Module | None, source: fx.Node, result: Tensor, args: Any) -> int | None:
    """Dimension of `result` that holds channels, None if unknown."""
    name = "" if module is not None else getattr(target, "__name__", "")
    before: int | None = source.meta["channel_dim"]
    rank = result.dim()
    if isinstance(module, CHANNELS_FIRST) or name in FIRST_FUNCTIONS:
        return 1
    if isinstance(module, CHANNELS_LAST) or name in LAST_FUNCTIONS:
        return rank - 1
    if rank == 2:
        return 1
    if name == "permute" and before is not None:
        dims = args[1] if isinstance(args[1], list | tuple) else args[1:]
        return [dim % rank for dim in dims].index(before)
    if name in ("transpose", "swapaxes") and before is not None and len(args) == 3:
        swapped = {args[1] % rank: args[2] % rank, args[2] % rank: args[1] % rank}
        return swapped.get(before, before)
    return before if len(source.meta["shape"]) == rank else None


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
