"""A file is there whole or not at all."""

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
