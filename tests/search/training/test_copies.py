import os

import numpy as np
import pytest

from leni.errors import DataError
from search.training.copies import first_copies, without_copies
from search.training.listing import list_images


def test_first_copies_agree_with_comparing_all_bytes(tmp_path):
    draw = np.random.default_rng(0)
    tails = [draw.bytes(5000) for _ in range(2)]
    contents = [
        draw.bytes(draw.integers(1, 4)) + tails[draw.integers(2)] for _ in range(40)
    ]  # many agree in their tail
    contents += [contents[3], contents[7], contents[3], tails[0], tails[0][:-1] + b"x"]
    draw.shuffle(contents)
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert first_copies(paths).tolist() == [contents.index(content) for content in contents]


def test_first_copies_empty_and_missing_files_are_copies_of_none(tmp_path):
    paths = [tmp_path / name for name in "abcd"]
    paths[1].touch()
    paths[2].touch()
    assert first_copies(paths).tolist() == [0, 1, 2, 3]
    assert first_copies([]).tolist() == []


def _copy(source, target):
    target.write_bytes(source.read_bytes())


def _without(root, places):
    lists, left_out = list_images(root, places)
    found = without_copies(lists, left_out)
    return {part: [str(path.relative_to(root)) for path in images.paths] for part, images in found.items()}, left_out


def test_without_copies_a_folder_that_is_yet_to_be_split_has_each_picture_once(write_images):
    folder = write_images("set", {"a": 2, "b": 2})
    _copy(folder / "a" / "1.png", folder / "a" / "1 copy.png")
    _copy(folder / "a" / "0.png", folder / "b" / "2.png")
    os.link(folder / "b" / "0.png", folder / "b" / "3.png")
    found, left_out = _without(folder, {"train": folder})
    assert found["train"] == ["a/0.png", "a/1 copy.png", "b/0.png", "b/1.png"]
    assert left_out.sentence().endswith(
        ": 2 copies of images of the same class (such as a/1.png), 1 copy of an image of another class (b/2.png)."
    )


def test_without_copies_training_part_goes_without_what_is_tested(write_images):
    places = {part: write_images(f"set/{part}", {"a": 3, "b": 3}) for part in ("train", "validation", "test")}
    root = places["train"].parent
    for source, target in [
        ("train/a/0", "test/a/9"),
        ("test/a/1", "validation/a/9"),
        ("validation/b/2", "train/b/9"),
        ("train/a/1", "train/a/9"),  # an image that its user has doubled stays doubled
    ]:
        _copy(root / f"{source}.png", root / f"{target}.png")
    found, left_out = _without(root, places)
    assert {part: len(paths) for part, paths in found.items()} == {"train": 6, "validation": 6, "test": 7}
    assert "test/a/9.png" in found["test"]
    assert "train/a/9.png" in found["train"]
    assert not {"train/a/0.png", "validation/a/9.png", "train/b/9.png"} & {*found["train"], *found["validation"]}
    sentence = left_out.sentence()
    assert "2 copies of images of the test part (such as validation/a/9.png)" in sentence
    assert "1 copy of an image of the validation part (train/b/9.png)" in sentence


def test_without_copies_labels_stay_with_their_images(write_images):
    folder = write_images("set", {"a": 3, "b": 4})
    _copy(folder / "a" / "0.png", folder / "a" / "2.png")
    lists, left_out = list_images(folder, {"train": folder})
    images = without_copies(lists, left_out)["train"]
    assert [images.classes[label] for label in images.labels] == [path.parent.name for path in images.paths]


def test_without_copies_part_that_is_another_once_more_is_named(write_images):
    train, test = write_images("set/train", {"a": 1, "b": 1}), write_images("set/val", {"a": 1, "b": 1})
    for name in "ab":
        _copy(train / name / "0.png", test / name / "0.png")
    with pytest.raises(DataError, match=r"every image of the class 'a' in the train part .* \(Left out of .*2 copies"):
        _without(train.parent, {"train": train, "test": test})
