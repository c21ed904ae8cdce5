"""What a forward pass demands of the sizes of a network's tensors, step by step.

`Flow` follows the steps of a trace. Each step's rule (functions.py, modules.py) says what sizes the result has, in
terms of its operands' sizes, and what must be equal or divisible. A step without a rule that keeps the shape works
elementwise; any other keeps all its operands as they are, and is named as the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from leni.kinds import own_class
from leni.recording import Step, Trace, tensors_in
from leni.widths.parameters import Dims, Parameters
from leni.widths.sizes import Equations, Size

__all__ = ["Flow", "Patch", "Product", "Rule"]


@dataclass(frozen=True)
class Patch:
    """A number that a module keeps as an attribute and its forward uses, such as the size of a split's pieces.

    Attributes:
        path: of the module.
        name: of the attribute.
        size: what it must be; of a tuple or list, what its members must be.
    """

    path: str
    name: str
    size: Size | Dims


@dataclass(frozen=True)
class Product:
    """Multiply-adds of a step: the product of sizes, times a number.

    Attributes:
        factor: positions of a convolution, elements of a kernel, and the like.
        sizes: that are multiplied.
    """

    factor: int
    sizes: tuple[Size, ...]


class Flow:
    """Sizes of all tensors of a pass.

    Args:
        record: of the pass.
        parameters: of the network; sizes of another pass of it may be known already.
        equations: that get the demands.
    """

    def __init__(self, record: Trace, parameters: Parameters, equations: Equations) -> None:
        self.equations = equations
        self.parameters = parameters
        self.patches: list[Patch] = []
        self.products: list[Product] = []
        self.called: dict[str, None] = {}  # paths of layers that ran, in order
        self.root = record.root
        self.attempt = 0  # how often the step that is followed was found wrong before
        self._arguments = record.arguments
        self._dims: dict[int, Dims] = {}
        self._owners = {
            id(tensor): path
            for path, module in record.root.named_modules()
            for tensor in (*module._parameters.values(), *module._buffers.values())
            if tensor is not None
        }

    def dims(self, tensor: Tensor) -> Dims:
        """Sizes of a tensor; as they are, for one that nothing is known of."""
        if id(tensor) in self._owners:
            self.called[self._owners[id(tensor)]] = None
        known = self._dims.get(id(tensor)) or self.parameters.dims(tensor)
        return known if known is not None else tuple(map(Size.of, tensor.shape))

    def put(self, tensor: Tensor, dims: Dims) -> bool:
        """Set the sizes of a result; False, and nothing is set, if they are not those that it has."""
        if tuple(self.equations.now(size) for size in dims) != tuple(tensor.shape):
            return False
        self._dims[id(tensor)] = dims
        return True

    def put_all(self, tensors: Sequence[Tensor], dims: Sequence[Size]) -> bool:
        """Set the same sizes of several results; False, and none is set, if they are not those that they have."""
        now = tuple(self.equations.now(size) for size in dims)
        if any(tuple(tensor.shape) != now for tensor in tensors):
            return False
        self._dims |= {id(tensor): tuple(dims) for tensor in tensors}
        return True

    def equate(self, one: Size, other: Size, step: Step) -> None:
        """Demand that two sizes are equal."""
        constants = [size for size in (one, other) if self.equations.solve(size).fixed]
        reason = f"{said(step)} has a size of {self.equations.now(one)} that does not change" if constants else ""
        self.equations.equate(one, other, reason or said(step))

    def divide(self, size: Size, parts: int, step: Step) -> None:
        """Demand that a size can be divided."""
        self.equations.balance(size, parts, said(step))
        self.equations.divide(size, parts, said(step))

    def keep(self, value: Any, reason: str) -> None:
        """Fix all sizes of the tensors in a value."""
        for tensor in tensors_in(value):
            for size in self.dims(tensor):
                self.equations.fix(size, reason)

    def opaque(self, step: Step) -> None:
        """Fix what goes into a step that is not followed; what comes out is as it is."""
        reason = f"{said(step)} is not followed"
        self.keep((step.args, step.kwargs), reason)
        if step.module is not None:
            self.keep_below(str(step.target), reason)
        for tensor in tensors_in(step.result):
            self._dims[id(tensor)] = tuple(map(Size.of, tensor.shape))

    def keep_below(self, path: str, reason: str) -> None:
        """Fix all sizes of a module and of the modules in it."""
        for name, layer in self.parameters.layers.items():
            if name == path or name.startswith(f"{path}.") or not path:
                self.called[name] = None
                for dims in layer.tensors.values():
                    for size in dims:
                        self.equations.fix(size, reason)

    def patch(self, step: Step, numbers: Sequence[int], sizes: Sequence[Size]) -> bool:
        """Change attributes of the module that makes a step, where they hold these numbers: all in a row, or one each.

        Args:
            step: the step.
            numbers: that it works with.
            sizes: what each of them must be.

        Returns:
            Whether there is such an attribute.
        """
        changing = {now: size for now, size in zip(numbers, sizes, strict=True) if not self.equations.solve(size).fixed}
        found: list[Patch] = []
        for name, value in vars(self.root.get_submodule(step.scope)).items():
            if name.startswith("_"):
                continue
            if type(value) is int and value in changing:
                found.append(Patch(step.scope, name, changing[value]))
            elif isinstance(value, tuple | list) and list(value) == list(numbers) and changing:
                found.append(Patch(step.scope, name, tuple(sizes)))
        self.patches += found
        return bool(found)

    def given_sizes(self, path: str) -> list[Size]:
        """Sizes, other than fixed ones, of the tensors that the module at a path was called with."""
        sizes = (size for tensor in tensors_in(self._arguments.get(path, ())) for size in self.dims(tensor))
        return [size for size in sizes if not self.equations.solve(size).fixed]


Rule = Callable[[Flow, Step], bool]  # False: the step is another than the rule is for


def said(step: Step) -> str:
    """A step in words."""
    if step.module is not None:
        return f"{step.target} ({own_class(step.module).__name__})"
    return f"{step_name(step)} in {step.scope or 'the network itself'}"


def step_name(step: Step) -> str:
    """Name of the function that a step calls, without the marks of methods and in-place forms."""
    name = step.target if isinstance(step.target, str) else getattr(step.target, "__name__", "")
    return name if name == "__get__" else name.strip("_")


def is_a(module: nn.Module | None, *kinds: type[nn.Module]) -> bool:
    """Whether a module is one of some classes; None is not."""
    return module is not None and isinstance(module, kinds)
