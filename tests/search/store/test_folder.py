import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leni.errors import FolderError
from search.store.folder import RunFolder, environment, next_free, take_next, write_environment, write_text


def message_of(path: Path) -> str:
    with pytest.raises(FolderError) as caught:
        RunFolder(path).check_free()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["study.db", "spec.toml"])
def test_check_free_refuses_a_folder_that_holds_a_run(tmp_path, name):
    (tmp_path / name).touch()
    assert message_of(tmp_path) == f"{tmp_path} already holds a run; give another folder with --out"


def test_check_free_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / ".hidden").touch()
    assert message_of(tmp_path).endswith("is not empty; give a new folder with --out")


def test_check_free_refuses_a_file_and_what_would_be_in_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert message_of(file).endswith("is a file; give a folder with --out")
    assert message_of(file / "run").endswith(f"{file} is not a folder that can be written")
    assert file.read_text(encoding="utf-8") == "mine"


def test_check_free_takes_an_empty_folder_and_one_that_is_not_there(tmp_path):
    RunFolder(tmp_path).check_free()
    RunFolder(tmp_path / "a" / "b").check_free()
    assert list(tmp_path.iterdir()) == []


def test_check_free_refuses_a_parent_that_cannot_be_written(tmp_path, monkeypatch):
    asked = []

    def access(path: Path, mode: int) -> bool:  # root may write everywhere, so the answer is played
        asked.append((Path(path), mode))
        return False

    monkeypatch.setattr(os, "access", access)
    assert f"{tmp_path} is not a folder that can be written" in message_of(tmp_path / "a" / "b")
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def test_check_free_says_why_a_path_cannot_be_looked_at(tmp_path, monkeypatch):
    assert "File name too long" in message_of(tmp_path / ("x" * 300))

    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", closed)
    assert "Permission denied" in message_of(tmp_path / "run")


def test_create_makes_the_folder_and_its_parents_once(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    folder.create()
    assert folder.path.is_dir()
    folder.create()  # still empty
    write_text(folder.spec, "trials = 1")
    with pytest.raises(FolderError, match="already holds a run"):
        folder.create()


def test_create_says_what_the_file_system_says(tmp_path, monkeypatch):
    def full(self: Path, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(FolderError, match=r"run cannot be made: No space left on device$"):
        RunFolder(tmp_path / "run").create()


def test_paths_are_absolute_and_below_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = RunFolder("runs/../mine")
    assert folder.path == tmp_path / "mine"
    assert RunFolder("~/mine").path == folder.path
    paths = [value for value in vars(folder).values() if isinstance(value, Path)] + list(folder.figures)
    assert all(path.is_relative_to(folder.path) for path in paths)
    assert len(set(paths)) == len(paths)
    assert folder.study == tmp_path / "mine" / "study.db"


def test_next_free_is_the_first_number_that_is_not_taken(tmp_path):
    assert next_free(tmp_path / "none", "run") == tmp_path / "none" / "run-001"
    for name in ("run-001", "run-003", "other-002"):
        (tmp_path / name).mkdir()
    assert next_free(tmp_path, "run").name == "run-002"
    (tmp_path / "run-002").touch()  # a file takes a name, too
    assert next_free(tmp_path, "run").name == "run-004"


def test_take_next_gives_each_of_many_at_once_a_folder_of_its_own(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run-002").symlink_to("nowhere")
    start = threading.Barrier(8)

    def take(_: int) -> Path:
        start.wait()
        return take_next(tmp_path / "runs", "run")

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(8)))
    assert sorted(path.name for path in taken) == [f"run-{number:03d}" for number in (1, *range(3, 10))]
    assert all(path.is_dir() for path in taken)


def test_take_next_says_what_the_file_system_says(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"/file cannot hold a new folder: (Not a directory|File exists)$"):
        take_next(tmp_path / "file", "run")


@pytest.mark.parametrize("new", [True, False])
def test_begun_leaves_nothing_of_a_run_that_is_refused(tmp_path, new):
    folder = RunFolder(tmp_path / "run")
    assert folder.create()
    assert not folder.create()

    def begin() -> None:
        with folder.driven(), folder.begun(new=new):
            folder.spec.write_text("")
            folder.study.write_text("")
            raise FolderError("refused")

    with pytest.raises(FolderError, match="refused"):
        begin()
    assert folder.path.exists() is not new
    assert new or list(folder.path.iterdir()) == []


def test_begun_leaves_a_run_that_another_process_began_meanwhile(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.spec.write_text("theirs")
    with pytest.raises(FolderError, match="already holds a run"), folder.begun(new=True):
        pass
    assert folder.spec.read_text() == "theirs"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_text_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch, step):
    path = tmp_path / "spec.toml"
    write_text(path, "old: ä")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new and longer")
    assert path.read_text(encoding="utf-8") == "old: ä"
    assert list(tmp_path.iterdir()) == [path]


def test_write_environment_replaces_the_file_with_json(tmp_path):
    path = tmp_path / "environment.json"
    write_environment(path, {"ended": "running", "seed": 3, "left out": "x"})
    write_environment(path, {"ended": "complete", "folder": tmp_path})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ended": "complete", "folder": str(tmp_path)}
    assert list(tmp_path.iterdir()) == [path]


def test_environment_has_versions_hardware_and_what_the_run_adds():
    import optuna

    facts = environment(seed=3, objectives={"accuracy": "maximize"})
    assert facts["versions"]["optuna"] == optuna.__version__
    assert facts["versions"]["leni-search"]
    assert (facts["seed"], facts["objectives"]) == (3, {"accuracy": "maximize"})


def test_environment_outside_a_checkout_has_no_revision(monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "no git here")

    monkeypatch.setattr("search.store.folder.subprocess.run", missing)
    assert environment()["git_revision"] is None


def test_environment_names_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("search.store.folder.PACKAGES", ("optuna", "no-such-package-here"))
    versions = environment()["versions"]
    assert versions["no-such-package-here"] is None
    assert versions["optuna"]


@pytest.mark.parametrize("name", ["trials.parquet", "study.db", "driver.lock", "checkpoints"])
def test_pipe_in_the_place_of_a_file_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(FolderError, match=f"{name} is neither a file nor a folder"):
        RunFolder(tmp_path).check_links()


def test_facts_of_a_run_are_read_and_odd_ones_are_a_sentence(tmp_path):
    folder = RunFolder(tmp_path)
    folder.environment.write_text('{"trials": 7, "notes": ["a", 1], "study": null}')
    assert (folder.facts().trials, folder.facts().study, folder.facts().notes) == (7, None, ("a", "1"))
    for text in (
        "{",
        "[]",
        '{"trials": "7"}',
        '{"trials": -1}',
        '{"study": 3}',
        '{"notes": {}, "trials": true}',
        "[" * 10**5,
    ):
        folder.environment.write_text(text)
        with pytest.raises(FolderError, match=r"environment\.json"):
            folder.facts()
