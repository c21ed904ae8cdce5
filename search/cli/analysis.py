"""Commands that say what a run means: compensation, importance, and compare for several.

What is heavy (pandas, Altair, Optuna) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.console import show_table
from search.cli.objectives import objectives_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_command", "compensation_command", "importance_command"]

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]
Figure = Annotated[Path | None, typer.Option(help="Write a figure to this .html, .png, .svg or .pdf file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def compensation_command(
    folder: Folder,
    reference: Annotated[str, typer.Option(help="Activation with which the others are compared.")] = "relu",
    margin: Annotated[float, typer.Option(help="Non-inferiority margin, a fraction: 0.002 is 0.2 points.")] = 0.002,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """Compare activations at equal accuracy and at equal parameters, and find the narrowest non-inferior network."""
    from results import load
    from results.analyses.compensation import compensation

    run = load(folder)
    found = compensation(
        run.trials, reference=reference, margin=margin, sampler=run.environment.get("sampler"),
        images=run.images("validation"),
    )  # fmt: skip
    tables = {"ratios": found.ratios, "gains": found.gains, "claims": found.claims}
    _say(found, tables, figure, as_json)


def importance_command(folder: Folder, figure: Figure = None, as_json: AsJson = False) -> None:
    """Show how much each dimension of the space affects accuracy, parameters and hypervolume."""
    from results import load
    from results.analyses.importance import importance

    run = load(folder)
    found = importance(run.trials, objectives=run.objectives, parameters=run.dimensions)
    _say(found, {"shares": found.frame}, figure, as_json)


def compare_command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]DIR ...", help="Folders of runs; runs with the same name are repetitions of one search."
        ),
    ],
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:max|min", help="Objectives to compare by instead of the runs' own, separated by commas."
        ),
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """Compare two or more runs: hypervolume, epsilon indicator, and what is attained at equal cost.

    tpe=A tpe=B random=C random=D compares two searches, with intervals over their repetitions; A B two single runs,
    without intervals, since a single run shows no variation between runs.
    """
    from results import ResultsError, check_format, compare, load_all

    if figure is not None:
        check_format(figure)
    sides = _sides(runs)
    read = {name: load_all(folders) for name, folders in sides.items()}
    every = [run for group in read.values() for run in group]
    given = {every[0].column(name): way for name, way in objectives_of(objectives).items()}
    by = given or dict(every[0].objectives)
    if not objectives and (other := next((run for run in every if dict(run.objectives) != by), None)):
        raise ResultsError(
            f"{every[0].folder} and {other.folder} had other objectives: say which count with --objectives"
        )
    if len(sets := sorted({str(run.environment["data"]) for run in every if "data" in run.environment})) > 1:
        typer.echo(f"These runs are of different data: {', '.join(sets)}.", err=True)
    trials = {name: [run.trials for run in group] for name, group in read.items()}
    found = compare(trials, objectives=by, level=level, seed=seed)
    _say(found, {"measures": found.measures, "differences": found.differences}, figure, as_json)


def _sides(texts: list[str]) -> dict[str, list[Path]]:
    """Folders by name; without a name each is its own, named by what tells it from the others."""
    named: dict[str, list[Path]] = {}
    plain: list[Path] = []
    for text in texts:
        name, equals, folder = text.partition("=")
        if equals and name and folder and not Path(text).exists():
            named.setdefault(name, []).append(Path(folder))
        else:
            plain.append(Path(text))
    short = [folder.resolve().name for folder in plain]
    for place, name in zip(plain, short, strict=True):
        chosen = str(place) if short.count(name) > 1 or name in named else name
        if chosen in named:
            raise typer.BadParameter(f"{place} is there twice")
        named[chosen] = [place]
    places = [place.resolve() for group in named.values() for place in group]
    if len(set(places)) < len(places):
        raise typer.BadParameter(f"{max(places, key=places.count)} is there twice")
    return named


def _say(found: Any, tables: dict[str, pd.DataFrame], figure: Path | None, as_json: bool) -> None:
    """Sentences and tables of an analysis, and its figure."""
    if figure is not None:
        from results import save

        save(found.figure(), figure)
    if as_json:
        rows = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        typer.echo(json.dumps({"sentences": list(found.sentences), **rows}))
        return
    for sentence in found.sentences:
        typer.echo(sentence)
    for name, table in tables.items():
        if len(table):
            show_table(_table(name, table))
    if figure is not None:
        typer.echo(str(figure))


def _table(name: str, frame: pd.DataFrame) -> Any:
    """A frame for the terminal; numbers have four digits."""
    from rich import box
    from rich.table import Table

    shown = frame.dropna(axis="columns", how="all")
    table = Table(title=name, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in shown.columns:
        table.add_column(str(column), overflow="fold")
    for row in shown.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:
    import pandas as pd

    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 10_000
        else (f"{value:,.0f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value))
    )
