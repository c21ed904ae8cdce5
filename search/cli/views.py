"""Commands that look: front, spaces, data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["data_command", "front_command", "spaces_command"]


def front_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a trial.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw it too: a .html, .png, .svg or .pdf file.")] = None,
) -> None:
    """The front of a run: the completed trials that no other beats in both accuracy and parameters."""
    from rich.console import Console

    from results import count_states, front_table, load, save, to_csv, to_json

    if csv and as_json:
        raise typer.BadParameter("give --csv or --json, not both")
    finished = load(folder)
    front = finished.front()
    if csv:
        typer.echo(to_csv(front), nl=False)
    elif as_json:
        typer.echo(to_json(front))
    else:
        console = Console()
        if len(front):
            console.print(front_table(front))
        console.print(count_states(finished.trials), highlight=False)
    if figure is not None:
        save(finished.figure(), figure)


def spaces_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A preset or a .toml file.")] = None,
    toml: Annotated[bool, typer.Option("--toml", help="As TOML, to start a space of your own from.")] = False,
) -> None:
    """The search spaces, or one of them, dimension by dimension."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from spaces import PRESETS, space

    console = Console()
    if name is None:
        if toml:
            raise typer.BadParameter("--toml needs the name of a space")
        table = Table("space", "candidates", "question", box=box.SIMPLE)
        for preset in PRESETS:
            found = space(preset)
            table.add_row(preset, "continuous" if found.size is None else f"{found.size:,}", found.description)
        console.print(table)
        return
    found = space(name)
    if toml:
        typer.echo(found.to_toml(), nl=False)
        return
    size = "continuous" if found.size is None else f"{found.size:,} candidates"
    console.print(f"{found.name}: {size}. {found.description}", highlight=False)
    table = Table("dimension", "values", "exists if", box=box.SIMPLE)
    for row in found.rows():
        table.add_row(*row)
    console.print(table)


def data_command(
    data_folder: Annotated[Path | None, typer.Option(help="Where to look for the files.")] = None,
) -> None:
    """The data sets, and which of them are here."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from search.training.data import describe, names

    table = Table("data", "images", "classes", "shape", "here", "where, or how to get it", box=box.SIMPLE)
    for name in names():
        info = describe(name, folder=data_folder)
        shape = "x".join(map(str, info.input_shape)) if info.input_shape else "-"
        images = f"{info.images:,}" if info.images else "-"
        found = "yes" if info.found else "no"
        table.add_row(name, images, str(info.classes or "-"), shape, found, info.where if info.found else info.hint)
    Console().print(table)
