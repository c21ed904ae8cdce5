import numpy as np
import pytest
from torchvision import transforms
from torchvision.datasets import ImageFolder

from leni.errors import DataError
from search.training.imagefolder import describe_folder, find_folder, folder_parts, read_folder

COUNTS = {"zebra": 3, "ant": 5, "cat": 4}


def test_read_folder_agrees_with_torchvision(write_images):
    folder = write_images("set", COUNTS)
    convention = transforms.Compose([transforms.Resize(16), transforms.CenterCrop(16), transforms.PILToTensor()])
    theirs = ImageFolder(folder, convention)
    raw = read_folder(folder, 16)
    assert raw.classes == ("ant", "cat", "zebra")
    assert raw.train.labels.tolist() == theirs.targets
    assert raw.notes == ()
    order = np.random.default_rng(0).permutation(12)
    for image, index in zip(raw.train.take(order).images[:], order, strict=True):
        assert np.array_equal(image, theirs[index][0].numpy())


def test_read_folder_opens_only_the_images_that_are_taken(write_images):
    folder = write_images("set", COUNTS)
    (folder / "ant" / "1.png").write_bytes(b"no image")
    train = read_folder(folder, 8).train
    assert train.take(np.array([0, 2])).images[:].shape == (2, 3, 8, 8)
    with pytest.raises(DataError, match=r"1\.png is not an image"):
        train.take(np.array([1]))
    assert list(train.take(np.array([2, 1]), skip_broken=True).broken) == [1]


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (("train/a", "val/a"), {"train": "train", "test": "val"}),
        (("train/a", "test/a"), {"train": "train", "test": "test"}),
        (("train/a", "val/a", "test/a"), {"train": "train", "validation": "val", "test": "test"}),
        (("train/a", "val/a", "test"), {"train": "train", "test": "val"}),
        (("train/a", "val/a", "test/.ipynb_checkpoints"), {"train": "train", "test": "val"}),
        (("train", "bus", "plane"), {"train": "."}),
        (("val/a", "test/a"), {"train": "."}),
        (("TRAIN/a", "Valid/a"), {"train": "TRAIN", "test": "Valid"}),
        (
            ("Training/a", "Validation/a", "Testing/a"),
            {"train": "Training", "validation": "Validation", "test": "Testing"},
        ),
        (("train/a", ".cache/a"), {"train": "train"}),
    ],
)
def test_folder_parts_follow_the_sub_folders(tmp_path, made, parts):
    for name in made:
        (tmp_path / name).mkdir(parents=True)
    assert folder_parts(tmp_path) == {part: tmp_path / name for part, name in parts.items()}


def test_folder_parts_two_folders_for_one_part_are_named(tmp_path):
    for name in ("train", "val", "valid"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="holds val and valid, where the validation part is one folder"):
        folder_parts(tmp_path)


def test_read_folder_with_train_and_val_has_a_test_part(write_images):
    write_images("set/train", {"a": 4, "b": 3})
    raw = read_folder(write_images("set/val", {"b": 2, "a": 1}).parent, 8)
    assert raw.train.labels.tolist() == [0] * 4 + [1] * 3
    assert raw.test.labels.tolist() == [0, 1, 1]
    assert raw.validation is None


@pytest.mark.parametrize(("train", "val", "odd"), [("ab", "ac", "b"), ("ab", "abc", "c"), ("abc", "ab", "c")])
def test_read_folder_parts_with_other_classes_are_named(write_images, train, val, odd):
    write_images("set/train", dict.fromkeys(train, 3))
    folder = write_images("set/val", dict.fromkeys(val, 2)).parent
    with pytest.raises(DataError, match=rf"val and .*train differ in the class '{odd}'"):
        read_folder(folder, 8)


def test_read_folder_says_what_it_leaves_out(write_images):
    write_images("set/train", {"a": 4, "b": 3, "a/.ipynb_checkpoints": 1})
    folder = write_images("set/val", {"b": 2, "a": 1}).parent
    write_images("set/extra", {"a": 1})
    (folder / "val" / "a" / "9.png").write_bytes((folder / "train" / "a" / "0.png").read_bytes())
    assert read_folder(folder, 8).notes == (
        f"Left out of {folder}: 1 hidden or system entry (train/a/.ipynb_checkpoints), "
        "1 entry outside of the class folders (extra), 1 copy of an image of the test part (train/a/0.png).",
    )


def test_describe_folder_counts_images_and_classes(write_images):
    write_images("set/train", {"a": 4, "b": 3})
    folder = write_images("set/val", {"b": 2, "a": 1, ".x": 1}).parent
    assert describe_folder(folder) == (10, 2, f"Left out of {folder}: 1 hidden or system entry (val/.x).")


def test_read_folder_without_a_size_says_so(tmp_path):
    with pytest.raises(DataError, match="an image size in pixels must be given"):
        read_folder(tmp_path, None)


def test_find_folder_wants_a_folder(tmp_path):
    assert find_folder(tmp_path) == tmp_path
    assert find_folder(tmp_path / "gone") is find_folder(None) is None
