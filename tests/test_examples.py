"""The scripts of examples/, in reduced form: what the pages docs/coming-from-*.md say of them."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

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
