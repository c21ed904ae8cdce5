import pytest

from leni.errors import FolderError
from search.store.user_path import user_path


def test_user_path_is_absolute_with_home_and_links_followed(monkeypatch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "real"))
    assert user_path("~/x") == user_path("link/x/") == user_path("a/../real/x") == tmp_path / "real" / "x"
    assert user_path("./~/x") == tmp_path / "~" / "x"
    assert user_path("-out") == tmp_path / "-out"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("~no-such-user-at-all/x", "^~no-such-user-at-all/x is no path: Could not determine home directory$"),
        ("round", "^round is no path: (Symlink loop|Too many levels)"),
        ("nu\0ll", r"^'nu\\x00ll' is no path: it holds a null character$"),
    ],
)
def test_user_path_of_what_is_none_is_one_sentence(monkeypatch, tmp_path, path, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(FolderError, match=words):
        user_path(path)


def test_user_path_in_a_folder_that_was_removed_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FolderError, match=r"^x is meant from the current folder, which has been removed$"):
        user_path("x")
