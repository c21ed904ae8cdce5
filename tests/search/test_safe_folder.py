"""A run's folder from somebody else: whatever is in its files, nothing of it runs, and commands say what is wrong."""

import json
import os
import pickle
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch

import results
import search
from leni.errors import FolderError, LeniSearchError
from results.errors import ResultsError
from search.cli import app
from search.driver.run_search import resume
from search.store.folder import RunFolder

REFUSALS = (LeniSearchError, ResultsError)
READERS = (["front"], ["report"], ["compensation"], ["importance"], ["compare"])


class Evil:
    """A pickle of it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def source(tmp_path_factory, no_ray) -> Path:
    """A run of three trials, with a network kept."""
    folder = tmp_path_factory.mktemp("source") / "run"
    keys = {"data": "digits", "trials": 3, "epochs": 1, "workers": 1, "fix": {"width": 0.25}, "keep_weights": True}
    with no_ray():
        search.run(out=folder, quiet=True, **keys)
    return folder


@pytest.fixture
def given(source, tmp_path) -> RunFolder:
    """A copy whose last trial was cut off, so that a resumption reads its state."""
    folder = RunFolder(shutil.copytree(source, tmp_path / "given"))
    with sqlite3.connect(folder.study) as connection:
        connection.execute("UPDATE trials SET state = 'RUNNING' WHERE number = 2")
        connection.execute(
            "DELETE FROM trial_user_attributes WHERE key = 'result' AND trial_id = "
            "(SELECT trial_id FROM trials WHERE number = 2)"
        )
    connection.close()
    folder.checkpoints.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def evil(tmp_path) -> bytes:
    assert pickle.dumps(Evil(tmp_path / "ran"))
    return pickle.dumps(Evil(tmp_path / "ran"))


@pytest.fixture
def main(monkeypatch):
    """The command in this process: its exit code."""

    def call(words):
        monkeypatch.setattr("sys.argv", ["leni-search", *words])
        with pytest.raises(SystemExit) as ended:
            app.main()
        return int(ended.value.code or 0)

    return call


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path):
    yield
    assert not (tmp_path / "ran").exists(), "code of the folder has run"


def test_pickle_of_these_tests_runs_where_it_is_loaded(tmp_path, evil):
    pickle.loads(evil)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()


def plant(path: Path, marker: Path) -> None:
    """A pickle in the form that a reader of such a file would load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".pt", ".pth"):
        torch.save({"evaluation": Evil(marker), "states": [Evil(marker)]}, path)
    else:
        path.write_bytes(pickle.dumps(Evil(marker)))


@pytest.mark.usefixtures("ray_session")
def test_resume_reads_no_pickle_says_so_and_goes_on(given, tmp_path, capsys):
    for path in (given.path / "sampler.pickle", given.checkpoints / "000002.pt", given.sampler):
        plant(path, tmp_path / "ran")
    for path in [*given.ray.rglob("*"), given.ray / "tuner.pkl", given.ray / "searcher-state.pkl"]:
        if not path.is_dir():
            plant(path, tmp_path / "ran")
    run = resume(given.path, add_trials=1, quiet=True)
    assert run.trials["state"].tolist() == ["completed"] * 4
    said = json.loads(given.environment.read_text())["notes"]
    assert [("sampler.json cannot be read" in text, "000002.pt cannot be read" in text) for text in said] == [
        (True, False), (False, True)
    ]  # fmt: skip
    assert "it starts anew" in said[1]
    shown, log = capsys.readouterr().err, given.log.read_text()
    assert all(text in shown and text in log for text in said)


@pytest.mark.usefixtures("without_ray")
def test_resume_without_anything_odd_says_nothing(given):
    run = resume(given.path, quiet=True)
    assert "notes" not in run.environment
    assert not given.log.exists()


@pytest.mark.usefixtures("without_ray")
def test_no_reader_runs_what_stands_in_any_file(given, main, tmp_path, capsys):
    files = [path for path in given.path.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        kept = path.read_bytes()
        plant(path, tmp_path / "ran")
        for words in READERS:
            if path.suffix in (".parquet", ".json", ".toml", ".db") or path.parent == given.weights:
                assert main([words[0], str(given.path), *words[1:]]) in (0, 2), (path, words)
        path.write_bytes(kept)
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("without_ray")
def test_resume_of_files_that_are_none_is_a_sentence(given, tmp_path):
    for path in (given.spec, given.environment, given.study):
        kept = path.read_bytes()
        plant(path, tmp_path / "ran")
        with pytest.raises(REFUSALS):
            resume(given.path, quiet=True)
        path.write_bytes(kept)


def test_export_reads_no_pickle(given, main, tmp_path):
    for path in given.weights.iterdir():
        plant(path, tmp_path / "ran")
    confirmed = RunFolder(shutil.copytree(given.path, given.confirm))
    assert confirmed.weights.is_dir()
    assert main(["export", str(given.path), "--trial", "0"]) in (0, 2)


@pytest.mark.parametrize(
    "name", ["driver.lock", "study.db", "environment.json", "spec.toml", "run.log", "sampler.json"]
)
def test_file_that_is_a_link_out_of_the_folder_is_refused_and_its_target_left_alone(given, tmp_path, name):
    target = tmp_path / "mine"
    target.write_bytes((given.path / name).read_bytes() if (given.path / name).exists() else b"mine")
    before = target.read_bytes()
    (given.path / name).unlink(missing_ok=True)
    (given.path / name).symlink_to(target)
    with pytest.raises(FolderError, match=f"{name} is a link out of the folder"):
        resume(given.path, quiet=True)
    assert target.read_bytes() == before


def test_folder_that_is_a_link_is_refused_and_one_inside_is_not(given, tmp_path):
    (tmp_path / "mine").mkdir()
    shutil.rmtree(given.checkpoints)
    given.checkpoints.symlink_to(tmp_path / "mine")
    with pytest.raises(FolderError, match="checkpoints is a link out of the folder"):
        resume(given.path, quiet=True)
    given.checkpoints.unlink()
    (given.path / "states").mkdir()
    given.checkpoints.symlink_to(given.path / "states")
    given.check_run()


EVALUATED = """
evaluator = "helper:f"
objectives = ["x:min"]
[space.parameters]
x = {low = 0.0, high = 1.0}
"""


def test_module_in_the_folder_is_no_evaluator(given, tmp_path, monkeypatch):
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n\ndef f(config, report): return {{}}\n"
    (given.path / "helper.py").write_text(code)
    given.spec.write_text(EVALUATED)
    monkeypatch.chdir(given.path)
    monkeypatch.syspath_prepend(os.fspath(given.path))
    with pytest.raises(LeniSearchError, match="helper"):
        resume(given.path, quiet=True)


def test_report_of_odd_texts_runs_no_script(given, main):
    trials = results.load(given.path).trials
    trials["error"] = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    trials["activation"] = "</script><script>alert(3)</script>"
    results.write(trials, given.trials)
    assert main(["report", str(given.path)]) == 0
    page = given.report.read_text()
    assert "<script>alert(" not in page
    assert "<img src=x" not in page


def test_export_writes_nothing_through_a_link(given, tmp_path, main, capsys):
    (tmp_path / "mine").mkdir()
    given.exports.symlink_to(tmp_path / "mine")
    assert main(["export", str(given.path), "--trial", "0"]) == 2
    assert "exports is a link out of the folder" in capsys.readouterr().err
    assert list((tmp_path / "mine").iterdir()) == []
