import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli import process
from search.cli.process import complete_process

ROOT = Path(__file__).resolve().parents[3]
COMMAND = f'"{sys.executable}" -m search.cli'


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", words], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_output_that_cannot_be_written_is_one_sentence_and_a_reader_that_leaves_is_none(tmp_path):
    full = shell(f"{COMMAND} --version >/dev/full", tmp_path)
    assert (full.returncode, full.stderr) == (2, "leni-search: the output: No space left on device [LS-FILE]\n")
    left = shell(f"{COMMAND} spaces full | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert left.stdout in ("141\n", "0\n")  # the reader may be slower
    assert left.stderr == ""


def test_closed_streams_are_not_taken_by_the_next_file(tmp_path):
    program = (
        "from search.cli.process import complete_process as c; c(); import os; os._exit(os.open('new', os.O_CREAT))"
    )
    done = shell(f'"{sys.executable}" -c "{program}" <&- >&- 2>&-', tmp_path)
    assert done.returncode == 3


def test_characters_that_a_terminal_lacks_are_written_as_escapes(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    complete_process()
    sys.stdout.write("naïve \udce9")
    sys.stdout.flush()
    assert written.getvalue() == b"na\\xefve \\udce9"


def test_user_without_home_and_name_gets_some(monkeypatch):
    def nobody(*_: object) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(RuntimeError):
        Path.home()
    complete_process()
    assert Path.home().is_dir()
    assert os.environ["USER"] == str(os.getuid()) == process._user()
