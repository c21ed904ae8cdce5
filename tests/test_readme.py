"""Every code block of the README: run where that is cheap, else read as the program reads it, with the reason."""

import csv
import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import results
import search
import search.cli.app as app_module
from search.spec import Spec
from spaces import SearchSpace

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = [(kind, text) for kind, text in re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)]
RUN = "runs/digits-channel-compensation-001"
NOT_RUN = {
    "resume": "it trains",
    "run": "it trains",
    "inspect": "it needs the study of a run with a failed trial",
    "confirm": "it trains",
    "compare": "it needs several runs",
    "compensation": "it needs a run of several activations and widths",
    "ablate": "it measures training steps",
    "export": "it trains where a run has kept no weights",
    "simulate": "it takes minutes",
}
"""Commands that are read and not run, and why."""


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def commands() -> Iterator[list[str]]:
    """The words of every command of the shell blocks, without redirections."""
    for line in "".join(blocks("sh")).splitlines():
        words = [word for word in shlex.split(line, comments=True) if not word.startswith(">")]
        if words:
            yield words


OURS = [words[1:] for words in commands() if words[0] == "leni-search"]


def parsed(words: list[str]) -> dict[str, object]:
    """A command's values, as the command line gives them to its function, which is not called."""
    group = typer.main.get_command(app_module.app)
    name, command, rest = group.resolve_command(
        group.make_context("leni-search", [*words], resilient_parsing=True), words
    )
    return command.make_context(name, rest).params


def test_every_block_is_of_a_kind_that_is_tested_here():
    assert {kind for kind, _ in BLOCKS} == {"sh", "toml", "python", "text"}  # test_documents.py has the tree
    assert {words[0] for words in commands()} == {"leni-search", "make"}
    assert (len(blocks("toml")), len(blocks("python"))) == (2, 3)
    assert set(NOT_RUN) < {words[0] for words in OURS}


@pytest.mark.parametrize("words", [words for words in OURS if "--help" not in words], ids=" ".join)
def test_command_line_takes_every_command(words):
    assert parsed(words)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A folder with the records of a run of six networks."""
    folder = tmp_path_factory.mktemp("readme") / RUN
    folder.mkdir(parents=True)
    rows = [
        {"number": n, "state": "completed", "backbone": "resnet8", "widths": "4-8-16",
         "activation": ("relu", "leni")[n % 2], "placement": "all", "accuracy": 0.8 + n / 100,
         "params": 1000 * (n + 1), "macs": 9, "seeds": 1, "epochs": 2}
        for n in (3, 0, 5, 1, 4, 2)
    ]  # fmt: skip
    results.write(results.to_frame(rows), folder / "trials.parquet")
    results.write(results.to_curves([]), folder / "curves.parquet")
    (folder / "environment.json").write_text("{}")
    return folder


@pytest.mark.parametrize("words", [words for words in OURS if words[0] not in NOT_RUN], ids=" ".join)
def test_cheap_command_runs(words, recorded, tmp_path, monkeypatch, capsys):
    shutil.copytree(recorded.parent, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["leni-search", *(RUN if word == "DIR" else word for word in words)])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as end:
        app_module.main()
    assert (end.value.code, capsys.readouterr().err) == (0, "")


def test_spec_of_a_network_is_accepted():
    (text, _) = blocks("toml")
    spec = Spec(**tomllib.loads(text))
    assert isinstance(spec.search_space(), SearchSpace)
    assert spec.sampler == "known-cost"


@pytest.mark.usefixtures("without_ray")
def test_spec_of_an_evaluator_runs_with_a_real_function(tmp_path):
    (_, text) = blocks("toml")
    (tmp_path / "forest.toml").write_text(text)
    spec = Spec.read(tmp_path / "forest.toml", trials=4, workers=1, out=tmp_path / "run")
    run = search.run(spec, quiet=True)
    assert (run.trials["state"] == "completed").all()
    with (run.folder / "front.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:3] == ["number", "error", "size"]
    assert {"kind", "depth"} <= set(rows[0])
    assert 0 < float(rows[0]["error"]) < 1
    assert json.loads(results.to_json(run.front()))[0]["size"] == int(rows[0]["size"])


@pytest.mark.usefixtures("without_ray")
def test_python_of_a_search_runs(tmp_path, monkeypatch):
    """With two trials of one epoch, and folders of the names that it reads."""
    monkeypatch.chdir(tmp_path)
    true = search.run

    def small(**keys: object) -> results.Run:
        out = Path("runs/digits")
        run = true(**{**keys, "trials": 2, "epochs": 1, "train_size": 100, "workers": 1, "quiet": True, "out": out})
        for name in ("a", "b"):
            shutil.copytree(out, out.with_name(name))
        return run

    monkeypatch.setattr(search, "run", small, raising=False)
    names: dict[str, object] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), names)
    assert len(names["trials"]) == 2
    assert set(names["several"]["run"]) == {"a", "b"}


@pytest.mark.usefixtures("without_ray")
def test_python_of_a_function_of_the_notebook_runs(tmp_path, monkeypatch):
    true = search.run
    given = {"trials": 3, "workers": 1, "quiet": True, "out": tmp_path / "run"}
    monkeypatch.setattr(search, "run", lambda **keys: true(**{**keys, **given}), raising=False)
    names: dict[str, object] = {"search": search, "__name__": "__main__"}
    exec(compile(blocks("python")[1], "README.md", "exec"), names)
    trials = names["run"].trials
    assert set(trials["state"]) == {"completed"}
    assert (trials["size"] == trials["width"] ** 2).all()


def test_python_of_a_network_runs(capsys):
    block = blocks("python")[2]
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    found = names["leni"].sites(names["network"], names["image"])
    calls, modules = map(int, re.search(r"(\d+) call sites of (\d+) modules", block).groups())
    assert (len(found), len({site.module for site in found})) == (calls, modules)
    assert capsys.readouterr().out
