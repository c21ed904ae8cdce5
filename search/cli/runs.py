"""Commands that train: run, resume.

What is heavy (torch, Ray, Optuna) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.spec_flags import flag_parameters, option, spec_values

if TYPE_CHECKING:
    from results import Run

__all__ = ["resume_command", "run_command"]

SpecFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SPEC.toml]", help="The spec, which options override; with --add-trials, the folder of a run."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor the front.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of every trial that fails.")]
Workers = Annotated[int | None, option("workers")]
Cpus = Annotated[float | None, option("cpus_per_trial")]
Gpus = Annotated[float | None, option("gpus_per_trial")]
Lock = Annotated[bool | None, option("lock")]
Address = Annotated[str | None, option("address")]
AddTrials = Annotated[int | None, typer.Option(min=1, help="Further trials for the run in the folder that is given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and what it costs, and stop.")]


def _run(
    file: Path | None, add_trials: int | None, dry_run: bool, quiet: bool, verbose: bool, flags: dict[str, Any]
) -> int:
    if add_trials is not None:
        return _extend(file, add_trials, flags, quiet=quiet, verbose=verbose)
    from search.driver.run_search import run
    from search.spec import Spec

    spec = Spec.read(file, **flags)
    if spec.pruner == "asha":
        from search.decide.stopping.rules import ASHA_WARNING

        typer.echo(ASHA_WARNING, err=True)
    if dry_run:
        from search.driver.dry_run import plan

        plan(spec).show()
        return 0
    return _end(run(spec, quiet=quiet, verbose=verbose), quiet)


def run_command(**words: Any) -> int:
    """Run a search: train candidates, and show the Pareto front of accuracy and parameters."""
    flags = spec_values(words)
    return _run(**words, flags=flags)


def _signature() -> inspect.Signature:
    """The words of `run`: one for each of the spec's fields, and those that are about the command itself."""
    kind = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("file", kind, default=None, annotation=SpecFile)
    last = {
        "add_trials": (AddTrials, None),
        "dry_run": (DryRun, False),
        "quiet": (Quiet, False),
        "verbose": (Verbose, False),
    }
    ours = [inspect.Parameter(word, kind, default=value, annotation=hint) for word, (hint, value) in last.items()]
    return inspect.Signature([first, *flag_parameters(), *ours])


run_command.__signature__ = _signature()  # type: ignore[attr-defined]


HOW = ("workers", "address", "cpus_per_trial", "gpus_per_trial", "lock")
"""What may differ between a run and its resumption."""


def _extend(file: Path | None, add_trials: int, flags: dict[str, Any], *, quiet: bool, verbose: bool) -> int:
    """`run DIR --add-trials N`: the run's own spec decides what is searched."""
    folder = file or flags.get("out")
    if folder is None:
        raise typer.BadParameter("--add-trials needs the folder of the run: leni-search run DIR --add-trials N")
    how = {name: flags.pop(name) for name in HOW if name in flags}
    if others := [name for name in flags if name != "out"]:
        raise typer.BadParameter(f"--add-trials uses the run's own spec, and cannot change {', '.join(others)}")
    return resume_command(folder, add_trials=add_trials, quiet=quiet, verbose=verbose, **how)


def resume_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The run's folder.")],
    add_trials: Annotated[int, typer.Option(min=0, help="Number of further trials.")] = 0,
    cpus_per_trial: Cpus = None,
    gpus_per_trial: Gpus = None,
    workers: Workers = None,
    address: Address = None,
    lock: Lock = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Resume a run that was interrupted or killed, or extend a finished one."""
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
        "interrupted": f"; interrupted, `leni-search resume {finished.folder}` continues it",
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
