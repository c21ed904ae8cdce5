import pickle

import numpy as np
import pytest
import torch

from search.training.stored_images import StoredImages


@pytest.fixture
def stored(tmp_path):
    """The file's images, which rows are used, and the object."""
    every = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 5), dtype=np.uint8)
    every.tofile(tmp_path / "pixels")
    np.ones(20, np.uint8).tofile(tmp_path / "state")
    rows = np.array([7, 3, 19, 0, 7, 11])
    return torch.from_numpy(every[rows]), StoredImages(tmp_path / "pixels", (3, 4, 5), rows)


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([[0, 5], [2, 2], [1, 4]]), torch.tensor([], dtype=torch.int64), torch.tensor(3), slice(None),
        slice(2, 5), slice(0, 0),
    ],
)  # fmt: skip
def test_stored_images_are_indexed_as_a_tensor_is(stored, index):
    tensor, images = stored
    assert torch.equal(images[index], tensor[index])


def test_stored_images_have_the_shape_and_parts_of_a_tensor(stored):
    tensor, images = stored
    assert (images.shape, len(images)) == (tensor.shape, 6)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(images.split(4), tensor.split(4), strict=True))
    keep = np.array([1, 0, 0, 1, 1, 0], dtype=bool)
    assert torch.equal(images.some(keep)[:], tensor[torch.from_numpy(keep)])
    assert images.to("cpu") is images


def test_stored_images_are_read_by_another_process_from_their_file(stored):
    tensor, images = stored
    images[:1]
    content = pickle.dumps(images)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content)[:], tensor)


def test_stored_images_say_whether_they_are_here(stored):
    _, images = stored
    assert images.available()
    state = images.file.with_name("state")
    content = bytearray(state.read_bytes())
    content[1] = 0
    state.write_bytes(content)
    assert images.available()  # row 1 is not used
    content[11] = 0
    state.write_bytes(content)
    assert not images.available()
    images.file.unlink()
    assert not images.available()


def test_stored_images_file_that_ends_too_early_is_named(stored):
    _, images = stored
    with images.file.open("r+b") as stream:
        stream.truncate(19 * 60 + 5)
    with pytest.raises(OSError, match="pixels ends within image 19"):
        images[:]


def test_stored_images_digest_tells_rows_apart(stored):
    _, images = stored
    other = StoredImages(images.file, images.image_shape, images.rows[::-1])
    assert images.digest() != other.digest()
    assert images.digest() == pickle.loads(pickle.dumps(images)).digest()
