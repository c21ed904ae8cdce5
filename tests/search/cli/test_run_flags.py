import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from pydantic import Field, create_model
from typer.testing import CliRunner

from leni.errors import SpecError
from search.cli import remote, spec_flags
from search.cli.runs import run_command
from search.spec import Spec
from search.spec_fields import SpecFields, flag_of

NOT_KEYS = {"file", "add_trials", "dry_run", "quiet", "verbose", *spec_flags.RECIPE}
WITHOUT_FLAG = {"candidates", "test", "keep_weights"}  # of follow-up commands alone
NOT_SUBMITTED = {"out", "storage", "checkpoints", "address", "download", "enqueue", "warm_start", "prior", "lock"}
PARSED = {"objectives": (["loss:min,size:min"], ("loss:min", "size:min")), "loggers": (["mlflow"], ("mlflow",)),
          "bounds": (["loss=0:1"], {"loss": (0, 1)}), "fix": (["width=1", "a=b"], {"width": 1, "a": "b"}),
          "limits": (["a=1:", "b=:2"], {"a": {"min": 1.0}, "b": {"max": 2.0}}),
          "prior": (["a,b", "c"], (Path("a,b"), Path("c"))), "proxies": (["grad,naswot"], ("grad", "naswot")),
          "training": (["lr=0.5"], {"lr": 0.5})}  # fmt: skip
OLD_NAMES = {"--fix", "--objectives", "--max-gpu-hours", "--pruner", "--stopper", "--no-references", "--out", "--lr",
             "--no-lock", "--logger", "--download", "--cpus-per-trial", "--no-cuda-graph"}  # fmt: skip


def words(command) -> set[str]:
    return set(inspect.signature(command).parameters)


def names(command) -> set[str]:
    """Every name of every option."""
    group = typer.main.get_command(_app(command))
    return {name for part in group.params for name in (*part.opts, *part.secondary_opts)}


def _app(command) -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


def test_every_flag_of_run_reaches_the_spec_under_its_own_name(monkeypatch):
    keys = words(run_command) - NOT_KEYS
    asked: list[dict] = []

    def read(file, **flags):
        asked.append(flags)
        raise SpecError("read enough")

    monkeypatch.setattr("search.spec.Spec.read", read)
    given = {name: PARSED.get(name, (object(),))[0] for name in keys}
    with pytest.raises(SpecError, match="read enough"):
        run_command(file=None, add_trials=None, dry_run=False, quiet=True, verbose=False, **given)
    for name in keys:
        assert asked[0][name] == PARSED.get(name, (None, given[name]))[1], name
    assert set(asked[0]) == keys == set(Spec.model_fields) - WITHOUT_FLAG


def test_every_field_has_a_flag_in_both_commands_or_a_reason():
    absent = {name for name in Spec.model_fields if flag_of(name).absent}
    kept = {name for name in Spec.model_fields if flag_of(name).not_submitted}
    assert (absent, kept) == (WITHOUT_FLAG, NOT_SUBMITTED)
    assert set(Spec.model_fields) - words(run_command) == absent
    assert set(Spec.model_fields) - words(remote.submit_command) == absent | kept


def test_every_field_is_declared_with_a_description():
    assert set(Spec.model_fields) == set(SpecFields.model_fields)
    assert not [name for name, field in Spec.model_fields.items() if not (field.description or "").endswith(".")]


def test_names_that_scripts_use_are_kept():
    assert names(run_command) >= OLD_NAMES | {"--dry-run", "--quiet", "-q", "--verbose", "--add-trials"}
    assert names(remote.submit_command) >= OLD_NAMES - {"--out", "--download", "--no-lock"}


@pytest.mark.parametrize(
    ("kind", "default", "text", "value"),
    [(int | None, None, ["--made-up", "3"], 3), (bool, True, ["--no-made-up"], False),
     (Path | None, None, ["--made-up", "a"], Path("a")), (tuple[str, ...], (), ["--made-up", "a,b"], ("a", "b"))],
    ids=str,
)  # fmt: skip
def test_new_field_has_its_flag_with_help_in_both_commands(monkeypatch, kind, default, text, value):
    field = Field(default, description="Something new.")
    made: Any = create_model("Made", __base__=SpecFields, made_up=(kind, field))
    monkeypatch.setattr(spec_flags, "SpecFields", made)
    monkeypatch.setattr("search.spec_fields.SpecFields", made)
    seen = SimpleNamespace()
    for submitted in (False, True):

        def command(**words):
            seen.values = spec_flags.spec_values(words)

        command.__signature__ = inspect.Signature(spec_flags.flag_parameters(submitted=submitted))
        assert "Something new." in CliRunner().invoke(_app(command), ["--help"]).output
        assert CliRunner().invoke(_app(command), text).exit_code == 0
        assert seen.values == {"made_up": value}


def test_field_that_cannot_be_written_as_an_option_is_named(monkeypatch):
    made: Any = create_model("Made", __base__=SpecFields, made_up=(set[int], Field(set(), description="Odd.")))
    monkeypatch.setattr(spec_flags, "SpecFields", made)
    monkeypatch.setattr("search.spec_fields.SpecFields", made)
    with pytest.raises(TypeError, match="made_up"):
        spec_flags.flag_parameters()
