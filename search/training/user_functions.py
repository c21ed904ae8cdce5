"""Functions of users, by the name of their module, and what they raise, in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leni.errors import SpecError
from leni.user_modules import hidden_file, import_user_module
from results.text import readable
from search.training.given_functions import given_function

__all__ = ["failure_sentence", "load_function"]


def load_function(path: str, *, what: str = "evaluator") -> Callable[..., Any]:
    """The function behind `module:function`, or one that was given (`search.training.given_functions`).

    A class stands for its objects: each call makes one, without arguments, and calls it.

    Args:
        path: of that form, or the name of a given function.
        what: the key of a spec that names it, for errors.

    Raises:
        SpecError: the text is of another form, the module cannot be imported, or has no such function.
    """
    if (given := given_function(path)) is not None:
        return _callable(given)
    module, colon, name = path.partition(":")
    if not (module and colon and name) or module.startswith("."):
        raise SpecError(f"{what} must be written module:function, got {path!r}", code="LS-EVALUATOR")
    try:
        imported = import_user_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module does while it is imported
        why = str(error) if isinstance(error, (ImportError, SyntaxError)) else failure_sentence(error)
        hidden = hidden_file(error.name) if isinstance(error, ImportError) and error.name else None
        hint = f"; an installed module hides {hidden}, which another name would mend" if hidden else ""
        why = readable(" ".join(why.split()), 500)
        raise SpecError(f"{what} {path!r}: cannot import {module}: {why}{hint}", code="LS-EVALUATOR") from None
    function = getattr(imported, name, None)
    if function is None:
        raise SpecError(f"{what} {path!r}: module {module} has no function {name}", code="LS-EVALUATOR")
    if not callable(function):
        raise SpecError(f"{what} {path!r}: {name} is not a function", code="LS-EVALUATOR")
    return _callable(function)


def _callable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself; of a class whose objects are callable, one that makes an object and calls it."""
    if not isinstance(function, type) or not any("__call__" in vars(part) for part in function.__mro__):
        return function
    return lambda *arguments: function()(*arguments)


def failure_sentence(failure: BaseException) -> str:
    """What was raised, in one line: its type and its message."""
    try:
        text = " ".join(readable(str(failure), 2000).split()) or "no message"
    except Exception as error:  # noqa: BLE001 - whatever a user's __str__ raises
        text = f"its message raises {type(error).__name__}"
    return readable(f"{type(failure).__name__}: {text}", 500)
