"""What a user's module knows of a configuration before its trial: `@search.known`.

    @search.known("params")
    def count(config: dict) -> int:
        return config["width"] ** 2 * config["depth"]

The function is called in the process that drives the search, with a configuration's parameters. It returns the number;
where several names are given, a mapping or one number for each. None, or raising `search.Impossible`, says that there
is no such configuration, which is then refused without a trial.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from leni.errors import SpecError

__all__ = ["known", "marked_in"]

MARK = "__leni_search_known__"

Function = TypeVar("Function", bound=Callable[..., Any])


def known(*names: str) -> Callable[[Function], Function]:
    """Mark a function of the evaluator's module: it gives the values of these names before a trial.

    Args:
        names: of the costs, as objectives, limits and records have them.

    Raises:
        SpecError: there is no name, or one that is no text.

    Example:
        >>> @known("params")
        ... def count(config):
        ...     return config["width"] ** 2
        >>> count({"width": 3})
        9
    """
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        shown = ", ".join(map(repr, names))
        raise SpecError(f'known must be given names, as in @search.known("params"), got {shown}', code="LS-COSTS")

    def mark(function: Function) -> Function:
        setattr(function, MARK, names)
        return function

    return mark


def marked_in(module: str) -> Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]]:
    """Marked functions of a module, by their names, with the names of what they know.

    Args:
        module: its name; one that is not imported has none.
    """
    found = vars(sys.modules[module]) if module in sys.modules else {}
    return {
        name: (getattr(value, MARK), value)
        for name, value in list(found.items())
        if callable(value) and isinstance(vars(value).get(MARK) if hasattr(value, "__dict__") else None, tuple)
    }
