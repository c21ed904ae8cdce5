import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from leni.errors import FolderError
from search.execute.scratch import scratch

KILLED = """
import os, signal
from leni.errors import FolderError
from search.execute.scratch import scratch
with scratch() as folder:
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(monkeypatch):
    path = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # short enough for a socket
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    shutil.rmtree(path)


def test_folder_is_there_for_its_block(place):
    with scratch() as folder:
        assert Path(folder).is_dir()
        assert Path(folder).parent == place
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_stays(place):
    environment = {**os.environ, "TMPDIR": str(place)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False
    )
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    with scratch() as first, scratch() as second:
        assert not left.exists()
        assert {Path(first), Path(second)} == set(place.iterdir())


def test_folder_that_is_none_of_ours_stays(place):
    (place / "leni-ray-being-made").mkdir()
    with scratch():
        pass
    assert [path.name for path in place.iterdir()] == ["leni-ray-being-made"]


def test_long_place_is_left_for_tmp(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch() as folder:
        assert Path(folder).parent == Path("/tmp")


def test_place_that_is_full_is_left_for_another(monkeypatch, place):
    usage = shutil.disk_usage

    def full(where: Path) -> object:
        return SimpleNamespace(free=0) if where in (place, Path("/tmp")) else usage(where)

    monkeypatch.setattr(shutil, "disk_usage", full)
    with scratch() as folder:
        assert Path(folder).parent in (Path("/var/tmp"), Path("/dev/shm"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(FolderError, match=rf"^Ray needs 64 MiB .* none of {place}, /tmp, /var/tmp, /dev/shm has them"):
        scratch().__enter__()
