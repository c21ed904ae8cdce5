"""Functions that a Python program gives itself, instead of naming them as `module:function`.

A spec is text, so a function is in it by name. One that can be imported from a module is `module:function`. Any other,
one of a notebook or script, a lambda, a closure, a partial or a callable object, is kept in this process, and its name
is a text in angle brackets that no module has: its own name and a digest of its code. Workers get it by value, pickled
with cloudpickle over Ray; a run's folder holds the name alone, so that reading a folder never runs code.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from leni.errors import SpecError

__all__ = ["function_name", "given_function", "keep_function", "label_of", "module_of", "packed"]

_GIVEN: dict[str, Callable[..., Any]] = {}


def function_name(function: Callable[..., Any], *, what: str = "evaluator") -> str:
    """The text that stands for a function in a spec.

    Args:
        function: of any kind.
        what: the key of a spec that it is given as, for errors.

    Raises:
        SpecError: it is no function, or cannot be sent to another process.

    Example:
        >>> from math import sqrt
        >>> function_name(sqrt), label_of(function_name(lambda config, report: {}))
        ('math:sqrt', 'lambda')
    """
    if not callable(function):
        raise SpecError(f"{what} must be a function or its name module:function, got {function!r}", code="LS-EVALUATOR")
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module not in (None, "__main__") and getattr(sys.modules.get(module), name or " ", None) is function:
        return f"{module}:{name}"
    code = _pickled(function, what)
    label = getattr(_inner(function), "__name__", type(_inner(function)).__name__).strip("<>")
    text = f"<{label} {hashlib.sha256(code).hexdigest()[:8]}>"
    _GIVEN[text] = function
    return text


def given_function(name: str) -> Callable[..., Any] | None:
    """The function of this name; None for `module:function`.

    Raises:
        SpecError: it was given in another process.
    """
    if not name.startswith("<"):
        return None
    if name not in _GIVEN:
        raise SpecError(
            f"{name} is a function that the Python program which began the run gave it, and is in no module: go on "
            f"from Python, with search.resume(folder, evaluator={label_of(name)}), and costs and resources where those "
            "were functions too",
            code="LS-EVALUATOR",
        )
    return _GIVEN[name]


def keep_function(name: str, code: bytes) -> None:
    """Keep a function in this process, from what `packed` gave of it in another."""
    _GIVEN[name] = cloudpickle.loads(code)


def packed(name: str | None) -> bytes | None:
    """A function for another process; None for one that is imported there.

    Raises:
        SpecError: it was given in another process.
    """
    function = None if name is None else given_function(name)
    return None if function is None else _pickled(function, "evaluator")


def label_of(name: str) -> str:
    """A short name of a function: of a given one without brackets and digest.

    Example:
        >>> label_of("forest:evaluate"), label_of("<train 0a1b2c3d>")
        ('forest:evaluate', 'train')
    """
    return name.strip("<>").rpartition(" ")[0] if name.startswith("<") else name


def module_of(name: str) -> str:
    """The module that a function was written in."""
    function = given_function(name)
    return name.partition(":")[0] if function is None else str(getattr(_inner(function), "__module__", "__main__"))


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a partial was made of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _pickled(function: Callable[..., Any], what: str) -> bytes:
    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:  # noqa: BLE001 - whatever an object raises that a function refers to
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpecError(
            f"{what} cannot be sent to workers, because it refers to something that cannot be pickled: {why}; make "
            "that inside the function",
            code="LS-EVALUATOR",
        ) from None
