"""Commands that train: run, resume.

What is heavy (torch, Ray, Optuna) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.objectives import bounds_of

if TYPE_CHECKING:
    from results import Run

__all__ = ["resume_command", "run_command"]

SpecFile = Annotated[
    Path | None,
    typer.Argument(metavar="[SPEC.toml]", help="The spec; flags go over it. A run's folder with --add-trials."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no front.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of every trial that fails.")]
Workers = Annotated[int | None, typer.Option(help="Trials at once, at most.")]
Cpus = Annotated[float | None, typer.Option(help="CPUs of one trial.")]
Gpus = Annotated[float | None, typer.Option(help="GPUs of one trial; fractions share one.")]
Lock = Annotated[
    bool | None,
    typer.Option("--lock/--no-lock", help="Whether a second process is kept out; not where the file system cannot."),
]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster to join.")]


def run_command(
    file: SpecFile = None,
    space: Annotated[str | None, typer.Option(help="A preset (see `spaces`) or a .toml file.")] = None,
    fix: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Hold a dimension constant; may be repeated.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="A data set (see `data`), or module:function returning one.")] = None,
    data_folder: Annotated[Path | None, typer.Option(help="Where the data set's files are.")] = None,
    download: Annotated[bool | None, typer.Option("--download", help="Fetch missing files into that folder.")] = None,
    train_size: Annotated[int | None, typer.Option(help="Training images to use, stratified.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side in pixels that imagefolder's images get.")] = None,
    skip_broken: Annotated[
        bool | None, typer.Option("--skip-broken", help="Count images that cannot be read, and leave them out.")
    ] = None,
    split_seed: Annotated[int | None, typer.Option(help="Of the split into training, validation and test.")] = None,
    objectives: Annotated[
        str | None, typer.Option(help="Of accuracy,params,macs,latency_ms; an evaluator's as NAME:max,NAME:min.")
    ] = None,
    bounds: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LOW:HIGH", help="Scale on which sampler and pruner judge an objective."),
    ] = None,
    min_params: Annotated[int | None, typer.Option(help="Smaller networks are never trained.")] = None,
    max_params: Annotated[int | None, typer.Option(help="Larger networks are never trained.")] = None,
    min_macs: Annotated[int | None, typer.Option(help="Networks of fewer multiply-adds are never trained.")] = None,
    max_macs: Annotated[int | None, typer.Option(help="Networks of more multiply-adds are never trained.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials to begin.")] = None,
    add_trials: Annotated[int | None, typer.Option(min=1, help="More trials for the run in this folder.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="No trial begins after so many hours.")] = None,
    grace_s: Annotated[
        float | None, typer.Option(help="Seconds that running trials then have before they are ended.")
    ] = None,
    max_trial_hours: Annotated[
        float | None, typer.Option(help="A trial that runs for longer is ended, and recorded as failed.")
    ] = None,
    max_gpu_hours: Annotated[float | None, typer.Option(help="Nor after so many hours of GPUs in all.")] = None,
    until_stable: Annotated[
        int | None, typer.Option(help="Nor when the hypervolume has not grown over so many trials.")
    ] = None,
    stable_threshold: Annotated[float | None, typer.Option(help="Growth that counts, as a share.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every training.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate at factor 1.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    cuda_graph: Annotated[
        bool | None, typer.Option("--cuda-graph/--no-cuda-graph", help="On a GPU, replay a captured training step.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Seeds of every candidate, trained at once where that pays.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sampler, and the first of every candidate.")] = None,
    duplicates: Annotated[
        str | None, typer.Option(help="skip: ask for another; reseed: train it from further seeds; allow: as it was.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="See `simulate --help` for how they compare.")] = None,
    pruner: Annotated[
        str | None,
        typer.Option("--pruner", "--stopper", help="learned, halving, asha or none; see docs/pruning.md."),
    ] = None,
    keep: Annotated[
        float | None, typer.Option(help="Fraction of the hypervolume that the pruner learned is to keep; 0.995.")
    ] = None,
    references: Annotated[
        bool | None,
        typer.Option("--references/--no-references", help="Whether ReLU and LENI at full width are tried first."),
    ] = None,
    enqueue: Annotated[Path | None, typer.Option(help="File of candidates to try first, JSON lines.")] = None,
    warm_start: Annotated[Path | None, typer.Option(help="A run whose completed trials are taken over.")] = None,
    evaluator: Annotated[str | None, typer.Option(help="module:function in place of a training.")] = None,
    cpus_per_trial: Cpus = None,
    gpus_per_trial: Gpus = None,
    workers: Workers = None,
    address: Address = None,
    retries: Annotated[
        int | None, typer.Option(help="How often a trial whose process or node died goes on elsewhere.")
    ] = None,
    checkpoint_s: Annotated[float | None, typer.Option(help="Seconds between two states of a training.")] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Where states are kept: a shared folder or an fsspec address.")
    ] = None,
    storage: Annotated[str | None, typer.Option(help="Optuna database, postgresql://user@host/name.")] = None,
    patience_s: Annotated[float | None, typer.Option(help="Seconds that a silent database is waited for.")] = None,
    logger: Annotated[list[str] | None, typer.Option(help="tensorboard, mlflow or wandb; may be repeated.")] = None,
    lock: Lock = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; the next free one under runs/ if not given.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs, and stop.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Search: train candidates, and end with the front of accuracy against parameters."""
    flags: dict[str, Any] = {
        "space": space, "fix": _pairs(fix), "data": data, "data_folder": data_folder, "download": download,
        "train_size": train_size, "image_size": image_size, "skip_broken": skip_broken,
        "split_seed": split_seed, "objectives": _names(objectives), "bounds": bounds_of(bounds) or None,
        "min_params": min_params, "max_params": max_params, "min_macs": min_macs,
        "max_macs": max_macs, "trials": trials, "max_hours": max_hours, "grace_s": grace_s,
        "max_trial_hours": max_trial_hours, "max_gpu_hours": max_gpu_hours,
        "until_stable": until_stable, "stable_threshold": stable_threshold, "epochs": epochs, "seeds": seeds,
        "seed": seed, "duplicates": duplicates, "sampler": sampler, "pruner": pruner, "keep": keep,
        "references": references,
        "enqueue": enqueue, "warm_start": warm_start, "evaluator": evaluator, "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus_per_trial, "workers": workers, "address": address, "retries": retries,
        "checkpoint_s": checkpoint_s, "checkpoints": checkpoints, "storage": storage, "patience_s": patience_s,
        "loggers": tuple(logger) if logger else None, "lock": lock, "out": out,
    }  # fmt: skip
    if add_trials is not None:
        return _extend(file, out, add_trials, flags, quiet=quiet, verbose=verbose)
    from search.driver.run_search import run
    from search.spec import Spec

    recipe = {"lr": lr, "batch_size": batch_size, "cuda_graph": cuda_graph}
    spec = Spec.read(
        file, training={name: value for name, value in recipe.items() if value is not None} or None, **flags
    )
    if spec.pruner == "asha":
        from search.decide.stopping.rules import ASHA_WARNING

        typer.echo(ASHA_WARNING, err=True)
    if dry_run:
        from search.driver.dry_run import plan

        plan(spec).show()
        return 0
    return _end(run(spec, quiet=quiet, verbose=verbose), quiet)


def _extend(
    file: Path | None, out: Path | None, add_trials: int, flags: dict[str, Any], *, quiet: bool, verbose: bool
) -> int:
    """`run DIR --add-trials N`: the run's own spec decides what is searched."""
    folder = file or out
    if folder is None:
        raise typer.BadParameter("--add-trials needs the folder of the run: leni-search run DIR --add-trials N")
    how = {name: flags.pop(name) for name in ("workers", "address", "cpus_per_trial", "gpus_per_trial", "lock")}
    if others := [name for name, value in flags.items() if value is not None and name != "out"]:
        raise typer.BadParameter(f"--add-trials goes on with the run's own spec, and cannot change {', '.join(others)}")
    return resume_command(folder, add_trials=add_trials, quiet=quiet, verbose=verbose, **how)


def resume_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The run's folder.")],
    add_trials: Annotated[int, typer.Option(min=0, help="Trials beyond what was asked for.")] = 0,
    cpus_per_trial: Cpus = None,
    gpus_per_trial: Gpus = None,
    workers: Workers = None,
    address: Address = None,
    lock: Lock = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Go on with a run that was interrupted or killed, at any moment, or extend a finished one."""
    from search.driver.run_search import resume

    changes = {
        "cpus_per_trial": cpus_per_trial, "gpus_per_trial": gpus_per_trial, "workers": workers, "address": address,
        "lock": lock,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    return _end(resume(folder, add_trials=add_trials, quiet=quiet, verbose=verbose, **given), quiet)


def _end(finished: Run, quiet: bool) -> int:
    if not quiet:
        _show(finished)
    if reason := _empty(finished):
        typer.echo(f"leni-search: {reason}", err=True)
    return 130 if finished.environment["ended"] == "interrupted" else 0


def _empty(finished: Run) -> str:
    """Why the front is empty; nothing where it is not."""
    if len(finished.front()):
        return ""
    states = finished.trials["state"]
    if not len(states):
        why = {
            "exhausted": "the space has no candidate that can be built and is within the limits",
            "time": "the time was over before the first trial",
            "gpu-hours": "the GPU hours were spent before the first trial",
            "interrupted": "the run was interrupted before the first trial ended",
        }
        return f"the front is empty: {why.get(finished.environment['ended'], 'no trial has ended')}"
    if (states == "completed").any():
        return "the front is empty: no completed trial has a finite value for every objective"
    if (states == "stopped").all():
        return "the front is empty: every trial was stopped early; --pruner none lets them end"
    errors = finished.trials["error"].replace("", None).dropna()
    most = f", most often with: {errors.value_counts().index[0]}" if len(errors) else ""
    return f"the front is empty: none of {len(states)} trials was completed{most}"


def _show(finished: Run) -> None:
    """The front as a table, what became of the trials, and what was written."""
    from rich.console import Console

    from results import count_states, front_table
    from results.report.pruning import pruning_sentence

    console = Console()
    front = finished.front_records()
    if len(front):
        console.print(front_table(front, objectives=finished.objectives))
    ended = {
        "interrupted": f"; interrupted, `leni-search resume {finished.folder}` goes on with it",
        "exhausted": "; the space has no further candidate",
        "time": "; the time is over",
        "gpu-hours": "; the GPU hours are spent",
        "stable": "; the front no longer grows",
    }
    states = count_states(finished.trials) + ended.get(finished.environment["ended"], "")
    console.print(states, highlight=False, markup=False, soft_wrap=True)
    if sentence := pruning_sentence(finished):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    for reason, count in finished.trials["error"].replace("", None).value_counts().head(3).items():
        console.print(f"  {count} failed: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)
    for name in ("front.csv", "front.html", "front.png", "trials.parquet", "study.db"):
        console.print(str(finished.folder / name), highlight=False, markup=False, soft_wrap=True)


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
