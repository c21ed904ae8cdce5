"""A run whose evaluator, costs and resources are functions of a script: whole, resumed, and refused by the command."""

import subprocess
import sys
from pathlib import Path

import pytest

import results
import search
from leni.errors import SpecError
from search.training import given_functions

SCRIPT = """
import search

scale = 2.0

def train(config, report):
    for epoch in range(2):
        report({"loss": scale * config["lr"] / (epoch + 1)})
    return {"loss": scale * config["lr"], "cells": config["width"] ** 2, "extra": config.get("heads", 0)}

@search.known("cells")
def cells(config):
    return config["width"] ** 2

SPACE = {"lr": {"low": 0.01, "high": 1.0, "log": True}, "width": [4, 2, 3], "heads": [1, 2]}

if __name__ == "__main__":
    run = search.run(evaluator=train, space={"parameters": SPACE, "when": {"heads": {"width": [4, 2]}}},
                     objectives=["loss:min", "cells:min"], trials=4, out="run", quiet=True)
    print(len(run.front()))
"""


def command(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(SCRIPT)
    done = command("script.py", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_function_of_a_script_runs_by_value_with_its_globals_and_marks(script):
    trials = results.load(script / "run").trials
    assert (len(trials), set(trials["state"])) == (4, {"completed"})
    assert (trials["loss"] - 2.0 * trials["lr"]).abs().max() < 1e-12
    assert (trials["cells"] == trials["width"] ** 2).all()
    assert 'evaluator = "<train ' in (script / "run" / "spec.toml").read_text()
    assert not list((script / "run").glob("*.pkl"))


def test_command_says_what_is_missing_to_go_on(script):
    done = command("-m", "search.cli", "resume", "run", "--add-trials", "2", folder=script)
    assert (done.returncode, done.stdout) == (2, "")
    assert "search.resume(folder, evaluator=train)" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_goes_on_with_the_function_given_again(script, without_ray, monkeypatch):
    monkeypatch.setattr(given_functions, "_GIVEN", {})
    with pytest.raises(SpecError, match="evaluator=train"):
        search.resume(script / "run", add_trials=2, quiet=True)
    scope = {"__name__": "__main__"}
    exec(compile(SCRIPT.partition("if __name__")[0], "script.py", "exec"), scope)
    costs = scope["cells"]
    run = search.resume(
        script / "run", add_trials=2, evaluator=scope["train"], costs=lambda c: {"cells": costs(c)}, quiet=True
    )
    assert (len(run.trials), set(run.trials["state"])) == (6, {"completed"})
    assert (run.trials["cells"] == run.trials["width"] ** 2).all()
