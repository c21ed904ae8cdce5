"""Options of `run` and `submit`, made from the fields of the spec (`search/spec_fields.py`).

A field's type decides how its option is written and read; its description and its default are the help.
"""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from search.cli.limits import limits_of
from search.cli.objectives import bounds_of
from search.spec_fields import Limit, SpecFields, UserPath, flag_of

__all__ = ["flag_parameters", "option", "spec_values"]

RECIPE: Mapping[str, tuple[type, str]] = {
    "recipe": (
        str,
        "Published recipe: cifar, fashion or imagenet-a3 (docs/recipes.md); short for --training recipe=NAME.",
    ),
    "lr": (float, "Peak learning rate at factor 1; short for --training lr=VALUE."),
    "batch_size": (int, "Images per training step; short for --training batch_size=VALUE."),
    "cuda_graph": (bool, "On a GPU, capture the training step once and replay it."),
}
"""Keys of the training recipe that have an option of their own."""


def flag_parameters(*, submitted: bool = False) -> list[inspect.Parameter]:
    """The options that the spec's fields and the recipe's keys give a command, as parameters for its signature.

    Args:
        submitted: whether the command is `submit`, which has no options for what belongs to the server.

    Raises:
        TypeError: a field has a type for which no way of writing it as an option is known.
    """
    found = []
    for name in SpecFields.model_fields:
        flag = flag_of(name)
        if not flag.absent and not (submitted and flag.not_submitted):
            found.append(_parameter(name, _written(name), option(name, default=True)))
        if name == "training":
            found += [_parameter(key, kind, typer.Option(help=text)) for key, (kind, text) in RECIPE.items()]
    return found


def option(name: str, *, default: bool = False) -> Any:
    """The option of one field.

    Args:
        name: of the field.
        default: whether the help states the field's default; a command that continues a run keeps what the run has.
    """
    field, flag, kind = SpecFields.model_fields[name], flag_of(name), _written(name)
    text = field.description or ""
    if get_origin(kind) is list:
        text += " May be repeated."
    if default and (shown := _default(name)) is not None:
        text += f" Default: {shown}."
    dashed = name.replace("_", "-")
    names = flag.names or ((f"--{dashed}/--no-{dashed}",) if kind is bool else (f"--{dashed}",))
    return typer.Option(*names, metavar=flag.metavar, help=text)


def spec_values(words: dict[str, Any]) -> dict[str, Any]:
    """Take the values of the spec's fields out of a command's words, where they were given.

    Args:
        words: of the command, by parameter; those of the spec and of the recipe are removed.

    Raises:
        BadParameter: a value is not written as its field needs it.
    """
    recipe = {key: value for key in RECIPE if (value := words.pop(key, None)) is not None}
    found = {}
    for name in SpecFields.model_fields:
        if (value := words.pop(name, None)) is not None:
            found[name] = _reader(name)(value)
    if recipe:
        found["training"] = {**found.get("training", {}), **recipe}
    return {name: value for name, value in found.items() if value not in ({}, ())}


def _parameter(name: str, kind: Any, written: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, written]
    )


def _type(name: str) -> Any:
    """A field's type, without None and without what is annotated; str for a field that may be a name."""
    kind = SpecFields.model_fields[name].annotation
    if get_origin(kind) in (Union, types.UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        kind = str if str in parts else parts[0] if len(parts) == 1 else kind
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return str if kind is Any or get_origin(kind) is Literal else kind


def _written(name: str) -> Any:
    """The type that typer reads: the field's own, or a list of texts."""
    kind = _type(name)
    if kind in (bool, int, float, str, Path):
        return kind
    _reader(name)
    return list[str]


def _reader(name: str) -> Callable[[Any], Any]:
    """What turns an option's value into the field's."""
    kind = _type(name)
    if kind in (bool, int, float, str, Path):
        return lambda value: value
    if kind == tuple[str, ...]:
        return lambda texts: tuple(name.strip() for text in texts for name in text.split(","))
    if kind == tuple[UserPath, ...]:
        return lambda texts: tuple(map(Path, texts))  # a path may hold commas
    if kind == dict[str, tuple[float, float]]:
        return bounds_of
    if kind == dict[str, Limit]:
        return limits_of
    if kind == dict[str, Any]:
        return lambda texts: _pairs(texts, f"--{name.replace('_', '-')}")
    raise TypeError(f"the spec's field {name} is of type {kind}, which search/cli/spec_flags.py cannot read")


def _default(name: str) -> str | None:
    """A field's default as it is shown; None where there is none to show."""
    value = SpecFields.model_fields[name].get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, tuple) else f"{value}"


def _pairs(texts: Sequence[str], written: str) -> dict[str, Any]:
    """NAME=VALUE texts, values read as JSON where they are JSON."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{written} must be written NAME=VALUE, got {text!r}")
        try:
            pairs[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            pairs[name.strip()] = value.strip()
    return pairs
