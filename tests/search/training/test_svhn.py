import numpy as np
import pytest
from scipy.io import savemat

from leni.errors import DataError
from search.training.svhn import find_svhn, read_svhn


def test_read_svhn_gives_what_was_written_with_zero_for_ten(svhn):
    raw = read_svhn(svhn.folder, None)
    for part, (images, labels) in svhn.parts.items():
        labelled = getattr(raw, part)
        assert 0 in labels
        assert np.array_equal(labelled.labels, labels)
        assert np.array_equal(labelled.take(np.arange(len(labels))).images, images)


def test_read_svhn_agrees_with_torchvision(svhn, monkeypatch):
    from torchvision.datasets import SVHN

    monkeypatch.setattr(SVHN, "_check_integrity", lambda self: True)
    theirs, ours = SVHN(svhn.folder, split="test"), read_svhn(svhn.folder, None).test
    assert np.array_equal(ours.take(np.arange(len(theirs))).images, theirs.data)
    assert np.array_equal(ours.labels, theirs.labels)


def test_find_svhn_wants_both_files(svhn):
    assert find_svhn(svhn.folder) == svhn.folder
    svhn.files[1].unlink()
    assert find_svhn(svhn.folder) is find_svhn(None) is None


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.999])
def test_read_svhn_truncated_file_is_named(svhn, share):
    for path in svhn.files:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=path.name):
            read_svhn(svhn.folder, None)
        path.write_bytes(whole)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_read_svhn_truncated_uncompressed_file_is_named(svhn, share):
    path = svhn.files[1]
    savemat(path, {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((4, 1), np.uint8)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=path.name):
        read_svhn(svhn.folder, None)


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (np.zeros((32, 32, 3, 4), np.float64), np.ones((4, 1)), "X in the form float64"),
        (np.zeros((4, 32, 32, 3), np.uint8), np.ones((4, 1)), r"\(4, 32, 32, 3\)"),
        (np.zeros((32, 32, 3), np.uint8), np.ones((4, 1)), r"\(32, 32, 3\)"),
        (np.zeros((32, 32, 3, 4), np.uint8), np.ones((3, 1)), r"4 images, and labels of shape \(3, 1\)"),
        (np.zeros((32, 32, 3, 2), np.uint8), np.array([[0], [1]]), r"1\.\.10"),
        (np.zeros((32, 32, 3, 2), np.uint8), np.array([[1.5], [1]]), r"1\.\.10"),
    ],
)
def test_read_svhn_wrong_content_is_named(svhn, images, labels, complaint):
    savemat(svhn.files[1], {"X": images, "y": labels})
    with pytest.raises(DataError, match=f"test_32x32.mat has .*{complaint}"):
        read_svhn(svhn.folder, None)


def test_read_svhn_without_labels_is_named(svhn):
    savemat(svhn.files[0], {"X": np.zeros((32, 32, 3, 4), np.uint8)})
    with pytest.raises(DataError, match=r"train_32x32\.mat lacks the variables X and y"):
        read_svhn(svhn.folder, None)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_read_svhn_corrupt_file_is_named(svhn, share):
    content = bytearray(svhn.files[0].read_bytes())
    content[int(share * len(content))] ^= 0xFF
    svhn.files[0].write_bytes(content)
    with pytest.raises(DataError, match=r"train_32x32\.mat cannot be read as a MATLAB file"):
        read_svhn(svhn.folder, None)


@pytest.mark.parametrize("labels", [np.array([["a"]] * 12), np.full((12, 1), np.nan), np.zeros((12, 1), np.uint8)])
def test_read_svhn_labels_that_are_no_digits_are_named(svhn, labels):
    images = svhn.parts["test"][0].transpose(2, 3, 1, 0)
    savemat(svhn.files[1], {"X": images, "y": labels})
    with pytest.raises(DataError, match=r"test_32x32\.mat has labels"):
        read_svhn(svhn.folder, None)
