"""Names and objectives as options have them: with commas, or again and again."""

from __future__ import annotations

from collections.abc import Sequence

import typer

__all__ = ["bounds_of", "names_of", "objectives_of"]


def names_of(texts: Sequence[str] | None) -> list[str]:
    """Names from an option with commas that may be repeated, each once."""
    names = [name.strip() for text in texts or () for name in text.split(",")]
    return list(dict.fromkeys(name for name in names if name))


def objectives_of(texts: Sequence[str] | None, *, option: str = "--objectives") -> dict[str, str]:
    """NAME:max or NAME:min, with commas; nothing for no text. The option is named in errors.

    Raises:
        BadParameter: a text has another form, or a name is there twice.
    """
    from search.objectives import DIRECTIONS  # torch comes along

    found: dict[str, str] = {}
    for text in names_of(texts):
        name, colon, way = text.rpartition(":")
        if not colon or not name or way not in DIRECTIONS:
            raise typer.BadParameter(f"{option} must be written NAME:max or NAME:min, got {text!r}")
        if name in found:
            raise typer.BadParameter(f"{option} has {name} twice")
        found[name] = DIRECTIONS[way]
    return found


def bounds_of(texts: Sequence[str] | None) -> dict[str, tuple[float, float]]:
    """NAME=LOW:HIGH, with commas."""
    found = {}
    for text in names_of(texts):
        name, equals, ends = text.partition("=")
        low, colon, high = ends.partition(":")
        try:
            if not (name and equals and colon):
                raise ValueError
            found[name.strip()] = (float(low), float(high))
        except ValueError:
            raise typer.BadParameter(f"--bounds must be written NAME=LOW:HIGH, got {text!r}") from None
    return found
