"""The command simulate: samplers and pruners side by side, over a table of recorded results.

What is heavy (Optuna, pandas) is imported when the command needs it, so that --help answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.console import show_table
from search.cli.objectives import bounds_of, names_of, objectives_of
from search.cli.spec_flags import option
from search.decide.stopping.keep import KEEP

if TYPE_CHECKING:
    from rich.table import Table

    from search.simulation.benchmark import Compared
    from search.simulation.table import Roles
    from search.simulation.table import Table as RecordedTable

__all__ = ["simulate_command"]


Names = list[str] | None
TablePath = Annotated[Path, typer.Argument(metavar="TABLE", help=".jsonl, .csv, .parquet, or a run's folder.")]
Params = Annotated[
    Names,
    typer.Option(
        metavar="NAMES",
        help="Columns that make up a candidate; rows with equal values are its seeds. A run's folder has them itself.",
    ),
]
Objectives = Annotated[
    Names,
    typer.Option(metavar="NAME:max|min", help="Objective columns, with commas. A run's folder has them itself."),
]
Known = Annotated[
    Names, typer.Option(metavar="NAMES", help="Objectives that are known before a trial; of a run, params and macs.")
]
Log = Annotated[
    Names, typer.Option(metavar="NAMES", help="Objectives that count by their log10; of a run, params and macs.")
]
Bounds = Annotated[
    Names,
    typer.Option(metavar="NAME=LOW:HIGH", help="Scale of an objective; its range in the table if not given."),
]
Curve = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column with the learning curve as a list; a run has its own.")
]
Time = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column with a training's duration; one unit per epoch if not given."),
]
Proxy = Annotated[
    Names,
    typer.Option(
        metavar="NAME[:max|min]",
        help="Columns known before a trial that may predict the objective; max (the default) if more is better.",
    ),
]
Prior = Annotated[
    list[Path] | None,
    typer.Option(metavar="TABLE", help="An earlier search over the same parameters on other data, like TABLE."),
]
Samplers = Annotated[Names, typer.Option(metavar="NAMES", help="Samplers; known-cost if not given.")]
Pruners = Annotated[Names, typer.Option("--pruner", "--stopper", metavar="NAMES", help="Pruners; none if not given.")]
Figure = Annotated[Path | None, typer.Option(help="Write a figure to this .html, .png, .svg or .pdf file.")]


def simulate_command(
    table: TablePath,
    params: Params = None,
    objectives: Objectives = None,
    known: Known = None,
    log: Log = None,
    bounds: Bounds = None,
    curve: Curve = None,
    time: Time = None,
    proxy: Proxy = None,
    prior: Prior = None,
    sampler: Samplers = None,
    pruner: Pruners = None,
    keep: Annotated[float, option("keep", default=True)] = KEEP,
    trials: Annotated[int, typer.Option(help="Trials of each repeat.")] = 100,
    workers: Annotated[int, typer.Option(help="Simulated workers.")] = 1,
    repeats: Annotated[int, typer.Option(help="Repeats of each search, each with a seed of its own.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the first repeat; the others follow.")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Processes; one for each usable CPU if not given.")] = None,
    figure: Figure = None,
    against: Annotated[str, typer.Option(help="Horizontal axis of the figure: trials or epochs.")] = "trials",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Choose a sampler and a pruner by simulation: searches over recorded results, on a virtual clock."""
    _check_figure(figure, against)
    from search.simulation.benchmark import compare
    from search.simulation.simulate import Setting
    from search.training.cpus import usable_cpus

    samplers, pruners = names_of(sampler) or ["known-cost"], names_of(pruner) or ["none"]
    roles = _roles(table, names_of(params), objectives_of(objectives) if objectives else {})
    before = tuple(roles.known if known is None else names_of(known))
    read = _read(table, roles, before, curve=curve, time=time, proxy=proxy, pruned=pruners != ["none"])
    setting = Setting(
        trials, workers, before,
        tuple(roles.known if log is None else names_of(log)), bounds_of(bounds),
        keep=keep, earlier=_earlier(prior or [], roles, before),
    )  # fmt: skip
    with _progress(max(0, repeats) * len(samplers) * len(pruners), quiet=quiet) as done:
        found = compare(
            read, setting, samplers=samplers, pruners=pruners, repeats=repeats, seed=seed,
            jobs=usable_cpus() if jobs is None else jobs, done=done,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(_as_json(found)))
    else:
        show_table(_table(found), _summary(found, setting.workers))
    if figure is not None:
        _draw(found, figure, against)


def _read(
    table: Path,
    roles: Roles,
    known: Sequence[str],
    *,
    curve: str | None,
    time: str | None,
    proxy: Sequence[str] | None,
    pruned: bool,
) -> RecordedTable:
    """The table, with the learning curves of a run's folder where a pruner needs them."""
    from search.simulation.table import CURVE, read_table

    if table.is_dir() and curve is None and pruned:
        curve = CURVE
    return read_table(
        table, parameters=roles.parameters, objectives=roles.objectives, curve=curve, time=time,
        proxies=objectives_of(_with_direction(names_of(proxy)), option="--proxy"), judged=_judged(roles, known),
    )  # fmt: skip


def _judged(roles: Roles, known: Sequence[str]) -> str:
    """The objective that has a learning curve."""
    from search.decide.stopping.roles import Roles as Judged

    return next(iter(Judged.of(roles.objectives, known=known, measured="accuracy").measured))


def _roles(table: Path, parameters: Sequence[str], objectives: Mapping[str, str]) -> Roles:
    """What the columns are: what was said, and of a run's folder else what the run says."""
    from search.simulation.table import Roles, roles_of
    from search.spec import KNOWN

    if table.is_dir():
        return roles_of(table, known=KNOWN, parameters=parameters, objectives=objectives)
    for name, given in (("--params", parameters), ("--objectives", objectives)):
        if not given:
            raise typer.BadParameter(f"{name} is needed where TABLE is a file: it does not say what its columns are")
    return Roles(parameters, objectives, ())


def _with_direction(proxies: Sequence[str]) -> list[str]:
    """Proxies, each with max where nothing is said."""
    return [name if ":" in name else f"{name}:max" for name in proxies]


def _earlier(paths: Sequence[Path], roles: Roles, known: Sequence[str]) -> dict[str, RecordedTable]:
    """Tables of earlier searches, with the objective that has a learning curve."""
    from search.simulation.table import read_table

    judged = _judged(roles, known)
    wanted = {judged: roles.objectives[judged]}
    return {str(path): read_table(path, parameters=roles.parameters, objectives=wanted) for path in paths}


def _check_figure(path: Path | None, against: str) -> None:
    """Find a mistake in the figure's options before anything is simulated."""
    if against not in ("trials", "epochs"):
        raise typer.BadParameter(f"--against must be trials or epochs, got {against!r}")
    if path is None:
        return
    from results.figures.theme import check_format

    check_format(path)
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"--figure: there is no folder {path.absolute().parent}")


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Any]:
    """A bar on a terminal's standard error; calls of what is given are repeats done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("repeats", total=total)
        yield lambda: progress.advance(task)


def _as_json(found: Sequence[Compared]) -> Any:
    """One search as it is; several in a list, each with its names."""
    if len(found) == 1:
        return found[0].to_dict()
    return [{"sampler": one.sampler, "pruner": one.pruner, **one.to_dict()} for one in found]


def _table(found: Sequence[Compared]) -> Table:
    """A line a search."""
    from rich import box
    from rich.table import Table

    from search.simulation.simulate import LEVELS

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in ("sampler", "pruner"):
        table.add_column(title, no_wrap=True)
    levels = [f"{level:.2f}" for level in LEVELS]
    for title in ("distinct", "epochs", "time", "fraction at the end", *(f"trials to {level}" for level in levels),
                  *(f"epochs to {level}" for level in levels)):  # fmt: skip
        table.add_column(title, justify="right")
    for one in found:
        every = one.to_dict()
        mean, repeats = every["mean"], every["repeats"]
        shares = [repeat["hypervolume"] for repeat in repeats]
        spread = f"{mean['hypervolume']:.4f} ({min(shares):.4f} to {max(shares):.4f})"
        cells = [_first(mean, repeats, kind, level) for kind in ("first_trial", "first_epoch") for level in levels]
        table.add_row(one.sampler, one.pruner, f"{mean['distinct']:.0f}", f"{mean['epochs']:,.0f}",
                      f"{mean['simulated_time']:,.0f}", spread, *cells)  # fmt: skip
    return table


def _first(mean: dict[str, Any], repeats: Sequence[dict[str, Any]], kind: str, level: str) -> str:
    """When a level was reached: the mean, or how many repeats reached it."""
    value = mean[kind][level]
    return f"{value:,.0f}" if value is not None else f"{mean['reached'][level]} of {len(repeats)}"


def _summary(found: Sequence[Compared], workers: int) -> str:
    count, trials = len(found[0].traces), len(found[0].traces[0].shares)
    return (
        f"{count} repeats of {trials} trials on {workers} simulated worker{'s' if workers > 1 else ''}; "
        f"fractions of the "
        "table's hypervolume; where not every repeat reached a level, how many did"
    )


def _draw(found: Sequence[Compared], path: Path, against: str) -> None:
    """The figure of all searches."""
    import pandas as pd

    from results import save
    from results.figures.simulation import simulation_figure

    pruners = {one.pruner for one in found}
    frames = [
        one.frame(name=one.sampler if len(pruners) == 1 else f"{one.sampler}, {one.pruner}", steps=against)
        for one in found
    ]
    save(simulation_figure(pd.concat(frames, ignore_index=True), steps=against), path)
