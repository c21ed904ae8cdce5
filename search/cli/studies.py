"""Commands on what a search has found: confirm, export, ablate, report.

What is heavy (torch, Ray, Optuna) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import show_table
from search.cli.runs import Address, Cpus, Gpus, Workers
from search.cli.spec_flags import option

if TYPE_CHECKING:
    from results.analyses.confirmation import Confirmation

__all__ = ["ablate_command", "confirm_command", "export_command", "report_command"]

Run = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no table.")]


def confirm_command(
    folder: Run,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Number of new seeds per network; 5, or as in an earlier confirmation, if not given."),
    ] = None,
    cpus_per_trial: Cpus = None,
    gpus_per_trial: Gpus = None,
    workers: Workers = None,
    address: Address = None,
    quiet: Quiet = False,
) -> int:
    """Train the front and the references again with new seeds, and measure them on the test split."""
    from search.followup.confirm import confirm

    found = confirm(
        folder, seeds=seeds, quiet=quiet, workers=workers, address=address,
        cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial,
    )  # fmt: skip
    if not quiet:
        _show_confirmation(found, folder)
    return 0 if found.complete else 130


def _show_confirmation(found: Confirmation, folder: Path) -> None:
    show_table(found.table())
    for sentence in found.sentences():
        typer.echo(sentence)
    for name in ("confirmed.csv", "confirm"):
        typer.echo(folder / name)


def export_command(
    folder: Run,
    trial: Annotated[int, typer.Option(help="The trial's number, as `front` shows it.")],
    form: Annotated[str, typer.Option("--format", help="Format: state-dict, torch-export or onnx.")] = "state-dict",
    out: Annotated[
        Path | None,
        typer.Option(help="File or folder to write to; a folder under exports/ in the run's folder if not given."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Export a trial's trained network, with a model card and the code that loads it."""
    from search.export.export import export

    found = export(folder, trial, form=form, out=out, quiet=quiet)
    if quiet:
        return
    accuracy = found.card["accuracy"]
    low, high = accuracy["network_interval"]
    typer.echo(
        f"{found.card['weights']}; accuracy {accuracy['network']:.4f} on the {accuracy['split']} split "
        f"({low:.4f} to {high:.4f}), {found.card['params']:,} parameters"
    )
    for path in found.files:
        typer.echo(path)
    typer.echo("")
    for line in found.card["load"]:
        typer.echo(f"  {line}")


def ablate_command(
    source: Annotated[
        Path, typer.Argument(metavar="DIR, CANDIDATE.json or SPEC.toml", help="Source of the base candidate.")
    ],
    trial: Annotated[
        int | None,
        typer.Option(
            help="Trial of a run to use as the base; the most accurate one with LENI on the front if not given."
        ),
    ] = None,
    factors: Annotated[
        list[str] | None,
        typer.Option(
            help="Factors, such as stem,inner,width, or one factor with its levels, such as kernel=1,5; may "
            "be repeated."
        ),
    ] = None,
    design: Annotated[str, typer.Option(help="Design: one-at-a-time, full or fractional.")] = "one-at-a-time",
    seeds: Annotated[int | None, typer.Option(min=2, help="Number of seeds per network; 8 if not given.")] = None,
    retune: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Number of recipes to try for each network with other seeds; all use the base's recipe if not given.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set, if the base is a file.")] = None,
    data_folder: Annotated[Path | None, option("data_folder")] = None,
    train_size: Annotated[int | None, option("train_size")] = None,
    epochs: Annotated[int | None, option("epochs")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the study; DIR/ablation, or the next free one under runs/, if not given."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its cost, and stop.")] = False,
    cpus_per_trial: Cpus = None,
    gpus_per_trial: Gpus = None,
    workers: Workers = None,
    address: Address = None,
    quiet: Quiet = False,
) -> int:
    """Ablation study: change one part of a network at a time, or several, and estimate the effect of each."""
    from results.tables.ablation import effects_table
    from search.followup.ablate import SEEDS, ablate, base_of, claimed, study
    from spaces.factorial import factorial
    from spaces.factorial import factors as factors_of

    base = base_of(
        source, trial=trial, out=out, data=data, data_folder=data_folder, train_size=train_size, epochs=epochs,
        cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial, workers=workers, address=address,
    )  # fmt: skip
    name = "one" if design == "one-at-a-time" else design
    plan = factorial(base.candidate, factors_of(base.candidate, _factors(factors)), design=name)
    with nullcontext(base) if dry_run else claimed(base) as base:
        planned = study(base, plan, seeds=seeds or SEEDS, retune=retune)
        if not quiet or dry_run:
            planned.show()
        if dry_run:
            return 0
        found = ablate(planned, quiet=quiet)
    if found is None:
        typer.echo(f"interrupted; the same command with --out {base.folder} continues it", err=True)
        return 130
    if not quiet:
        show_table(effects_table(found))
        for sentence in (*found.sentences, *found.left_out):
            typer.echo(sentence)
        for path in planned.files():
            typer.echo(path)
    return 0


def _factors(texts: list[str] | None) -> list[str] | None:
    """Names with commas between them; one with levels, whose commas are its own, stands alone."""
    if texts is None:
        return None
    return [part for text in texts for part in ([text] if "=" in text else text.split(",")) if part.strip()]


def report_command(
    folder: Run,
    out: Annotated[
        Path | None, typer.Option(help="File to write; report.html in the run's folder if not given.")
    ] = None,
) -> None:
    """Write an HTML report of a run, readable offline: fronts, compensation, ablation, cost, how to reproduce it."""
    from results.report.page import write_report

    typer.echo(write_report(folder, out))
