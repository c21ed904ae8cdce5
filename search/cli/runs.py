"""Commands that train: run.

What is heavy (torch, Ray, Optuna) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from results import Run

__all__ = ["run_command"]

SpecFile = Annotated[Path | None, typer.Argument(metavar="[SPEC.toml]", help="The spec; flags go over it.")]


def run_command(
    file: SpecFile = None,
    space: Annotated[str | None, typer.Option(help="A preset (see `spaces`) or a .toml file.")] = None,
    fix: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Hold a dimension constant; may be repeated.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="A data set (see `data`).")] = None,
    data_folder: Annotated[Path | None, typer.Option(help="Where the data set's files are.")] = None,
    download: Annotated[bool | None, typer.Option("--download", help="Fetch missing files into that folder.")] = None,
    train_size: Annotated[int | None, typer.Option(help="Training images to use, stratified.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels that imagefolder's images get.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Of the split into training, validation and test.")] = None,
    objectives: Annotated[str | None, typer.Option(help="Of accuracy,params,macs, with commas.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials to begin.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every training.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate at factor 1.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sampler and of every training.")] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, nsga2, nsga3, gp, qmc or random.")] = None,
    references: Annotated[
        bool | None,
        typer.Option("--references/--no-references", help="Whether ReLU and LENI at full width are tried first."),
    ] = None,
    evaluator: Annotated[str | None, typer.Option(help="module:function in place of a training.")] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="CPUs of one trial.")] = None,
    gpus_per_trial: Annotated[float | None, typer.Option(help="GPUs of one trial; fractions share one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Trials at once, at most.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster to join.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; the next free one under runs/ if not given.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no front.")] = False,
) -> int:
    """Search: train candidates, and end with the front of accuracy against parameters."""
    flags: dict[str, Any] = {
        "space": space, "fix": _pairs(fix), "data": data, "data_folder": data_folder, "download": download,
        "train_size": train_size, "image_size": image_size, "split_seed": split_seed,
        "objectives": _names(objectives), "trials": trials, "epochs": epochs, "seed": seed, "sampler": sampler,
        "references": references, "evaluator": evaluator, "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus_per_trial, "workers": workers, "address": address, "out": out,
    }  # fmt: skip
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a user's evaluator is looked for here, as `python -m` would
    from search.run import run
    from search.spec import Spec

    recipe = {name: value for name, value in (("lr", lr), ("batch_size", batch_size)) if value is not None}
    finished = run(Spec.read(file, training=recipe or None, **flags), quiet=quiet)
    if not quiet:
        _show(finished)
    return 130 if finished.environment["ended"] == "interrupted" else 0


def _show(finished: Run) -> None:
    """The front as a table, what became of the trials, and what was written."""
    from rich.console import Console

    from results import count_states, front_table

    console = Console()
    front = finished.front()
    if len(front):
        console.print(front_table(front))
    ended = {"interrupted": "; interrupted", "exhausted": "; the space has no further candidate"}
    console.print(count_states(finished.trials) + ended.get(finished.environment["ended"], ""), highlight=False)
    for reason, count in finished.trials["error"].replace("", None).value_counts().head(3).items():
        console.print(f"  {count} failed: {reason}", style="red", highlight=False)
    for name in ("front.csv", "front.html", "front.png", "trials.parquet", "study.db"):
        console.print(str(finished.folder / name), highlight=False, soft_wrap=True)


def _pairs(texts: list[str] | None) -> dict[str, Any] | None:
    """NAME=VALUE texts, values read as JSON where they are JSON."""
    if not texts:
        return None
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"--fix must be written NAME=VALUE, got {text!r}")
        try:
            pairs[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            pairs[name.strip()] = value.strip()
    return pairs


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))
