"""A file is there whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from results.files import replace_file


def test_replace_file_that_cannot_be_put_in_place_leaves_the_old(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"old")

    def refuse(path, target):
        raise OSError("in use")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="in use"):
        replace_file(tmp_path / "a.txt", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_replace_file_puts_new_content_in_place(tmp_path):
    for content in (b"first", b"second"):
        replace_file(tmp_path / "a.txt", content)
        assert (tmp_path / "a.txt").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_replace_file_goes_on_where_the_file_system_cannot_sync(tmp_path, monkeypatch, number):
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    replace_file(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_replace_file_says_that_the_disk_could_not_be_synced(tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(tmp_path / "a.txt", b"new")


def test_replace_file_goes_on_where_a_name_cannot_be_renamed_over_another(tmp_path, monkeypatch):
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target.exists():
            raise FileExistsError(errno.EEXIST, "File exists")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    for content in (b"first", b"second"):
        replace_file(tmp_path / "a.txt", content)
        assert (tmp_path / "a.txt").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1
