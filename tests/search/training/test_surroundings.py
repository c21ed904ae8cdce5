import os
import sys

from search.training.surroundings import Surroundings


def test_every_call_begins_where_the_command_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    monkeypatch.setenv("KEPT", "a")
    monkeypatch.setattr(sys, "argv", ["worker.py", "--node-ip"])
    (tmp_path / "gone").mkdir()
    surroundings = Surroundings(str(tmp_path), "ev")
    for _ in range(2):
        assert surroundings.restore() == ""
        assert os.getcwd() == str(tmp_path)  # noqa: PTH109
        assert (os.environ["KEPT"], os.environ.get("ADDED"), sys.argv) == ("a", None, ["ev"])
        monkeypatch.setenv("KEPT", "b")
        monkeypatch.setenv("ADDED", "c")
        os.chdir(tmp_path / "gone")


def test_folder_that_is_not_on_this_machine_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    sentence = Surroundings(str(tmp_path / "none"), "ev").restore()
    assert "cannot be entered on this machine (No such file or directory)" in sentence
