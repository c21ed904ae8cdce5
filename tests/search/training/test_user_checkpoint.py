import numpy as np
import pytest
import torch

from search.store.checkpoints import Checkpoints
from search.training.user_checkpoint import packed, unpacked


def kept(checkpoint, folder):
    """A checkpoint as it comes back from where states are kept."""
    store = Checkpoints(str(folder / "states"))
    store.save(0, packed(checkpoint))
    (folder / "back").mkdir()
    return unpacked(store.load(0), folder / "back")


def test_mapping_comes_back_with_its_types(tmp_path):
    given = {
        "weights": {"a.b": torch.arange(3.0)}, "array": np.arange(4, dtype=np.int16).reshape(2, 2), "step": 7,
        "nested": [1, (2.5, "text"), {"none": None, "wide": 2**100}], "raw": b"bytes",
    }  # fmt: skip
    found = kept(given, tmp_path)
    assert type(found["array"]) is np.ndarray
    assert found["array"].dtype == np.int16
    np.testing.assert_array_equal(found.pop("array"), given.pop("array"))
    assert torch.equal(found.pop("weights")["a.b"], given.pop("weights")["a.b"])
    assert found == given


def test_folder_comes_back_with_every_file_and_empty_folder(tmp_path):
    folder = tmp_path / "mine"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "deep" / "nothing.txt").write_bytes(b"")
    back = tmp_path / "back"
    assert kept(str(folder), tmp_path) == str(back)
    found = {path.relative_to(back).as_posix() for path in back.rglob("*")}
    assert found == {"deep", "deep/empty", "deep/nothing.txt", "model.bin"}
    assert (back / "model.bin").read_bytes() == bytes(range(256)) * 100
    assert (back / "deep" / "nothing.txt").read_bytes() == b""


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_file_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    content = {"folders": [], "files": {name: torch.zeros(1, dtype=torch.uint8)}}
    with pytest.raises(ValueError, match="leads out"):
        unpacked(content, tmp_path / "in")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("given", [7, None, [1, 2]])
def test_what_is_neither_folder_nor_mapping_is_refused(given):
    with pytest.raises(TypeError, match="a checkpoint is the path of a folder or a mapping"):
        packed(given)
