"""Which networks a submitted spec may name: a factory of the sender's choice would run code, and weights are a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from leni.errors import SpecError
from spaces.backbones import BACKBONES

__all__ = ["check_networks"]

SOURCES = ("torchvision:", "timm:")


def check_networks(given: Mapping[str, Any]) -> None:
    """Refuse networks of a module that the spec names, options for factories, and files of weights.

    Args:
        given: the keys of a spec, as submitted.

    Raises:
        SpecError: one of these is asked for.
    """
    for name in _backbones(given):
        if ":" in name and name not in BACKBONES and (not name.startswith(SOURCES) or "?" in name):
            raise SpecError(
                f"backbone {name[:200]!r} is not allowed on this service: a submitted spec names backbones of ours, "
                "torchvision:NAME and timm:NAME, without options",
                code="LS-SERVICE-NOT-ALLOWED",
            )
    for table, key, what in (
        ("space", "network", "options for a network's factory"),
        ("training", "weights", "a file"),
    ):
        part = given.get(table)
        if isinstance(part, Mapping) and part.get(key):
            raise SpecError(
                f"{table}.{key} is not allowed on this service: a submitted spec gives no {what}",
                code="LS-SERVICE-NOT-ALLOWED",
            )


def _backbones(value: Any) -> Iterator[str]:
    """Every text below a key `backbone`, also in candidates, which are JSON."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "backbone":
                yield from _texts(item)
            elif key == "candidates":
                yield from (name for text in _texts(item) for name in _backbones(_parsed(text)))
            yield from _backbones(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _backbones(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in _texts(item))
    elif isinstance(value, (list, tuple)):
        yield from (text for item in value for text in _texts(item))


def _parsed(text: str) -> Any:
    """A candidate's JSON; nothing of a text that is none, which is refused elsewhere."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
