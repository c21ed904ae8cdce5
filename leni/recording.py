"""What a forward pass did, written down while it runs: a torch.fx graph, each activation's call, each step.

Module calls are seen by hooks, functional calls (`F.relu`, `Tensor.relu_`, `torch.relu`) by a torch function mode.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from leni.kinds import function_kind, hidden_kind, is_leaf, module_kind, own_class

__all__ = ["Call", "Recorder", "Step", "Trace", "tensors_in"]

WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.MultiheadAttention, nn.Embedding)
FIRST_FUNCTIONS = ("conv1d", "conv2d", "conv3d", "batch_norm", "group_norm", "instance_norm")
LAST_FUNCTIONS = ("linear", "layer_norm", "rms_norm")
# What tells a network where its tensors are. The meta device is none that it expects.
DEVICE_QUESTIONS = frozenset(
    getattr(Tensor, name).__get__ for name in ("device", "is_cuda", "is_cpu", "is_meta", "is_mps", "is_xpu")
) | {Tensor.get_device}


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
        module: the module called (of the copy that ran), None for a function.
        hidden: why the call cannot be replaced, where a module of torch makes it inside one operation; else empty.
        step: index of the call among the trace's steps.
    """

    kind: str
    path: str
    functional: bool
    scopes: tuple[str, ...]
    node: fx.Node
    shape: tuple[int, ...]
    channel_dim: int
    module: nn.Module | None
    hidden: str = ""
    step: int = -1

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.shape[self.channel_dim]

    @property
    def spatial(self) -> tuple[int, ...]:
        """The input's dimensions but for batch and channels."""
        return tuple(size for dim, size in enumerate(self.shape) if dim not in (0, self.channel_dim))


@dataclass(eq=False)
class Step:
    """One module of torch.nn, activation or function that ran, with what it ran on; as tensors, not as nodes.

    Attributes:
        target: the function, or the module's path.
        module: the module (of the copy that ran), None for a function.
        scope: path of the module whose forward made the call.
        args: positional arguments.
        kwargs: keyword arguments.
        result: what came out.
    """

    target: Any
    module: nn.Module | None
    scope: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any


@dataclass(eq=False)
class Trace:
    """What a forward pass did.

    Attributes:
        graph: one node for each module of torch.nn, activation or function that ran on what depends on the input;
            `meta` holds `shape`, `channel_dim`, `scope` (path of the module running) and `module`.
        calls: of activations, in order.
        counts: how often the module at each path was called.
        arguments: positional and keyword arguments of the last call of the module at each path, without data.
        first_block: how many activations ran before the first block, None if there is no block.
        output: what the network returned, without data.
        outputs: nodes of the graph that made the tensors in the output.
        steps: everything that ran, what depends on parameters alone included.
        root: the copy of the network that ran.
        asked_device: whether the network asked on which device a tensor is.
    """

    root: nn.Module
    graph: fx.Graph = field(default_factory=fx.Graph)
    calls: list[Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    arguments: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)
    first_block: int | None = None
    output: Any = None
    outputs: tuple[fx.Node, ...] = ()
    steps: list[Step] = field(default_factory=list)
    asked_device: bool = False


class Recorder(TorchFunctionMode):
    """Writes a `Trace` while `root`, a copy that is its own, runs on `example`."""

    def __init__(self, root: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.trace = Trace(root)
        self._running: list[tuple[str, nn.Module, Counter[int]]] = []
        self._leaf: nn.Module | None = None
        self._nodes: dict[int, tuple[fx.Node, Tensor]] = {}  # the tensor is kept, so that its id stays its own
        self._constants: dict[int, Tensor] = {}  # parameters, buffers, and what is made of them alone
        self._paths: dict[int, dict[int, list[str]]] = {}
        self._blocks = _blocks(root)
        self._handles: list[RemovableHandle] = []
        self.remember(self.trace.graph.placeholder("input"), example)
        for module in root.modules():
            self._keep_constants((module._parameters, module._buffers, vars(module)))
            self._handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._leave, with_kwargs=True))

    def finish(self, output: Any) -> None:
        """Write down what the network returned, and no more from then on."""
        for handle in self._handles:
            handle.remove()
        self.trace.output = output
        made = (self._nodes.get(id(tensor)) for tensor in tensors_in(output))
        self.trace.outputs = tuple(dict.fromkeys(entry[0] for entry in made if entry is not None))

    def where(self) -> str:
        """The module that runs, in words."""
        if not self._running:
            return "the network's call"
        path, module, _ = self._running[-1]
        return f"{path or 'the network itself'} ({type(module).__name__})"

    def remember(self, node: fx.Node, value: Any, channel_dim: int | None = None) -> None:
        """Make `node` the origin of the tensors in `value`."""
        tensors = list(tensors_in(value))
        node.meta.setdefault("shape", tuple(tensors[0].shape))
        node.meta.setdefault("channel_dim", channel_dim)
        for tensor in tensors:
            self._nodes[id(tensor)] = (node, tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._leaf is None and self._running:
            self.trace.asked_device |= func in DEVICE_QUESTIONS
            scope = self._running[-1][0]
            self._note(func, None, scope, function_kind(func, args, kwargs), args, kwargs, result)
        return result

    def _keep_constants(self, value: Any) -> None:
        self._constants |= {id(tensor): tensor for tensor in tensors_in(value)}

    def _note(
        self, target: Any, module: nn.Module | None, path: str, kind: str | None, args: Any, kwargs: Any, result: Any
    ) -> None:
        """Record a step, and its node if it depends on the input."""
        if next(tensors_in(result), None) is None:
            return
        scope = path if module is None else next((name for name, _, _ in reversed(self._running)), "")
        self.trace.steps.append(Step(target, module, scope, _snapshot(args), _snapshot(kwargs), _snapshot(result)))
        inputs = self._inputs(args, kwargs, adopt=kind is not None)
        if inputs:
            self._record(target, module, kind, path, inputs, result, args)
        elif all(id(tensor) in self._constants for tensor in tensors_in((args, kwargs))):
            self._keep_constants(result)

    def _inputs(self, args: Any, kwargs: Any, *, adopt: bool) -> list[tuple[fx.Node, Tensor]]:
        """Nodes of the tensors that a call got.

        A tensor of unknown origin went through something that cannot be seen, such as torch.vmap or an
        autograd.Function; to be adopted is to begin a new origin there, so that no activation after it is lost.
        """
        tensors = list(tensors_in((args, kwargs)))
        found = [self._nodes[id(tensor)] for tensor in tensors if id(tensor) in self._nodes]
        unknown = [tensor for tensor in tensors if id(tensor) not in self._constants]
        if adopt and not found and unknown:
            self.remember(self.trace.graph.placeholder("unseen"), unknown[0])
            found = [self._nodes[id(unknown[0])]]
        return found

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
            self._note(path, module, path, module_kind(module) or hidden_kind(module), args, kwargs, result)

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
        source, _ = inputs[0]
        graph = self.trace.graph
        node = graph.create_node("call_function" if module is None else "call_module", target, nodes)
        node.meta.update(scope=self._running[-1][0] if self._running else "", module=module)
        self.remember(node, result, _channel_dim(target, module, source, next(tensors_in(result)), args))
        if kind is not None:
            call = self._call(kind, path, module, node, inputs[0], result)
            node.meta["call"] = call
            self.trace.calls.append(call)

    def _call(
        self,
        kind: str,
        path: str,
        module: nn.Module | None,
        node: fx.Node,
        source: tuple[fx.Node, Tensor],
        result: Any,
    ) -> Call:
        scopes = tuple(running for running, _, _ in self._running)
        step = len(self.trace.steps) - 1
        if module is not None and hidden_kind(module) is not None:
            shape = tuple(next(tensors_in(result)).shape)
            what = own_class(module).__name__
            hidden = f"{what} computes it inside one operation of torch, where nothing else can be put"
            return Call(kind, path, False, scopes, node, shape, len(shape) - 1, module, hidden, step)
        shape = tuple(source[1].shape)
        dim = source[0].meta["channel_dim"]
        if dim is None or dim >= len(shape):
            dim = len(shape) - 1 if len(shape) in (2, 3) else min(1, len(shape) - 1)
        return Call(kind, path, module is None, scopes, node, shape, dim, module, step=step)


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


def _snapshot(value: Any) -> Any:
    """Lists as they are now: a network keeps appending to what it concatenates."""
    if isinstance(value, list):
        return [_snapshot(item) for item in value]
    if type(value) is tuple:
        return tuple(_snapshot(item) for item in value)
    return {name: _snapshot(item) for name, item in value.items()} if type(value) is dict else value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, mappings, dataclasses and namespaces."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, SimpleNamespace):
        yield from tensors_in(vars(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from tensors_in(getattr(value, entry.name, None))
