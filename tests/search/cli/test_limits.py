"""Limits as options."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from search.cli.limits import LimitsCommand, limits_of


def parsed(*args: str):
    """What a command with the options of `run` that matter here makes of its command line."""
    app, seen = typer.Typer(), {}

    @app.command(cls=LimitsCommand)
    def command(
        limits: Annotated[list[str] | None, typer.Option()] = None,
        max_params: Annotated[int | None, typer.Option()] = None,
        trials: Annotated[int | None, typer.Option()] = None,
        max_hours: Annotated[float | None, typer.Option()] = None,
    ) -> None:
        seen.update(limits=limits_of(limits or ()), max_params=max_params, trials=trials, max_hours=max_hours)

    result = CliRunner().invoke(app, list(args))
    return seen if result.exit_code == 0 else result.output


def test_any_name_has_limits_beside_the_options_that_there_are():
    found = parsed("--max-flops", "1e9", "--trials", "3", "--min-flops=-2", "--max-params", "7", "--max-a-b=3")
    assert found["limits"] == {"flops": {"max": 1e9, "min": -2.0}, "a-b": {"max": 3.0}}
    assert (found["max_params"], found["trials"]) == (7, 3)


@pytest.mark.parametrize("args", [("--max-hour", "3"), ("--max-parms=3",), ("--max-flops",)])
def test_misspelt_option_is_named_and_a_limit_needs_its_value(args):
    assert "No such option" in parsed(*args)


@pytest.mark.parametrize("text", ["flops", "flops=3", "=1:2", "flops=a:b", "flops=:", "flops=1:2,flops=:3"])
def test_limit_of_another_form_is_refused(text):
    with pytest.raises(typer.BadParameter, match="NAME=LEAST:MOST"):
        limits_of([text])
