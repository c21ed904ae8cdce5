import errno
import fcntl
import os

import pytest

from leni.errors import FolderError
from search.store.folder import RunFolder
from search.store.locks import LocksMissing, try_lock


def without_locks(monkeypatch, number):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_try_lock_is_held_by_one_or_shared(tmp_path):
    path = tmp_path / "lock"
    with path.open("a") as first, path.open("a") as second:
        assert try_lock(first)
        assert not try_lock(second)
        assert not try_lock(second, shared=True)
    with path.open("a") as first, path.open("a") as second:
        assert try_lock(first, shared=True)
        assert try_lock(second, shared=True)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_run_on_a_file_system_without_locks_says_so_and_goes_on_when_told_to(monkeypatch, tmp_path, number):
    without_locks(monkeypatch, number)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    words = f"without locks .{os.strerror(number)}., so nothing would keep .* --no-lock"
    with pytest.raises(LocksMissing, match=words), folder.driven():
        pass
    assert not folder.path.exists()
    folder.create()
    with folder.driven(lock=False):
        assert str(os.getpid()) in folder.lock.read_text()


def test_lock_that_fails_for_another_reason_is_another_sentence(monkeypatch, tmp_path):
    without_locks(monkeypatch, errno.EIO)
    with (tmp_path / "lock").open("a") as stream, pytest.raises(FolderError, match=r"cannot be locked: Input/output"):
        try_lock(stream)


def test_run_that_another_process_drives_is_refused_with_its_name(tmp_path):
    folder = RunFolder(tmp_path)
    with (
        folder.driven(),
        pytest.raises(FolderError, match=f"being driven by process {os.getpid()} on "),
        folder.driven(),
    ):
        pass
    with folder.driven():
        pass
