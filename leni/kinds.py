"""Which modules and functions are activations, and which modules are one step of a trace."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from leni import registry

__all__ = ["PUT_BY_SWAP", "function_kind", "hidden_kind", "is_leaf", "module_kind", "own_class"]

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
CLAMPS = ("clamp", "clip", "clamp_min")
PUT_BY_SWAP = "activation_name"  # attribute of modules that `swap` put there
# Modules of torch.nn that call other modules and are looked into; all others are one step.
CONTAINERS = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.DataParallel,
    nn.parallel.DistributedDataParallel,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


def module_kind(module: nn.Module) -> str | None:
    """Name of the activation that a module is: as registered, or as torch has it; None if it is no activation."""
    put_there: str | None = getattr(module, PUT_BY_SWAP, None)
    if put_there is not None:
        return put_there
    registered = _registered().get(own_class(module))
    if registered is not None:
        return registered
    if isinstance(module, nn.Threshold):
        return "relu" if (module.threshold, module.value) == (0, 0) else None
    leafless = next((name for name, _ in module.named_children() if name != "parametrizations"), None) is None
    return CLASSES.get(own_class(module).__name__.lower()) if leafless else None


def function_kind(
    function: Callable[..., Any] | str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> str | None:
    """Name of the activation that a call of a function or a tensor's method is, in place or not.

    Args:
        function: the function, or the method's name.
        args: positional arguments of the call; a clamp is a ReLU by its bounds.
        kwargs: keyword arguments of the call.

    Returns:
        The name, for example relu for `F.relu(x)`, `x.relu_()`, `x.clamp(min=0)` and `F.threshold(x, 0, 0)`; None if
        the call is no activation.
    """
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    name = name.strip("_") if not name.startswith("__") else name
    if name in FUNCTIONS:
        return name
    given = dict(kwargs or {})
    if name in CLAMPS:
        bounds = dict(zip(("min", "max"), args[1:], strict=False)) | given
        return _clamp_kind(bounds.get("min"), bounds.get("max"))
    if name == "threshold":
        bounds = dict(zip(("threshold", "value"), args[1:], strict=False)) | given
        return "relu" if all(_is_number(bounds.get(key), 0) for key in ("threshold", "value")) else None
    return None


def _clamp_kind(low: Any, high: Any) -> str | None:
    if not _is_number(low, 0):
        return None
    if high is None:
        return "relu"
    return "relu6" if _is_number(high, 6) else None


def _is_number(value: Any, wanted: int) -> bool:
    return isinstance(value, int | float) and value == wanted


def hidden_kind(module: nn.Module) -> str | None:
    """Name of the activation that a recurrent layer computes inside one operation of torch; None for other modules."""
    if isinstance(module, nn.RNN | nn.RNNCell):
        return str(module.nonlinearity)
    return "tanh" if isinstance(module, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell) else None


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one step of the trace: an activation, or torch's own and no container."""
    if module_kind(module) is not None:
        return True
    return own_class(module).__module__.startswith("torch.nn.") and not isinstance(module, CONTAINERS)


def own_class(module: nn.Module) -> type:
    """The class that a module was written as, before `swap` or a parametrization gave it a class of their own."""
    written: type = getattr(type(module), "written_as", type(module))
    if parametrize.is_parametrized(module) and written.__module__ == parametrize.__name__:
        written = written.__bases__[0]
    return written


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
