import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from leni.errors import DataError
from search.training.listing import HIDDEN, LEADS_BACK, LEADS_NOWHERE, list_images, sub_folders

COUNTS = {"cat": 4, "dog": 5}


def _listed(root, places=None):
    """The names in each class of each part, and what was left out, by reason."""
    lists, left_out = list_images(root, places or {"train": root})
    names = {
        part: {
            name: [
                str(path.relative_to(root)) for path, label in zip(found.paths, found.labels, strict=True) if label == i
            ]
            for i, name in enumerate(found.classes)
        }
        for part, found in lists.items()
    }
    return (names if places else names["train"]), left_out.counts


def _counts(root):
    return {name: len(paths) for name, paths in _listed(root)[0].items()}


def test_list_images_counts_nested_folders_and_sorts_as_torchvision(write_images):
    from torchvision.datasets import ImageFolder

    folder = write_images("set", {"zebra": 3, "ant": 11, "cat": 4, "cat/more": 2, "cat/Also": 2})
    found = list_images(folder, {"train": folder})[0]["train"]
    theirs = ImageFolder(folder)
    assert found.classes == ("ant", "cat", "zebra")
    assert [(str(path), label) for path, label in zip(found.paths, found.labels, strict=True)] == theirs.samples


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints", ".DS_Store", "__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", ".git", "$RECYCLE.BIN"],
)
@pytest.mark.parametrize("where", [".", "dog", "dog/deep"])
def test_list_images_passes_over_hidden_and_system_folders(write_images, name, where):
    folder = write_images("set", {**COUNTS, "dog/deep": 1})
    write_images("set", {f"{where}/{name}": 2})
    names, left_out = _listed(folder)
    assert {label: len(paths) for label, paths in names.items()} == {"cat": 4, "dog": 6}
    assert left_out == {HIDDEN: 1}


@pytest.mark.parametrize("name", ["._1.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "1.png~"])
def test_list_images_passes_over_hidden_and_system_files(write_images, name):
    folder = write_images("set", COUNTS)
    (folder / "dog" / name).write_bytes((folder / "dog" / "0.png").read_bytes())
    assert _counts(folder) == COUNTS


def test_list_images_says_what_it_leaves_out(write_images):
    folder = write_images("set", COUNTS)
    (folder / "README.md").touch()
    (folder / "0.png").touch()
    (folder / "cat" / "a\nb.txt").touch()
    os.mkfifo(folder / "dog" / "pipe.png")
    (folder / "dog" / "gone.png").symlink_to("nowhere")
    sentence = list_images(folder, {"train": folder})[1].sentence()
    assert sentence == (
        f"Left out of {folder}: 2 entries outside of the class folders (such as 0.png), 1 file that is not an image "
        r"(cat/a\nb.txt), 1 link that leads nowhere (dog/gone.png), "
        "1 entry that is neither a file nor a folder (dog/pipe.png)."
    )


def test_list_images_leaves_nothing_unsaid_where_nothing_is_left_out(write_images):
    folder = write_images("set", COUNTS)
    assert list_images(folder, {"train": folder})[1].sentence() == ""


@pytest.mark.parametrize("target", ["..", "../..", "../../..", "../cat", ".", "/"])
def test_list_images_follows_no_link_to_what_is_listed_or_above(write_images, target):
    folder = write_images("set", COUNTS)
    write_images("other", {"a": 3})
    (folder / "dog" / "up").symlink_to(target)
    names, left_out = _listed(folder)
    assert {label: len(paths) for label, paths in names.items()} == COUNTS
    assert left_out == {LEADS_BACK: 1}


@pytest.mark.parametrize(("target", "reason"), [(".", LEADS_BACK), ("dog", LEADS_BACK), ("x", LEADS_NOWHERE)])
def test_list_images_link_beside_the_classes_is_no_class(write_images, target, reason):
    folder = write_images("set", COUNTS)
    (folder / "aaa").symlink_to(target)
    names, left_out = _listed(folder)
    assert list(names) == ["cat", "dog"]
    assert left_out == {reason: 1}


def test_list_images_image_stays_in_its_own_class_when_an_earlier_one_links_to_it(write_images):
    folder = write_images("set", COUNTS)
    (folder / "cat" / "a.png").symlink_to("../dog/0.png")
    (folder / "cat" / "deeper").mkdir()
    (folder / "cat" / "deeper" / "dogs").symlink_to(folder / "dog")
    assert _counts(folder) == COUNTS


def test_list_images_follows_links_out_of_the_folder(write_images):
    folder = write_images("set", {"cat": 1, "dog": 1})
    outside = write_images("store", {"cats": 3, "dogs/more": 2, ".objects": 1})
    (folder / "cat" / "outside").symlink_to(outside / "cats")
    (folder / "emu").symlink_to(outside / "dogs")
    (folder / "dog" / "blob.PNG").symlink_to(outside / ".objects" / "0.png")
    names, left_out = _listed(folder)
    assert {label: len(paths) for label, paths in names.items()} == {"cat": 4, "dog": 2, "emu": 2}
    assert "dog/blob.PNG" in names["dog"]
    assert left_out == {}


def test_list_images_two_links_to_one_file_list_it_once(write_images):
    folder = write_images("set", {"cat": 1, "dog": 1})
    outside = write_images("store", {"all": 2})
    for place in ("dog/a.png", "cat/b.png", "cat/a.png"):
        (folder / place).symlink_to(outside / "all" / "1.png")
    names, left_out = _listed(folder)
    assert names == {"cat": ["cat/0.png", "cat/a.png"], "dog": ["dog/0.png"]}
    assert left_out == {LEADS_BACK: 2}


def test_list_images_two_folders_that_link_to_one_another_end(write_images):
    folder = write_images("set", {"cat": 1, "dog": 1})
    outside = write_images("store", {"a": 2, "b": 3})
    (outside / "a" / "b").symlink_to(outside / "b")
    (outside / "b" / "a").symlink_to(outside / "a")
    (folder / "cat" / "out").symlink_to(outside / "a")
    (folder / "dog" / "loop").symlink_to("loop")
    assert _counts(folder) == {"cat": 6, "dog": 1}


def test_list_images_no_link_brings_an_image_into_a_second_part(write_images):
    train, test = write_images("set/train", COUNTS), write_images("set/test", {"cat": 2, "dog": 1})
    (train / "cat" / "more").symlink_to(test / "cat")
    (test / "dog" / "x.png").symlink_to(train / "dog" / "0.png")
    outside = write_images("store", {"all": 1})
    for place in (train / "cat", test / "cat"):
        (place / "both.png").symlink_to(outside / "all" / "0.png")
    names, left_out = _listed(train.parent, {"train": train, "test": test})
    assert {part: {label: len(paths) for label, paths in found.items()} for part, found in names.items()} == {
        "train": {"cat": 4, "dog": 5},
        "test": {"cat": 3, "dog": 1},
    }
    assert left_out == {LEADS_BACK: 3}


@pytest.mark.parametrize(
    "name", ["naïve été", " space ", "-dash", "新", "new\nline", "[bold]", "caf\udce9", "a.b.c", "🦒"]
)
def test_list_images_takes_any_class_name(tmp_path, name):
    for label in (name, "other"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (3, 3)).save(tmp_path / "x.png")
        (tmp_path / label / "x.png").write_bytes((tmp_path / "x.png").read_bytes())
    found = list_images(tmp_path, {"train": tmp_path})[0]["train"]
    assert found.classes == tuple(sorted((name, "other")))
    assert found.paths[found.classes.index(name)].read_bytes()


def test_list_images_classes_are_sorted_by_code_point(write_images):
    folder = write_images("set", dict.fromkeys(["b", "B", "ä", "a", "10", "9", "_", "-"], 1))
    assert list(_listed(folder)[0]) == ["-", "10", "9", "B", "_", "a", "b", "ä"]


def test_list_images_composed_and_decomposed_names_are_one_class(write_images):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    train, test = write_images("set/train", {composed: 2, "x": 1}), write_images("set/val", {decomposed: 1, "x": 1})
    lists, _ = list_images(train.parent, {"train": train, "test": test})
    assert lists["train"].classes == lists["test"].classes == ("x", composed)
    write_images("set/train", {decomposed: 2})
    with pytest.raises(DataError, match="two class folders whose names 'é' differ in their Unicode normalization"):
        list_images(train.parent, {"train": train})


def test_list_images_empty_class_single_class_and_no_class_are_named(write_images, tmp_path):
    folder = write_images("set", {"ant": 2, "bee": 0})
    (folder / "bee" / "a.txt").touch()
    for wrong, complaint in [
        (folder, r"bee holds no image, .*png.* \(Left out of .*set: 1 file that is not an image \(bee/a\.txt\)\)\.$"),
        (write_images("single", {"only": 2}), r"one class folder, 'only', where at least two are needed\.$"),
        (write_images("nested", {"inner/a": 1, "inner/b": 1}), r"'inner', .*; name .*nested/inner if its folders are"),
        (folder / "ant", "ant holds no class folders"),
        (tmp_path / "gone", r"gone cannot be read \(No such file or directory\)"),
    ]:
        with pytest.raises(DataError, match=complaint):
            list_images(wrong, {"train": wrong})


def test_list_images_folder_without_permission_is_named(write_images, monkeypatch):
    folder, inner = write_images("set", COUNTS), os.scandir

    def scandir(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return inner(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"set/cat cannot be read \(Permission denied\)"):
        list_images(folder, {"train": folder})


def test_list_images_is_the_same_in_whatever_order_a_file_system_gives_entries(write_images, monkeypatch):
    folder, inner = write_images("set", {**COUNTS, "dog/b": 2, "dog/a": 2}), os.scandir
    (folder / "cat" / "l1.png").symlink_to(folder / "dog" / "0.png")
    expected = list_images(folder, {"train": folder})[0]["train"].paths

    class Reversed(list):
        __enter__, __exit__ = (lambda self: self), (lambda *_: None)

    monkeypatch.setattr(os, "scandir", lambda path: Reversed(sorted(inner(path), key=lambda e: e.name, reverse=True)))
    assert list_images(folder, {"train": folder})[0]["train"].paths == expected


def test_sub_folders_are_those_that_are_not_hidden(write_images):
    folder = write_images("set", {**COUNTS, ".hidden": 1})
    (folder / "a file").touch()
    (folder / "a link").symlink_to(folder / "dog")
    assert [path.name for path in sub_folders(folder)] == ["a link", "cat", "dog"]


def test_list_images_labels_are_places_in_the_list_of_classes(write_images):
    folder = write_images("set", {"b": 3, "a": 1, "c": 2})
    assert np.array_equal(list_images(folder, {"train": folder})[0]["train"].labels, [0, 1, 1, 1, 2, 2])
