"""A module whose forward calls other activations: how `swap` reaches calls that have no module of their own.

`F.relu`, or one ReLU called twice, cannot be replaced by setting an attribute. Only the module whose forward makes such
calls is changed: its forward is traced by torch.fx with its children as they are, the chosen calls are redirected to
new children, and the generated code becomes the forward of a subclass of the module's own class. Everything else about
the network, its class, names, attributes and the rest of its forward, stays what it was; so do `isinstance`,
`state_dict`, `copy.deepcopy`, `pickle`, `torch.compile` and `torch.export`.

The forward is traced twice, in training and in evaluation mode, since fx decides `if self.training` while it traces; at
each call the module's flag picks the code.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
from collections.abc import Callable, Collection, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, fx, nn

from leni.errors import NetworkError, reason_of
from leni.kinds import function_kind, module_kind, own_class

__all__ = ["Target", "inputs_of", "rewire"]

Target = str | None  # where a call goes: the path of a child, or None to leave the call as it is
_FORWARDS = "rewired_forwards"
_SOURCES = "rewired_sources"
_INPUTS = "rewired_inputs"


class _ScopeTracer(fx.Tracer):
    """Traces one module's forward; of its children only `inlined` are entered."""

    def __init__(self, inlined: Collection[nn.Module], inputs: Sequence[str]) -> None:
        super().__init__()
        self._inlined = {id(module) for module in inlined}
        self._inputs = inputs
        self._modes = _modes()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """A node; refused where the code around it would be lost."""
        if _modes() != self._modes:
            raise NetworkError(
                f"the forward of {_class(self.root)} calls it under torch.no_grad, torch.inference_mode or "
                "torch.autocast, which torch.fx would lose"
            )
        return super().create_node(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Everything but the modules that are called more than once on the way to a chosen call."""
        return id(m) not in self._inlined

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: dict[str, Any] | tuple[Any, ...] | None = None
    ) -> tuple[Any, list[Any]]:
        """The inputs that the module is called with; its other parameters keep their defaults."""
        # fx would make a proxy of `mask=None` too, and `if mask is not None` would go the wrong way.
        return root_fn, [self.root, *(self.create_proxy("placeholder", name, (), {}) for name in self._inputs)]


def _modes() -> tuple[bool, ...]:
    """What context managers have set."""
    devices = ("cpu", "cuda", "mps", "xpu")
    autocast = (torch.is_autocast_enabled(device) for device in devices)
    return (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *autocast)


def inputs_of(scope: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """Names of the inputs that a module is called with.

    Args:
        scope: the module.
        args: positional arguments of its call.
        kwargs: keyword arguments of its call.

    Returns:
        One name for each positional argument.

    Raises:
        NetworkError: it is called with anything else than tensors by position.
    """
    values = [item for value in args for item in (value if isinstance(value, list | tuple) else [value])]
    if kwargs or not all(isinstance(value, Tensor) for value in values):
        raise NetworkError(f"{_class(scope)} is called with arguments that are not tensors by position")
    known: tuple[str, ...] | None = getattr(scope, _INPUTS, None)
    if known is None:
        known = tuple(inspect.signature(type(scope).forward).parameters)[1:]
    if len(known) < len(args):
        raise NetworkError(f"{_class(scope)} takes its inputs as *args")
    return list(known[: len(args)])


def rewire(
    scope: nn.Module,
    *,
    kinds: Sequence[str],
    targets: Sequence[Target],
    inlined: Collection[nn.Module],
    inputs: Sequence[str],
) -> None:
    """Redirect activation calls in a module's forward, in place.

    Args:
        scope: the module; its class becomes a subclass of what it was. The targets must exist before it runs.
        kinds: of the activations that its forward calls, in order, those of the inlined modules included.
        targets: for each of them, the path (from `scope`) of the module to call instead, or None.
        inlined: modules below `scope` whose forward is to be a part of the code.
        inputs: names of the tensors that it is called with.

    Raises:
        NetworkError: fx cannot trace the forward, or it does not make these calls; `scope` is unchanged then.
    """
    if isinstance(scope, fx.GraphModule):
        _rewire_graph(scope, kinds, targets, inlined)
        return
    sources = {mode: _source(scope, mode, kinds, targets, inlined, inputs) for mode in (False, True)}
    # The class of a parametrized module has its computed parameters; it stays below.
    base: Any = type(scope)
    scope.__class__ = _rewired_class(getattr(base, "written_as", base))
    scope.__dict__[_SOURCES] = _Sources(sources)
    scope.__dict__[_INPUTS] = tuple(inputs)
    scope.__dict__[_FORWARDS] = {mode: _compile(*source) for mode, source in sources.items()}


def _source(
    scope: nn.Module,
    training: bool,
    kinds: Sequence[str],
    targets: Sequence[Target],
    inlined: Collection[nn.Module],
    inputs: Sequence[str],
) -> tuple[str, dict[str, Any]]:
    """Code of the rewired forward in one mode, and the names that it uses."""
    graph = _trace(scope, training, inlined, inputs)
    _redirect(scope, graph, "training" if training else "evaluation", kinds, targets)
    code = graph.python_code("self")
    return code.src, dict(code.globals)


def _rewire_graph(
    scope: fx.GraphModule, kinds: Sequence[str], targets: Sequence[Target], inlined: Collection[nn.Module]
) -> None:
    """Redirect calls in the graph that a GraphModule is; it has one for both modes."""
    if inlined:
        raise NetworkError(f"{_class(scope)} is a graph that calls another module twice")
    graph = copy.deepcopy(scope.graph)
    _redirect(scope, graph, "its", kinds, targets)
    scope.graph = graph  # compiles it


def _redirect(scope: nn.Module, graph: fx.Graph, mode: str, kinds: Sequence[str], targets: Sequence[Target]) -> None:
    """Replace chosen activation calls in a graph by calls of modules."""
    calls = [node for node in graph.nodes if _kind(scope, node) is not None]
    found = [_kind(scope, node) for node in calls]
    if found != list(kinds):
        raise NetworkError(
            f"the forward of {_class(scope)} calls {', '.join(map(str, found)) or 'no activation'} in {mode} mode, "
            f"not {', '.join(kinds)}"
        )
    for node, target in zip(calls, targets, strict=True):
        if target is None:
            continue
        if not node.users:
            raise NetworkError(f"{_class(scope)} calls {_kind(scope, node)} in place and does not use what it returns")
        value = node.args[0] if node.args else node.kwargs["input"]
        with graph.inserting_before(node):
            new = graph.create_node("call_module", target, (value,))
        node.replace_all_uses_with(new)
        graph.erase_node(node)


def _trace(scope: nn.Module, training: bool, inlined: Collection[nn.Module], inputs: Sequence[str]) -> fx.Graph:
    entered = [scope, *inlined]
    flags = [module.training for module in entered]
    for module in entered:
        module.training = training
    try:
        return _ScopeTracer(inlined, inputs).trace(scope)
    except NetworkError:
        raise
    except (AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError) as error:
        raise NetworkError(
            f"torch.fx cannot trace the forward of {_class(scope)}: {reason_of(error)}", code="LS-NETWORK-TRACE"
        ) from error
    finally:
        for module, flag in zip(entered, flags, strict=True):
            module.training = flag


def _kind(scope: nn.Module, node: fx.Node) -> str | None:
    if node.op == "call_module":
        return module_kind(scope.get_submodule(str(node.target)))
    if node.op not in ("call_function", "call_method"):
        return None
    return function_kind(node.target, node.args, node.kwargs)


def _class(scope: nn.Module) -> str:
    return own_class(scope).__name__


def _compile(source: str, names: dict[str, Any]) -> Callable[..., Any]:
    namespace = dict(names)
    exec(compile(source, "<rewired forward>", "exec"), namespace)
    forward: Callable[..., Any] = namespace["forward"]
    return forward


def _forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Run the code of the module's mode."""
    return self.__dict__[_FORWARDS][self.training](self, *args, **kwargs)


class _Sources(dict[bool, tuple[str, dict[str, Any]]]):
    """Code of a forward by mode, and the names it uses; never changed, so that copies share it.

    Among the names are Python modules, which cannot be copied.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _Sources:
        return self


@functools.cache
def _rewired_class(base: Any) -> type[nn.Module]:
    members = {
        "__module__": base.__module__,
        "__doc__": f"{base.__name__} whose forward was rewired by leni.swap.",
        "written_as": base,
        "forward": _forward,
        "__reduce_ex__": _reduce,
        "__setstate__": _restore,
    }
    return type(f"Rewired{base.__name__}", (base,), members)


def _blank(base: Any) -> nn.Module:
    """A module without state, for pickle to fill: a class made at run time cannot be found by its name."""
    kind: Any = _rewired_class(base)
    blank: nn.Module = kind.__new__(kind)
    return blank


def _reduce(self: nn.Module, protocol: int) -> tuple[Any, ...]:
    base = type(self).__dict__["written_as"]
    state = {name: value for name, value in self.__dict__.items() if name != _FORWARDS}
    state[_SOURCES] = {mode: (code, _packed(names)) for mode, (code, names) in state[_SOURCES].items()}
    return _blank, (base,), state


def _restore(self: nn.Module, state: dict[str, Any]) -> None:
    nn.Module.__setstate__(self, state)
    sources = {mode: (code, _unpacked(names)) for mode, (code, names) in self.__dict__[_SOURCES].items()}
    self.__dict__[_SOURCES] = _Sources(sources)
    self.__dict__[_FORWARDS] = {mode: _compile(*source) for mode, source in sources.items()}


def _packed(names: dict[str, Any]) -> dict[str, tuple[bool, Any]]:
    """Python modules by name, since they cannot be pickled; all else as it is."""
    return {
        name: (True, value.__name__) if isinstance(value, ModuleType) else (False, value)
        for name, value in names.items()
    }


def _unpacked(names: dict[str, tuple[bool, Any]]) -> dict[str, Any]:
    return {name: importlib.import_module(value) if is_module else value for name, (is_module, value) in names.items()}
