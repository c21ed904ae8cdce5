"""The scripts of examples/, in reduced form: what the pages docs/coming-from-*.md say of them."""

import importlib
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import torch

import search

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def example(monkeypatch, tmp_path):
    """Imports an example as a user's shell in examples/ does, and works in a folder of its own."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module


def test_every_example_is_run_here_and_named_by_a_page():
    pages = "".join(path.read_text() for path in ROOT.glob("docs/coming-from-*.md"))
    tests = Path(__file__).read_text()
    for path in EXAMPLES.iterdir():
        if path.is_file():
            assert f"examples/{path.name}" in pages
            assert path.stem in tests


@pytest.mark.usefixtures("without_ray")
def test_trainable_of_ray_tune_runs_unchanged(example, tmp_path):
    example("ray_tune_digits")
    table = tomllib.loads((EXAMPLES / "ray_tune_digits.toml").read_text())
    table["space"]["parameters"] |= {"epochs": 2, "width": [8, 16]}
    run = search.run(**{**table, "trials": 3, "epochs": 2}, out=tmp_path / "run", quiet=True)
    trials = run.trials
    assert set(trials["state"]) <= {"completed", "stopped"}
    assert (trials["params"] == 75 * trials["width"] + 10).all()
    assert "measured_params" not in trials.columns
    assert trials["accuracy"].astype(float).max() > 0.3


def test_network_of_the_ray_tune_example_has_the_parameters_that_are_known(example):
    network = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    text = tomllib.loads((EXAMPLES / "ray_tune_digits.toml").read_text())["space"]["known"]["params"]
    assert text == "75 * width + 10"
    assert sum(weight.numel() for weight in network.parameters()) == 75 * 16 + 10


@pytest.mark.usefixtures("without_ray")
def test_objective_of_optuna_runs_unchanged(example, tmp_path, monkeypatch):
    module: ModuleType = example("optuna_digits")
    monkeypatch.setattr(module, "TRIALS", 3)
    study = module.main()
    assert [len(trial.values) for trial in study.trials] == [2, 2, 2]
    trials = module.searched(out=tmp_path / "run", quiet=True).trials
    assert (len(trials), set(trials["state"])) == (3, {"completed"})
    assert trials["metric:error"].astype(float).between(0, 1).all()
    assert trials["bootstrap"].notna().tolist() == (trials["kind"] == "random").tolist()


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("name", ["syne_tune_digits", "ax_digits"])
def test_function_of_syne_tune_or_ax_runs(example, tmp_path, monkeypatch, name):
    module: ModuleType = example(name)
    monkeypatch.setattr(module, "TRIALS", 3)
    monkeypatch.setattr(module, "EPOCHS", 2, raising=False)
    trials = module.searched(out=tmp_path / "run", quiet=True).trials
    assert (len(trials), set(trials["state"])) == (3, {"completed"})
    if name == "ax_digits":
        assert (trials["work"] == trials["trees"] * trials["depth"]).all()
        assert trials["work"].max() <= 200
    else:
        assert trials["accuracy"].astype(float).max() > 0.3
