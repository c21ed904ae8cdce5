"""The command leni-search: one Typer app, and the one place where an error becomes a sentence and exit code 2."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from search.cli import analysis, bench, errors, network, remote, runs, simulate, studies, views
from search.cli.command_folder import search_last
from search.cli.limits import LimitsCommand
from search.cli.process import complete_process

__all__ = ["app", "main"]

app = typer.Typer(
    name="leni-search",
    help="Neural architecture search over activations, their placement and channel width, with Pareto fronts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=LimitsCommand)(runs.run_command)
app.command("resume")(runs.resume_command)
app.command("front")(views.front_command)
app.command("compare")(analysis.compare_command)
app.command("compensation")(analysis.compensation_command)
app.command("importance")(analysis.importance_command)
app.command("spaces")(views.spaces_command)
app.command("data")(views.data_command)
app.command("sites")(network.sites_command)
app.command("inspect")(network.inspect_command)
app.command("simulate")(simulate.simulate_command)
app.command("confirm")(studies.confirm_command)
app.command("ablate")(studies.ablate_command)
app.command("export")(studies.export_command)
app.command("report")(studies.report_command)
app.command("errors")(errors.errors_command)
app.add_typer(bench.bench_app, name="bench")
app.command("serve")(remote.serve_command)
app.add_typer(remote.token_app, name="token")
app.command("submit", cls=LimitsCommand)(remote.submit_command)
app.command("status")(remote.status_command)
app.command("watch")(remote.watch_command)
app.command("cancel")(remote.cancel_command)
app.command("fetch")(remote.fetch_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leni-search {importlib.metadata.version('leni-search')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that precede the command."""


def main() -> None:
    """Run the command; an error that the user can correct is one sentence on stderr and exit code 2."""
    search_last()
    complete_process()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except ValueError as error:
        if not _is_ours(error):
            raise
        sys.exit(_refuse(str(error), getattr(error, "code", "LS-ERROR")))
    except typer.TyperException as error:
        sys.exit(_refuse(error.format_message(), getattr(error, "code", "LS-USAGE")))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except OSError as error:
        sys.exit(_file_error(error))
    except SystemExit as end:  # rich ends so where the reader of our output has left
        sys.exit(141 if isinstance(end.__context__, BrokenPipeError) else end.code)
    sys.exit(code if isinstance(code, int) else 0)


def _file_error(error: OSError) -> int:
    """What to say of a file that cannot be read or written, standard output among them; the exit code."""
    if error.filename is None:  # what is still buffered cannot be written either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # the reader of our output, such as head, has left
        return 141
    return _refuse(f"{error.filename or 'the output'}: {error.strerror or error}", "LS-FILE")


def _is_ours(error: ValueError) -> bool:
    """Whether it is one of the two error trees; importing them takes torch along, so not before there is an error."""
    from leni.errors import LeniSearchError
    from results.errors import ResultsError

    return isinstance(error, (LeniSearchError, ResultsError))


def _refuse(sentence: str, code: str) -> int:
    """Print one sentence with its code; the exit code."""
    if not sentence.isprintable():
        from results.text import readable

        sentence = readable(sentence)
    print(f"leni-search: {sentence} [{code}]", file=sys.stderr)  # noqa: T201
    return 2
