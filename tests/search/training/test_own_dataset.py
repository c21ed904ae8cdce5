import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from leni.errors import DataError, LeniSearchError, SpecError
from search.spec import Spec
from search.training.data import Data, describe, load


class Items(Dataset):
    """A dataset of these items, with further attributes."""

    def __init__(self, items, **attributes):
        self.items = items
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.fixture
def made(monkeypatch):
    """Makes `own:make` a function that returns what it is given, and gives the name."""

    def make(value):
        module = ModuleType("own")
        module.make = value if callable(value) and not isinstance(value, Dataset) else lambda: value
        monkeypatch.setitem(sys.modules, "own", module)
        return "own:make"

    return make


def _bytes(count, shape=(3, 5, 4), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


LABELS = [2, 0, 1] * 5


def _in_order(data: Data):
    """Every image with its label, from all parts."""
    parts = (data.train, data.validation, data.test)
    return {
        (image.numpy().tobytes(), int(label))
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    }


def test_load_reads_torchs_tensor_dataset(made):
    images = torch.from_numpy(_bytes(15))
    data = load(made(TensorDataset(images, torch.tensor(LABELS))))
    assert (data.classes, data.input_shape, data.augmentation) == (3, (3, 5, 4), "none")
    assert _in_order(data) == {(image.numpy().tobytes(), label) for image, label in zip(images, LABELS, strict=True)}
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [9, 3, 3]


@pytest.mark.parametrize(
    "form",
    [
        lambda image: image.transpose(1, 2, 0),
        lambda image: torch.from_numpy(image),
        lambda image: torch.from_numpy(image).float() / 255,
        lambda image: image.transpose(1, 2, 0) / np.float32(255),
        lambda image: Image.fromarray(image.transpose(1, 2, 0)),
    ],
    ids=["array", "tensor", "float tensor", "float array", "PIL"],
)
def test_load_takes_images_of_every_form(made, form):
    images = _bytes(15)
    data = load(made(Items([(form(image), label) for image, label in zip(images, LABELS, strict=True)])))
    assert _in_order(data) == {(image.tobytes(), label) for image, label in zip(images, LABELS, strict=True)}


@pytest.mark.parametrize(
    "form", [lambda image: image, torch.from_numpy, Image.fromarray, lambda image: image[..., None]], ids="APIC"
)
def test_load_takes_grey_images_with_one_channel(made, form):
    images = _bytes(15, (6, 7))
    data = load(made(Items([(form(image), label) for image, label in zip(images, LABELS, strict=True)])))
    assert data.input_shape == (1, 6, 7)
    assert _in_order(data) == {(image.tobytes(), label) for image, label in zip(images, LABELS, strict=True)}


@pytest.mark.parametrize("key", ["image", "img"])
def test_load_takes_mappings_and_labels_of_every_form(made, key):
    forms = [int, np.int64, torch.tensor, lambda label: np.array([label])]
    items = [{key: image, "label": forms[i % 4](LABELS[i])} for i, image in enumerate(_bytes(15, (2, 2, 5)))]
    data = load(made(Items(items)))
    assert data.input_shape == (5, 2, 2)
    assert sorted(label for _, label in _in_order(data)) == sorted(LABELS)


def test_load_names_as_labels_are_sorted_or_in_the_order_of_the_classes(made):
    names = [("dog", "ant", "cat")[label] for label in LABELS]
    items = list(zip(_bytes(15), names, strict=True))
    by_name = {image.transpose(2, 0, 1).tobytes(): name for image, name in items}
    for options, order in (({}, ["ant", "cat", "dog"]), ({"classes": ["cat", "dog", "ant"]}, ["cat", "dog", "ant"])):
        data = load(made(Items(items, **options)))
        assert {order[label] == by_name[image] for image, label in _in_order(data)} == {True}


def test_load_two_and_three_datasets_are_the_parts(made):
    train, validation, test = (Items(list(zip(_bytes(12, seed=s), LABELS[:12], strict=True))) for s in range(3))
    data = load(made((train, test)))
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [9, 3, 12]
    data = load(made([train, validation, test]))
    assert np.array_equal(data.validation.images.numpy(), _bytes(12, seed=1).transpose(0, 3, 1, 2))
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [12, 12, 12]


def test_load_brings_images_to_the_size_that_is_asked_for(made):
    items = [(Image.fromarray(_bytes(1, (9 + i, 12, 3), i)[0]), label) for i, label in enumerate(LABELS)]
    with pytest.raises(DataError, match=r"item 1 of the train part .* has the shape .* an image size in pixels"):
        load(made(Items(items)))
    assert load(made(Items(items)), image_size=8).input_shape == (3, 8, 8)
    tensors = [(torch.from_numpy(np.array(image)).permute(2, 0, 1), label) for image, label in items]
    assert load(made(Items(tensors)), image_size=8).input_shape == (3, 8, 8)


def test_load_takes_the_augmentation_that_the_dataset_asks_for(made):
    items = list(zip(_bytes(15), LABELS, strict=True))
    assert load(made(Items(items, augmentation="crop"))).augmentation == "crop"
    with pytest.raises(
        DataError, match="augmentation of own:make must be one of none, crop, flip, crop-flip, got 'mixup'"
    ):
        load(made(Items(items, augmentation="mixup")))


def _raises():
    raise RuntimeError("no disk")


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


GOOD = _bytes(1)[0]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (_raises, r"own:make fails \(RuntimeError: no disk\)"),
        (3, "is of the type int, where a dataset with a length and items"),
        (Endless(), "the train part of own:make (is of the type Endless|has no length)"),
        (Items([]), "the train part of own:make is empty"),
        ((Items([]),) * 4, "own:make returns 4 datasets"),
        (Items([3]), "item 0 of the train part of own:make is of the type int, where a pair"),
        (Items([(GOOD, 0), (GOOD, 0.5)]), r"item 1 .* has the label 0\.5"),
        (Items([(GOOD, True)]), "has the label True"),
        (Items([(GOOD, 0), (GOOD, "a")]), "has integers and names as labels"),
        (Items([(GOOD.astype(np.int64), 0)]), r"an image of torch\.int64"),
        (Items([(GOOD / 255 - 0.5, 0)]), r"has values from -0\.\d+ to 0\.\d+, where 0 to 1 are expected"),
        (Items([(GOOD.ravel(), 0)]), r"an image of shape \(60,\)"),
        (Items([(GOOD, 3)], classes=["a", "b"]), "item 0 of the train part of own:make has the label 3, which is none"),
        (
            (Items([(GOOD, 0), (GOOD, 1)]), Items([(GOOD, 2)])),
            "item 0 of the test part .* label 2, which is none",
        ),
        ((Items([(GOOD, 0)]), Items([(GOOD[:2], 0)])), "the test part of own:make has images of shape"),
    ],
)
def test_load_dataset_of_another_form_is_named(made, value, complaint):
    with pytest.raises(DataError, match=complaint):
        load(made(value))


def test_load_item_that_raises_is_named(made):
    class Broken(Items):
        def __getitem__(self, index):
            return super().__getitem__(index) if index < 2 else {}["gone"]

    with pytest.raises(DataError, match=r"item 2 of the train part of own:make cannot be read \(KeyError: 'gone'\)"):
        load(made(Broken([(GOOD, 0)] * 4)))


def test_load_function_that_is_not_there_is_named(made, tmp_path):
    made(3)
    with pytest.raises(SpecError, match="data 'own:gone': module own has no function gone"):
        load("own:gone")
    with pytest.raises(LeniSearchError, match="own:make knows where its files are and takes no folder"):
        load("own:make", folder=tmp_path)


def test_spec_takes_a_function_as_data():
    assert Spec(data="own:make").data == "own:make"
    assert describe("own:make").found
