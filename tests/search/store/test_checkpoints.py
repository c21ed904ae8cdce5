import pytest
import torch

from leni.errors import FolderError
from search.store.checkpoints import Checkpoints, absolute_folder, below


def test_states_of_a_folder_lie_where_its_path_says(odd_folder):
    checkpoints = Checkpoints(str(odd_folder / "states"))
    checkpoints.check()
    checkpoints.save(3, {"weight": torch.arange(3.0)})
    checkpoints.save(3, {"weight": torch.arange(4.0)})
    checkpoints.move(3, 5)
    assert list(odd_folder.parent.iterdir()) == [odd_folder]
    assert [path.name for path in (odd_folder / "states").iterdir()] == ["000005.pt"]
    assert checkpoints.load(5)["weight"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert checkpoints.load(3) is None
    checkpoints.remove(5)
    assert list((odd_folder / "states").iterdir()) == []


def test_states_at_an_fsspec_address_are_kept_there():
    checkpoints = Checkpoints("memory://one/run")
    checkpoints.save(0, {"epoch": 2})
    assert Checkpoints("memory://one").files.exists("/one/run/000000.pt")
    assert checkpoints.load(0) == {"epoch": 2}


def test_check_says_what_is_wrong_without_the_secret(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"cannot be written to .*/file/states: Not a directory$"):
        Checkpoints(str(tmp_path / "file" / "states")).check()
    with pytest.raises(FolderError, match=r"^nosuch://u:\*\*\*@h/x cannot be used for checkpoints: Protocol not known"):
        Checkpoints("nosuch://u:s3cret@h/x")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("states", "{here}/states"),
        ("a::b/?c", "{here}/a::b/?c"),
        ("~/states", "{here}/home/states"),
        ("/x//y/", "/x/y"),
        ("memory://x/", "memory://x/"),
        ("simplecache::memory://x", "simplecache::memory://x"),
    ],
)
def test_absolute_folder_leaves_addresses_alone(monkeypatch, tmp_path, address, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_folder(address) == expected.format(here=tmp_path)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/a b?/x", "/a b?/x/w"),
        ("s3://b/run", "s3://b/run/w"),
        ("s3://b/run/?key=1&x=2", "s3://b/run/w?key=1&x=2"),
        ("s3://b/why?", "s3://b/why?/w"),
    ],
)
def test_below_is_a_folder_inside(address, expected):
    assert below(address, "w") == expected
