"""Commands that look: front, spaces, data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import show_table
from search.cli.objectives import objectives_of

if TYPE_CHECKING:
    import pandas as pd

    from results import Objectives

__all__ = ["data_command", "front_command", "spaces_command"]


LIKELY = 0.05  # probability from which --confidence lists a candidate that is not on the front


def front_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, finished or not.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object per trial.")] = False,
    figure: Annotated[
        Path | None, typer.Option(help="Also write a figure to this .html, .png, .svg or .pdf file.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also save the table to this .csv, .json, .parquet or .tex file.")
    ] = None,
    objectives: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:max|min", help="Objectives to use instead of the run's own, separated by commas."),
    ] = None,
    under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]MOST",
            help="The best trial with at most this number of parameters, or at most this value in a column.",
        ),
    ] = None,
    within: Annotated[
        float | None, typer.Option(help="The cheapest trial within this distance of the best; 0.005 is 0.5 points.")
    ] = None,
    knee: Annotated[
        bool, typer.Option("--knee", help="The knee of the front, beyond which higher cost gains little accuracy.")
    ] = False,
    confidence: Annotated[
        bool,
        typer.Option("--confidence", help="All trials that may be non-dominated, with their probability."),
    ] = False,
) -> None:
    """Show the front of a run, the completed trials that no other dominates, or a shortlist of it.

    Where candidates had several seeds, the column probability says how often a trial is on the front when accuracies
    are drawn anew from the spread of their seeds.
    """
    import results

    if csv and as_json:
        raise typer.BadParameter("give --csv or --json, not both")
    limits = _limits(under)
    listed = bool(limits) or within is not None or knee
    if listed and confidence:
        raise typer.BadParameter("give --confidence, or --under, --within, --knee, not both")
    if save is not None:
        results.check_table(save)
    if figure is not None:
        results.check_format(figure)
    run = results.load(folder)
    given = {run.column(name): direction for name, direction in objectives_of(objectives).items()}
    by = given or run.objectives
    limits = {name and run.column(name): most for name, most in limits.items()}
    shown, note = _chosen(run.trials, by, limits, within, knee, confidence)
    view = results.user_view(shown, objectives=by)
    if csv:
        typer.echo(results.to_csv(view), nl=False)
    elif as_json:
        typer.echo(results.to_json(view))
    else:
        table = results.front_table(shown, objectives=by)
        show_table(table, "\n".join(filter(None, [note, results.count_states(run.trials)])))
    if save is not None:
        latex = save.suffix.lower() == ".tex"
        results.save_table(results.front_columns(shown, objectives=by) if latex else view, save)
    if figure is not None:
        results.save(results.front_figure(run.trials, objectives=by, title=run.folder.name), figure)


def _chosen(
    trials: pd.DataFrame, by: Objectives, limits: dict[str, float], within: float | None, knee: bool, confidence: bool
) -> tuple[pd.DataFrame, str]:
    """What front_command shows, and a sentence below it."""
    import results

    if limits or within is not None or knee:
        costs = [name for name in by if name != results.wanted_and_costs(by)[0]]
        named = {name or (costs[0] if costs else ""): most for name, most in limits.items()}
        found = results.shortlist(trials, objectives=by, under=named or None, within=within, knee=knee)
        return found, "" if len(found) else "No completed trial is within these limits."
    known = results.spread_known(trials, objectives=by)
    if confidence and not known:
        raise typer.BadParameter("--confidence needs candidates of two seeds or more, this run knows of no spread")
    if not known:
        return results.front(trials, objectives=by), ""
    found = results.confidence(trials, objectives=by)
    if confidence:
        likely = found[found["front"] | (found["probability"] >= LIKELY)]
        note = "probability: of being on the front, for all that the seeds say"
        return likely, f"{note}; {len(found) - len(likely):,} others have less than {LIKELY}"
    return found[found["front"]].drop(columns="front"), ""


def _limits(texts: Sequence[str] | None) -> dict[str, float]:
    """MOST or NAME=MOST, with commas; a limit without a name, of the first cost, is under the empty name."""
    found: dict[str, float] = {}
    for text in (part for given in texts or () for part in given.split(",")):
        name, _, most = text.strip().rpartition("=")
        try:
            value = float(most)
        except ValueError:
            raise typer.BadParameter(f"--under must be a number or NAME=NUMBER, got {text!r}") from None
        if name in found:
            raise typer.BadParameter(f"--under has two limits of {name or 'the first cost'}")
        found[name] = value
    return found


def spaces_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Preset or .toml file.")] = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print TOML, as a starting point for your own space.")] = False,
    network: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NETWORK",
            help="Print a space to start from for torchvision:NAME, timm:NAME or package.module:factory, as TOML.",
        ),
    ] = None,
) -> None:
    """List the search spaces, or show the dimensions of one."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from spaces import PRESETS, space
    from spaces.network_presets import NETWORK_PRESETS, described, starting_space

    if network is not None:
        if name is not None or toml:
            raise typer.BadParameter("--from writes a space of its own, as TOML; give it alone")
        typer.echo("".join(f"# {line}\n" for line in described(network)), nl=False)
        typer.echo(starting_space(network).to_toml(), nl=False)
        return
    console = Console()
    if name is None:
        if toml:
            raise typer.BadParameter("--toml needs the name of a space")
        table = Table("space", "candidates", "question", box=box.SIMPLE)
        for preset in PRESETS:
            found = space(preset)
            table.add_row(preset, "continuous" if found.size is None else f"{found.size:,}", found.description)
        for preset, values in NETWORK_PRESETS.items():
            table.add_row(preset, f"of {values['backbone']}", values["description"])
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
    data_folder: Annotated[Path | None, typer.Option(help="Folder with the files.")] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the decoded images of image folders, except those in use.")
    ] = False,
) -> None:
    """List the data sets, and which of them are available."""
    if clean:
        _clean_caches()
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from search.training.data import describe, names
    from search.training.image_cache import cache_folder, cached_folders
    from search.training.printable import printable

    table = Table("data", "images", "classes", "shape", "here", "where, or how to get it", box=box.SIMPLE)
    notes: list[str] = []
    for name in names():
        info = describe(name, folder=data_folder)
        shape = "x".join(map(str, info.input_shape)) if info.input_shape else "-"
        images = f"{info.images:,}" if info.images else "-"
        found = "yes" if info.found else "no"
        notes.extend(info.notes)
        where = Text(printable(info.where if info.found else info.hint))
        table.add_row(name, images, str(info.classes or "-"), shape, found, where)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if caches := cached_folders():
        size = sum(cache.bytes for cache in caches) / 2**30
        console.print(
            f"Decoded images of {len(caches)} image folders and sizes take {size:.2f} GiB in {cache_folder()}; "
            "`leni-search data --clean` removes them.",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _clean_caches() -> None:
    """Remove decoded images, and say of each cache what became of it."""
    from search.training.image_cache import cache_folder, clean

    found = clean()
    for cache in found:
        what = "removed" if cache.removed else "kept, it is in use"
        typer.echo(f"{cache.source}, {cache.bytes / 2**30:.2f} GiB: {what}")
    if not found:
        typer.echo(f"There are no decoded images in {cache_folder()}.")
