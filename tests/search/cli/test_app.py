import re
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

import search.cli.app as app_module


def test_version_is_the_distributions(command):
    import importlib.metadata

    assert command("--version") == (0, f"leni-search {importlib.metadata.version('leni-search')}\n", "")


def leaves(group: TyperGroup, *words: str) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Every command below a group, with its words."""
    for name, below in group.commands.items():
        if isinstance(below, TyperGroup):
            yield from leaves(below, *words, name)
        else:
            yield (*words, name), below


COMMANDS = dict(leaves(typer.main.get_command(app_module.app)))


def test_help_names_every_command_with_a_sentence(command):
    code, out, _ = command("--help")
    named = re.findall(r"^│ ([a-z]+) +[A-Z]", out, re.MULTILINE)
    assert code == 0
    assert sorted(named) == sorted({words[0] for words in COMMANDS})
    assert len(COMMANDS) > len(named) > 20


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_explains_itself_and_each_of_its_options(command, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = command(*words, "--help")
    assert (code, err) == (0, "")
    assert f"leni-search {' '.join(words)} " in out
    assert (COMMANDS[words].help or "").strip()
    for parameter in COMMANDS[words].params:
        assert parameter.help, parameter.name
        assert parameter.opts[-1] in out or isinstance(parameter, TyperArgument)


BAD_TOML = {
    "unknown key": ("trails = 3", "trials"),
    "impossible width": ("[space]\nbackbone = 'resnet8'\nactivation = 'relu'\nwidth = 1.5", "width must be in (0, 1]"),
    "no TOML": ("trials = = 3", "TOML"),
    "unknown recipe key": ("[training]\nlearning = 3", "learning"),
    "wrong type": ("trials = 'many'", "trials"),
}


@pytest.mark.parametrize("case", BAD_TOML)
def test_run_refuses_a_bad_spec_in_one_line_that_names_the_file(command, tmp_path, case):
    text, words = BAD_TOML[case]
    spec = tmp_path / "spec.toml"
    spec.write_text(text)
    code, out, err = command("run", str(spec), "--out", str(tmp_path / "run"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert "spec.toml" in err
    assert not (tmp_path / "run").exists()


BAD_FLAGS = {
    "unknown option": (["--trails", "3"], "--trails"),
    "no number": (["--trials", "many"], "--trials"),
    "no trials": (["--trials", "0"], "trials"),
    "unknown sampler": (["--sampler", "tpo"], "'tpe'"),
    "unknown space": (["--space", "chanel-compensation"], "channel-compensation"),
    "unknown data": (["--data", "digit"], "digits"),
    "missing folder": (["--data", "cifar10", "--data-folder", "/nowhere"], "/nowhere"),
    "too many GPUs": (["--gpus-per-trial", "64"], "gpus_per_trial is 64"),
    "unknown dimension": (["--fix", "lr=3"], "lr_factor"),
    "no pair": (["--fix", "lr_factor"], "NAME=VALUE"),
    "missing spec": (["nowhere.toml"], "nowhere.toml"),
}


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_run_refuses_bad_flags_in_one_line(command, tmp_path, case):
    flags, words = BAD_FLAGS[case]
    code, out, err = command("run", *flags, "--out", str(tmp_path / "run"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not (tmp_path / "run").exists()


def test_an_error_that_is_not_the_users_keeps_its_traceback(monkeypatch):
    def broken(**_: object) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr(app_module, "app", broken)
    with pytest.raises(ValueError, match="a bug of ours"):
        app_module.main()
