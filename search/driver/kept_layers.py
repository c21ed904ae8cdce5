"""What of a space's networks cannot be searched, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spaces import SearchSpace
from spaces.backbones import Backbone

__all__ = ["kept_layers"]

SHOWN = 3  # layers of one reason that are named


def kept_layers(space: Any) -> tuple[str, ...]:
    """The layers that keep their channels, and the call sites that keep their activation, with the reasons.

    Args:
        space: any space; one of other things than networks has none.
    """
    if not isinstance(space, SearchSpace):
        return ()
    return tuple(sentence for row in space.rows_of_backbones for sentence in _sentences(row))


def _sentences(row: Backbone) -> Iterable[str]:
    for what, reasons in (("keeps its outputs", row.kept), ("keeps its activation", row.left)):
        for reason, names in _by_reason(reasons).items():
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            verb = what if len(names) == 1 else what.replace("keeps its", "keep their")
            yield f"{row.name}: {', '.join(names[:SHOWN])}{more} {verb}: {reason}"


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return found
