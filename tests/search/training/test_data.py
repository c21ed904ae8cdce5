import pickle
import shutil
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest
import torch

from leni.errors import DataError
from search.training import datasets, memory
from search.training.data import Data, channel_statistics, describe, load, names
from search.training.image_cache import CacheUnavailable, ImageCache

PARTS = ("train", "validation", "test")


def _part_bytes(data, part):
    """Each image of a part with its label, as comparable values."""
    part = getattr(data, part)
    return [(image.numpy().tobytes(), int(label)) for image, label in zip(part.images[:], part.labels, strict=True)]


def test_names_are_the_six():
    assert names() == ("digits", "fashion-mnist", "cifar10", "cifar100", "svhn", "imagefolder")


def test_digits_are_split_60_20_20_and_stratified():
    data = load("digits")
    assert [len(getattr(data, part).labels) for part in PARTS] == [1079, 359, 359]
    assert (data.classes, data.input_shape, data.augmentation) == (10, (1, 8, 8), "none")
    whole = np.bincount(np.concatenate([getattr(data, part).labels for part in PARTS]))
    for part in PARTS:
        labels = getattr(data, part).labels.numpy()
        assert np.abs(np.bincount(labels) - whole * len(labels) / 1797).max() < 2


def test_digits_parts_are_all_images_once_with_their_labels():
    from sklearn.datasets import load_digits

    bunch, data = load_digits(), load("digits", seed=3)
    expected = [(np.rint(x * 255 / 16).astype(np.uint8).tobytes(), int(y)) for x, y in zip(bunch.data, bunch.target)]  # noqa: B905
    assert sorted(sum((_part_bytes(data, part) for part in PARTS), [])) == sorted(expected)  # noqa: RUF017


def test_split_is_a_function_of_the_seed():
    first, again, other = (_part_bytes(load("digits", seed=seed), "test") for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", ["fashion", "fashion_gz", "cifar10", "cifar100", "svhn"])
def test_official_test_part_is_kept_and_a_tenth_of_training_becomes_validation(name, request):
    written = request.getfixturevalue(name)
    data = load("fashion-mnist" if "fashion" in name else name, folder=written.folder)
    images, labels = written.parts["test"]
    assert np.array_equal(data.test.images, images)
    assert np.array_equal(data.test.labels, labels)
    images, labels = written.parts["train"]
    assert len(data.validation.labels) == max(data.classes, round(len(labels) / 10))
    both = _part_bytes(data, "train") + _part_bytes(data, "validation")
    assert sorted(both) == sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))
    assert len(data.mean) == len(data.std) == data.input_shape[0] == images.shape[1]


def test_imagefolder_without_parts_is_split_and_resized(write_images):
    data = load("imagefolder", folder=write_images("set", {"b": 9, "a": 12, "c": 3}), image_size=10)
    assert [np.bincount(getattr(data, part).labels).tolist() for part in PARTS] == [[8, 5, 1], [2, 2, 1], [2, 2, 1]]
    assert (data.input_shape, data.train.images.shape) == ((3, 10, 10), (14, 3, 10, 10))


def test_imagefolder_with_three_parts_keeps_them(write_images):
    for part, count in (("train", 4), ("val", 3)):
        write_images(f"set/{part}", {"a": count, "b": 1})
    data = load("imagefolder", folder=write_images("set/test", {"a": 1, "b": 2}).parent, image_size=8)
    assert [np.bincount(getattr(data, part).labels).tolist() for part in PARTS] == [[4, 1], [3, 1], [1, 2]]


def test_train_size_takes_a_stratified_part_of_training_alone():
    whole, small = load("digits"), load("digits", train_size=100)
    assert _part_bytes(small, "validation") == _part_bytes(whole, "validation")
    assert _part_bytes(small, "test") == _part_bytes(whole, "test")
    assert set(_part_bytes(small, "train")) < set(_part_bytes(whole, "train"))
    assert set(torch.bincount(small.train.labels).tolist()) <= {9, 10, 11}
    assert small.mean == channel_statistics(small.train.images)[0] != whole.mean


@pytest.mark.parametrize("size", [9, 1080])
def test_train_size_out_of_range_is_named(size):
    with pytest.raises(DataError, match=rf"train size of {size} .* 10 .* 1079"):
        load("digits", train_size=size)


def test_train_size_decodes_only_what_it_takes(write_images, monkeypatch):
    decoded = []
    import search.training.decoding as room

    inner = room._decode_one
    monkeypatch.setattr(room, "_decode_one", lambda path, size: (decoded.append(path), inner(path, size))[1])
    load("imagefolder", folder=write_images("set", {"a": 20, "b": 20}), image_size=8, train_size=4)
    assert len(decoded) == len(set(decoded)) == 4 + 8 + 8


def test_channel_statistics_agree_with_torch():
    images = torch.randint(0, 256, (5000, 3, 3, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[:, 1] //= 5
    mean, std = channel_statistics(images)
    pixels = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean), pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(torch.tensor(std), pixels.std((0, 2, 3), correction=0).float())


def test_channel_statistics_constant_channel_has_deviation_one():
    assert channel_statistics(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)) == ((pytest.approx(0.2),), (1.0,))


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("cifar11", {}, "no data set 'cifar11'; the nearest are cifar10"),
        ("cifar10", {}, r"cifar10 were not found \(no folder was named\): name the folder.*--download"),
        ("imagefolder", {"image_size": 8}, r"not found \(no folder was named\): name a folder"),
        ("digits", {"image_size": 8}, "only imagefolder takes one, not digits"),
        ("digits", {"download": True}, "digits cannot be downloaded"),
        ("digits", {"seed": -1}, "seed -1"),
        ("svhn", {"download": True}, "a folder must be named for svhn"),
    ],
)
def test_load_options_that_do_not_fit_are_named(name, options, complaint):
    with pytest.raises(DataError, match=complaint):
        load(name, **options)


def test_load_folder_that_does_not_fit_is_named(tmp_path, write_images):
    with pytest.raises(DataError, match=r"takes no folder, but .* was named"):
        load("digits", folder=tmp_path)
    with pytest.raises(DataError, match=rf"not in {tmp_path}\).*train_32x32\.mat"):
        load("svhn", folder=tmp_path)
    folder = write_images("set", {"a": 3, "b": 2})
    with pytest.raises(DataError, match="an image size in pixels must be given"):
        load("imagefolder", folder=folder)
    with pytest.raises(DataError, match=r"image size of 0 .* 1 pixel is the least"):
        load("imagefolder", folder=folder, image_size=0)
    with pytest.raises(DataError, match=r"imagefolder in .*set has 2 images of the class 'b'.* at least 3"):
        load("imagefolder", folder=folder, image_size=8)


def test_load_empty_part_is_named(fashion, idx_form):
    fashion.files[2].write_bytes(idx_form(np.zeros((0, 28, 28))))
    fashion.files[3].write_bytes(idx_form(np.zeros(0)))
    with pytest.raises(DataError, match=r"fashion-mnist in .* has no image in its test part"):
        load("fashion-mnist", folder=fashion.folder)


def _without_room(monkeypatch):
    def refuse(*_, **__):
        raise CacheUnavailable("decoded images cannot be kept in /full (No space left on device)")

    monkeypatch.setattr(ImageCache, "take", refuse)


def test_load_images_on_disk_may_take_more_than_the_memory(write_images, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 10**5)
    data = load("imagefolder", folder=write_images("set", {"a": 20, "b": 20}), image_size=65)
    assert data.train.images.shape == (24, 3, 65, 65)
    assert data.notes == ()


def test_load_without_room_on_disk_takes_at_most_half_of_the_memory(write_images, monkeypatch):
    folder = write_images("set", {"a": 20, "b": 20})
    stored = load("imagefolder", folder=folder, image_size=64)
    _without_room(monkeypatch)
    monkeypatch.setattr(memory, "available_memory", lambda: 10**6)
    data = load("imagefolder", folder=folder, image_size=64)  # 491,520 bytes
    assert data.notes == (
        "The images are decoded into memory: decoded images cannot be kept in /full (No space left on device).",
    )
    assert all(torch.equal(getattr(data, part).images, getattr(stored, part).images[:]) for part in PARTS)
    with pytest.raises(DataError, match=r"imagefolder in .* over half of .* available \(decoded images cannot be kept"):
        load("imagefolder", folder=folder, image_size=65)
    assert len(load("imagefolder", folder=folder, image_size=65, train_size=20).train.labels) == 20


def test_load_tells_how_many_images_are_decoded(write_images):
    told, folder = [], write_images("set", {"a": 20, "b": 20})
    load("imagefolder", folder=folder, image_size=8, train_size=4, progress=lambda *pair: told.append(pair))
    assert told[-1] == (20, 20)
    load("imagefolder", folder=folder, image_size=8, progress=lambda *pair: told.append(pair))
    assert told[-1] == (24, 40)  # the other parts were there before


def test_load_statistics_of_stored_images_are_counted_once(write_images, monkeypatch):
    folder = write_images("set", {"a": 20, "b": 20})
    first = load("imagefolder", folder=folder, image_size=8)
    assert (first.mean, first.std) == channel_statistics(first.train.images[:])
    monkeypatch.setattr("search.training.data.channel_statistics", lambda images: pytest.fail("counted again"))
    again = load("imagefolder", folder=folder, image_size=8)
    assert (again.mean, again.std) == (first.mean, first.std)


def test_arrays_of_stored_images_are_read_again_where_their_file_is_not(write_images):
    data = load("imagefolder", folder=write_images("set", {"a": 8, "b": 8}), image_size=8, seed=3, train_size=6)
    arrays = pickle.loads(pickle.dumps(data.to_arrays()))
    assert Data.from_arrays(arrays).train.images.file == data.train.images.file
    shutil.rmtree(data.train.images.file.parent)
    back = Data.from_arrays(arrays)
    assert all(_part_bytes(back, part) == _part_bytes(data, part) for part in PARTS)


def test_arrays_of_stored_images_that_are_others_on_this_machine_are_refused(write_images):
    folder = write_images("set", {"a": 8, "b": 8})
    arrays = load("imagefolder", folder=folder, image_size=8).to_arrays()
    shutil.rmtree(arrays["train_images"].file.parent)
    for number in range(5):
        (folder / "a" / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"imagefolder in .*set has other images on this machine"):
        Data.from_arrays(arrays)


@pytest.mark.parametrize("download", [False, True])
def test_load_downloads_only_what_is_missing_and_when_asked(svhn, monkeypatch, tmp_path, download):
    fetched = []
    monkeypatch.setattr("search.training.data.fetch", lambda row, folder: fetched.append((row.name, folder)))
    load("svhn", folder=svhn.folder, download=download)
    assert fetched == []
    with pytest.raises(DataError, match="were not found"):
        load("svhn", folder=tmp_path, download=download)
    assert fetched == ([("svhn", tmp_path)] if download else [])


def test_arrays_give_the_data_back_without_a_copy():
    data = load("digits")
    arrays = data.to_arrays()
    back = Data.from_arrays(arrays)
    for field in fields(Data):
        if field.name not in PARTS:
            assert getattr(back, field.name) == getattr(data, field.name)
    for part in PARTS:
        assert getattr(back, part).images.data_ptr() == getattr(data, part).images.data_ptr()
        assert torch.equal(getattr(back, part).labels, getattr(data, part).labels)
    assert "train_images" in arrays


def test_arrays_may_be_read_only():
    arrays = load("digits").to_arrays()
    for value in arrays.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    assert Data.from_arrays(arrays).train.images.sum() == arrays["train_images"].sum(dtype=np.int64)


def test_data_is_frozen():
    with pytest.raises(FrozenInstanceError):
        load("digits").name = "other"


def test_describe_knows_what_is_there(svhn, write_images, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "FASHION_PACKAGE", tmp_path / "none")
    assert describe("digits").found
    missing = describe("fashion-mnist")
    assert (missing.images, missing.found, missing.where) == (70_000, False, "")
    assert "dataset-fashion-mnist" in missing.hint
    there = describe("svhn", folder=svhn.folder)
    assert (there.found, there.where, there.hint) == (True, str(svhn.folder), "")
    info = describe("imagefolder", folder=write_images("set", {"a": 3, "b": 2}))
    assert (info.images, info.classes, info.input_shape, info.found) == (5, 2, None, True)


def test_describe_folder_without_classes_is_not_found(tmp_path):
    info = describe("imagefolder", folder=tmp_path)
    assert not info.found
    assert "holds no class folders" in info.hint
    assert describe("imagefolder", folder=tmp_path / "gone").hint.startswith("there is no folder")


def test_describe_opens_no_file(cifar10):
    for path in cifar10.files:
        path.write_bytes(b"")
    assert describe("cifar10", folder=cifar10.folder).found


def _broken_set(write_images):
    folder = write_images("set", {"a": 12, "b": 12})
    for name in ("a/3.png", "b/5.png", "b/7.png"):
        (folder / name).write_bytes(b"<html>" + name.encode())
    return folder


def test_load_skips_broken_images_when_told_to_and_counts_them(write_images):
    folder = _broken_set(write_images)
    with pytest.raises(DataError, match=r"(a/3|b/5|b/7)\.png is not an image"):
        load("imagefolder", folder=folder, image_size=8)
    data = load("imagefolder", folder=folder, image_size=8, skip_broken=True)
    assert sum(len(getattr(data, part).labels) for part in PARTS) == 21
    assert all(len(getattr(data, part).labels) == len(getattr(data, part).images) for part in PARTS)
    assert data.skipped == 3
    assert data.notes[-1].startswith("3 of 24 images cannot be read and are left out, such as this one: ")


def test_load_skipping_broken_images_keeps_the_others_where_they_were(write_images):
    folder = write_images("set", {"a": 12, "b": 12})
    whole = load("imagefolder", folder=folder, image_size=8)
    (folder / "a" / "3.png").write_bytes(b"")
    data = load("imagefolder", folder=folder, image_size=8, skip_broken=True)
    assert data.skipped == 1
    for part in PARTS:
        assert set(_part_bytes(data, part)) <= set(_part_bytes(whole, part))


def test_load_class_without_a_readable_image_is_named(write_images):
    folder = write_images("set", {"a": 5, "b": 5})
    for path in (folder / "b").iterdir():
        path.write_bytes(b"no image: " + path.name.encode())
    with pytest.raises(DataError, match=r"set has no image of the class 'b' in its train part that can be read: .*b/"):
        load("imagefolder", folder=folder, image_size=8, skip_broken=True)


def test_load_says_what_is_left_out(write_images):
    folder = write_images("set", {"a": 5, "b": 5, ".ipynb_checkpoints": 1})
    sentence = f"Left out of {folder}: 1 hidden or system entry (.ipynb_checkpoints)."
    assert load("imagefolder", folder=folder, image_size=8).notes == (sentence,)
    assert describe("imagefolder", folder=folder).notes == (sentence,)


@pytest.mark.parametrize("name", ["cifar10", "imagefolder", "svhn", "fashion-mnist"])
@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("set.zip", r"set\.zip is an archive, which must be extracted first"),
        ("a.png", r"a\.png is a file, not a folder"),
    ],
)
def test_load_file_in_place_of_a_folder_is_named(tmp_path, name, file, complaint):
    (tmp_path / file).touch()
    with pytest.raises(DataError, match=complaint):
        load(name, folder=tmp_path / file, image_size=8 if name == "imagefolder" else None)
    assert file in describe(name, folder=tmp_path / file).hint


@pytest.mark.parametrize("name", ["cifar10", "imagefolder", "svhn", "fashion-mnist"])
def test_load_folder_without_permission_is_named(tmp_path, monkeypatch, name):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.stat", refuse)
    with pytest.raises(DataError, match=r"locked cannot be read \(Permission denied\)"):
        load(name, folder=tmp_path / "locked", image_size=8 if name == "imagefolder" else None)


@pytest.mark.parametrize("folder", ["x" * 300, "a\0b"])
def test_load_impossible_folder_is_one_sentence(folder):
    with pytest.raises(DataError) as caught:
        load("cifar10", folder=Path(folder))
    assert str(caught.value).isprintable()


def test_load_expands_the_users_home(write_images, monkeypatch):
    folder = write_images("set", {"a": 5, "b": 5})
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load("imagefolder", folder=Path("~/set"), image_size=8).classes == 2
    assert describe("imagefolder", folder=Path("~/set")).found
