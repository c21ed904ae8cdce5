"""The activations by name: one frozen row each, which search spaces, cost, command and report all read.

To add one, register a factory `f(channels, **options) -> nn.Module`, in your own package if you like:

    @register_activation(name="mine", source="paper or formula", formula="x * tanh(x)")
    class Mine(nn.Module): ...

and name the module that does so as an entry point of the group `leni.activations`. Inherit
`leni.testing.ActivationContract` in a test, and what everything here relies on is checked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import MappingProxyType
from typing import TypeVar

from torch import nn

from leni.errors import ActivationError
from leni.near_names import near_names

__all__ = ["Activation", "Option", "create", "get", "names", "register", "register_activation"]

ENTRY_POINT_GROUP = "leni.activations"

Factory = TypeVar("Factory", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class Option:
    """One option of an activation, so that a search space can check values and fill defaults.

    Attributes:
        name: as the factory spells it.
        default: the value when it is not given; always allowed, None included.
        choices: the values that it may have; None where `kind` and `low` say it.
        kind: type of the values: str, int, float or bool. An int will do for a float.
        structural: whether it can change parameters, multiply-adds or output channels.
        low: the least number allowed, None for none.
        odd: whether an int must be odd.
        later: whether candidates were written before there was this option; where they lack it they have its default.
    """

    name: str
    default: object
    choices: tuple[object, ...] | None = None
    kind: type = str
    structural: bool = True
    low: float | None = None
    odd: bool = False
    later: bool = False

    def allows(self, value: object) -> bool:
        """Whether `value` is one that the option may have."""
        if value is None:
            return self.default is None
        if isinstance(value, bool) != (self.kind is bool):
            return False
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            return False
        if self.choices is not None:
            return value in self.choices
        if isinstance(value, (int, float)):
            big_enough = self.low is None or value >= self.low
            return math.isfinite(value) and big_enough and not (self.odd and value % 2 == 0)
        return True

    def describe(self) -> str:
        """What is allowed, in words."""
        if self.choices is not None:
            return f"one of {', '.join(map(str, self.choices))}"
        words = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}
        text = "an odd number" if self.odd else words[self.kind]
        text += "" if self.low is None else f" of at least {self.low:g}"
        return text if self.default is not None else f"{text}, or None"


def _one(**options: object) -> int:
    """The output multiple of an activation that keeps its channels."""
    return 1


def _nothing(channels: int, **options: object) -> int:
    """The learned parameters of an activation that has none."""
    return 0


@dataclass(frozen=True)
class Activation:
    """What the rest of the program knows of an activation.

    Attributes:
        name: lower case, unique.
        label: for figures, for example "LENI".
        factory: called `factory(channels, **options)`, gives a module of (N, C, H, W).
        learned: called `learned(channels, **options)`, learned parameters of one site, a count.
        multiple: called `multiple(**options)`, output channels over input channels.
        options: by name, in the order of a table's columns.
        channelled: whether it must know its channels, and so a channel dimension.
        source: the paper, or torch.
        formula: y in terms of x.
    """

    name: str
    label: str
    factory: Callable[..., nn.Module]
    learned: Callable[..., int] = _nothing
    multiple: Callable[..., int] = _one
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    channelled: bool = False
    source: str = ""
    formula: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def check(self, options: Mapping[str, object]) -> dict[str, object]:
        """All options with their defaults filled in.

        Args:
            options: some options by name.

        Returns:
            Every option of the activation, in the row's order.

        Raises:
            ActivationError: an option that it does not have, or a value that the option may not have.
        """
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise ActivationError(
                    f"activation {self.name!r} has no option {name!r}{near_names(name, self.options)}; it has {known}"
                )
            option = self.options[name]
            if not option.allows(value):
                raise ActivationError(
                    f"activation {self.name!r}: option `{name}` must be {option.describe()}, got {value!r}"
                )
        return {name: options.get(name, option.default) for name, option in self.options.items()}

    def structure(self, options: Mapping[str, object]) -> dict[str, object]:
        """The options of `check(options)` that can change parameters, multiply-adds or output channels."""
        return {name: value for name, value in self.check(options).items() if self.options[name].structural}


_ROWS: dict[str, Activation] = {}
_STATE = {"entry points read": False}


def register(row: Activation) -> Activation:
    """Add a row.

    Args:
        row: the activation.

    Returns:
        The row.

    Raises:
        ActivationError: the name is taken, or is not lower-case letters, digits and underscores.
    """
    if not row.name.isidentifier() or row.name != row.name.lower():
        raise ActivationError(
            f"an activation's name must be lower-case letters, digits and underscores, got {row.name!r}"
        )
    if row.name in _ROWS:
        raise ActivationError(
            f"activation {row.name!r} is registered already, by {_origin(_ROWS[row.name])}; "
            f"{_origin(row)} must take another name"
        )
    wrong = [name for name, option in row.options.items() if name != option.name]
    if wrong:
        raise ActivationError(f"activation {row.name!r}: option {wrong[0]!r} is listed under another name than its own")
    _ROWS[row.name] = row
    return row


def register_activation(
    *,
    name: str,
    label: str | None = None,
    learned: Callable[..., int] = _nothing,
    multiple: Callable[..., int] = _one,
    options: Sequence[Option] = (),
    channelled: bool = False,
    source: str = "",
    formula: str = "",
) -> Callable[[Factory], Factory]:
    """Register the decorated class or factory; the arguments are those of `Activation`.

    Args:
        name: lower case, unique.
        label: for figures; None takes the decorated object's own name.
        learned: called `learned(channels, **options)`.
        multiple: called `multiple(**options)`.
        options: in the order of a table's columns.
        channelled: whether the factory needs to know the channels. If not it is called without them.
        source: the paper.
        formula: y in terms of x.

    Returns:
        A decorator that gives back what it decorates.

    Raises:
        ActivationError: when decorating, as `register`.
    """

    def decorate(factory: Factory) -> Factory:
        @functools.wraps(factory)
        def without_channels(channels: int, **chosen: object) -> nn.Module:
            return factory(**chosen)

        register(
            Activation(
                name=name,
                label=label or str(getattr(factory, "__name__", name)),
                factory=factory if channelled else without_channels,
                learned=learned,
                multiple=multiple,
                options={option.name: option for option in options},
                channelled=channelled,
                source=source,
                formula=formula,
            )
        )
        return factory

    return decorate


def get(name: str) -> Activation:
    """The row of an activation.

    Args:
        name: as registered.

    Returns:
        The row.

    Raises:
        ActivationError: there is no activation of this name; the message has the nearest names.
    """
    _load()
    if name not in _ROWS:
        raise ActivationError(
            f"no activation is called {name!r}{near_names(name, _ROWS)}; known are {', '.join(_ROWS)}",
            code="LS-ACTIVATION-UNKNOWN",
        )
    return _ROWS[name]


def names() -> tuple[str, ...]:
    """Names of all activations, in the order in which they were registered."""
    _load()
    return tuple(_ROWS)


def create(name: str, channels: int, **options: object) -> nn.Module:
    """Build an activation for one site.

    Args:
        name: as registered.
        channels: C of the site.
        options: of this activation; what is left out has its default.

    Returns:
        A module of (N, C, H, W).

    Raises:
        ActivationError: unknown name, unknown option, or a value out of range.
    """
    row = get(name)
    return row.factory(channels, **row.check(options))


def _load() -> None:
    """Load the entry points, at the first look-up and not at import."""
    if _STATE["entry points read"]:
        return
    _STATE["entry points read"] = True
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            _STATE["entry points read"] = False
            raise ActivationError(
                f"entry point {point.name!r} of group {ENTRY_POINT_GROUP}: cannot load {point.value!r}: {error}"
            ) from error


def _origin(row: Activation) -> str:
    return str(getattr(row.factory, "__module__", "an unknown module"))
