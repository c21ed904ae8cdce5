import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.command_folder import search_last

OURS = ("leni", "results", "spaces", "torch", "ray", "optuna", "numpy", "logging", "random", "typing")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/", "{link}"])
def test_search_last_moves_the_current_folder_behind_what_is_installed(monkeypatch, tmp_path, entry):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [entry.format(here=tmp_path / "here", link=tmp_path / "link"), "/b", "/a"])
    search_last()
    assert sys.path == ["/b", "/a", str(tmp_path / "here")]


def test_search_last_in_a_checkout_of_this_package_changes_nothing(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", "/b"])
    search_last()
    assert sys.path == ["", "/b"]


def test_search_last_in_a_folder_that_was_removed_changes_nothing(monkeypatch, tmp_path):
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    monkeypatch.setattr(sys, "path", ["/b", "/a"])
    search_last()
    assert sys.path == ["/b", "/a"]


@pytest.mark.parametrize("module", [True, False], ids=["python -m", "console script"])
def test_command_runs_beside_modules_that_have_the_names_of_its_own(tmp_path, module):
    for name in OURS if module else (*OURS, "search", "types"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} of the user')")
    (tmp_path / "statistics.py").write_text("def evaluate(config, report): return {'loss': 1.0}")
    script = tmp_path / "bin" / "leni-search"
    script.parent.mkdir()
    script.write_text("import sys\nfrom search.cli.__main__ import main\nsys.exit(main())\n")
    (tmp_path / "s.toml").write_text(
        'evaluator = "statistics:evaluate"\nobjectives = ["loss:min"]\n[space.parameters]\nx = [1, 2]\n'
    )
    how = ["-m", "search.cli"] if module else [str(script)]
    done = subprocess.run(
        [sys.executable, *how, "run", "s.toml", "--dry-run"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 candidates" in done.stdout
