"""What a mistyped name may have been meant to be, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "near_names"]


def near_names(name: str, known: Iterable[str]) -> str:
    """The known names that are similar, as a remark in parentheses; empty where none is.

    Example:
        >>> near_names("rellu", ["leni", "relu", "prelu"])
        ' (near: relu, prelu)'
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (near: {', '.join(near)})" if near else ""


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str) -> str:
    """A question with the known name that is most similar, or all of them where none is.

    Args:
        name: that was given.
        known: that there are.
        otherwise: what stands before the list of all names.

    Example:
        >>> did_you_mean("epoch", ["epochs", "seeds"], otherwise="keys are")
        "did you mean 'epochs'?"
        >>> did_you_mean("x", ["epochs", "seeds"], otherwise="keys are")
        'keys are epochs, seeds'
    """
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{otherwise} {', '.join(listed)}"
