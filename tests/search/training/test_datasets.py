import gzip
from pathlib import Path

import numpy as np
import pytest

from leni.errors import DataError
from search.training import datasets
from search.training.augment import KINDS
from search.training.datasets import SOURCES, fetch, source


@pytest.mark.parametrize("name", ["fashion", "fashion_gz"])
def test_fashion_gives_what_was_written(name, request):
    written, row = request.getfixturevalue(name), source("fashion-mnist")
    raw = row.read(row.find(written.folder), None)
    for part, (images, labels) in written.parts.items():
        labelled = getattr(raw, part)
        assert np.array_equal(labelled.labels, labels)
        assert np.array_equal(labelled.take(np.arange(len(labels))).images, images)


def test_fashion_is_found_in_torchvisions_folder_and_agrees_with_torchvision(fashion_gz):
    from torchvision.datasets import FashionMNIST

    root = fashion_gz.folder.parent.parent
    for path in fashion_gz.files:  # torchvision reads the plain files, and wants both to be there
        (path.parent / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    theirs, row = FashionMNIST(root, train=True), source("fashion-mnist")
    assert row.find(root) == fashion_gz.folder
    ours = row.read(fashion_gz.folder, None).train
    assert np.array_equal(ours.take(np.arange(len(theirs))).images[:, 0], theirs.data.numpy())
    assert ours.labels.tolist() == theirs.targets.tolist()


def test_fashion_is_found_without_a_folder_where_the_package_is(fashion, monkeypatch):
    find = source("fashion-mnist").find
    monkeypatch.setattr(datasets, "FASHION_PACKAGE", fashion.folder)
    assert find(None) == fashion.folder
    assert find(fashion.folder.parent) is None
    fashion.files[3].unlink()
    assert find(None) is None


def test_fashion_files_that_do_not_fit_are_named(fashion, idx_form):
    train_images, train_labels, test_images, test_labels = fashion.files
    read = source("fashion-mnist").read
    for path, array, complaint in [
        (train_labels, np.zeros(36), "train-images.* has 37 images and .*train-labels.* 36 labels"),
        (test_labels, np.full(13, 10), "t10k-labels.* has the label 10"),
        (test_images, np.zeros((13, 27, 28)), "t10k-images.* of 27 x 28 pixels, not of 28 x 28"),
        (train_images, np.zeros(9), "train-images.* starts with the bytes 00 00 08 01"),
    ]:
        whole = path.read_bytes()
        path.write_bytes(idx_form(array))
        with pytest.raises(DataError, match=complaint):
            read(fashion.folder, None)
        path.write_bytes(whole)


def test_digits_are_scikit_learns_spread_over_the_bytes():
    from sklearn.datasets import load_digits

    row, bunch = source("digits"), load_digits()
    raw = row.read(row.find(None), None)
    levels = {level: int(level * 255 / 16 + 0.5) for level in range(17)}
    images = raw.train.take(np.arange(1797)).images
    assert images.shape == (row.images, *row.input_shape)
    assert [levels[int(level)] for level in bunch.data[7]] == images[7].ravel().tolist()
    assert np.unique(images).tolist() == sorted(levels.values())
    assert raw.train.labels.tolist() == bunch.target.tolist()


@pytest.mark.parametrize(
    ("name", "nearest"), [("cifar", "cifar10"), ("CIFAR100", "cifar100"), ("mnist", "fashion-mnist"), ("", "digits")]
)
def test_source_unknown_name_gets_the_nearest(name, nearest):
    with pytest.raises(DataError, match=f"no data set '{name}'; the nearest are {nearest}"):
        source(name)


def test_sources_ask_for_augmentations_that_exist():
    assert {row.augmentation for row in SOURCES.values()} <= set(KINDS)
    assert SOURCES["svhn"].augmentation == "crop"


class _Fake:
    """A torchvision class that notes how it was called."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def __call__(self, **arguments):
        self.calls.append(arguments)
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("name", "kind", "folder", "calls"),
    [
        ("fashion-mnist", "FashionMNIST", "x", [{"root": Path("x")}]),
        ("cifar10", "CIFAR10", "x", [{"root": Path("x")}]),
        ("cifar10", "CIFAR10", "x/cifar-10-batches-py", [{"root": Path("x")}]),
        ("cifar100", "CIFAR100", "x/cifar-100-python", [{"root": Path("x")}]),
        ("svhn", "SVHN", "x", [{"root": Path("x"), "split": "train"}, {"root": Path("x"), "split": "test"}]),
    ],
)
def test_fetch_asks_torchvision_for_the_folder(monkeypatch, name, kind, folder, calls):
    fake = _Fake()
    monkeypatch.setattr(f"torchvision.datasets.{kind}", fake)
    fetch(source(name), Path(folder))
    assert fake.calls == [{**call, "download": True} for call in calls]


@pytest.mark.parametrize(
    "error", [OSError("no network"), RuntimeError("File not found or corrupted."), EOFError("cut")]
)
def test_fetch_failure_is_a_data_error(monkeypatch, tmp_path, error):
    monkeypatch.setattr("torchvision.datasets.SVHN", _Fake(error))
    with pytest.raises(DataError, match=f"svhn could not be downloaded to .*{error}"):
        fetch(source("svhn"), tmp_path)


def test_fetch_without_a_folder_or_a_source_says_so(tmp_path):
    with pytest.raises(DataError, match="a folder must be named for cifar10"):
        fetch(source("cifar10"), None)
    for name in ("digits", "imagefolder"):
        with pytest.raises(DataError, match=f"{name} cannot be downloaded"):
            fetch(source(name), tmp_path)
