"""Reads a folder of images, one sub-folder per class: what is there first, the pixels of those that are wanted later.

A folder may be cut into parts by its user: `train`, with `val` (or `valid`, `validation`) and `test` beside it. What
counts as an image, and what is passed over, is in `search.training.listing`; what a file becomes in
`search.training.decoding`.

No picture is in two parts or under two classes, see `search.training.copies`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.copies import without_copies
from search.training.decoding import decode
from search.training.image_cache import ImageCache
from search.training.left_out import LeftOut
from search.training.listing import ImageList, list_images, sub_folders
from search.training.printable import printable
from search.training.raw import Labelled, Raw, Taken

__all__ = ["describe_folder", "find_folder", "folder_parts", "read_folder"]

PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def folder_parts(folder: Path) -> dict[str, Path]:
    """Which sub-folder is which part; only {"train": folder} where the folder holds the classes itself.

    The names are those of `PART_NAMES`, in any case. With train and one of validation and test, that one is the test
    part. With all three, each is what it is called, unless test has no class folders (ImageNet's has no labels): then
    it is left out, and validation is the test part. A folder with nothing but train has no test part.

    Raises:
        DataError: the folder cannot be read, or two sub-folders are the same part (val and valid).
    """
    folders = sub_folders(folder)
    found: dict[str, Path] = {}
    for path in folders:
        part = PART_NAMES.get(path.name.lower())
        if part in found:
            raise DataError(
                f"{printable(folder)} holds {printable(found[part].name)} and {printable(path.name)}, where the "
                f"{part} part is one folder."
            )
        if part is not None:
            found[part] = path
    if "train" not in found or (len(found) == 1 and len(folders) > 1):
        return {"train": folder}
    if "test" in found and "validation" in found and not sub_folders(found["test"]):
        del found["test"]
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return {part: found[part] for part in ("train", "validation", "test") if part in found}


def find_folder(folder: Path | None) -> Path | None:
    """The folder, where there is one."""
    return folder if folder is not None and folder.is_dir() else None


def describe_folder(place: Path) -> tuple[int, int, str]:
    """How many images and classes a folder has, before copies are looked for, and what is left out, as a sentence.

    Raises:
        DataError: as `read_folder`, but for the size.
    """
    lists, left_out = _lists(place)
    return sum(len(images.paths) for images in lists.values()), len(lists["train"].classes), left_out.sentence()


def read_folder(place: Path, size: int | None) -> Raw:
    """The parts, their images to be decoded at `size` x `size` pixels.

    Raises:
        DataError: no size was given, a part cannot be listed, the parts have different classes, or a class has no
            image beside copies of others.
    """
    if size is None:
        raise DataError(
            f"the images in {printable(place)} may be of any size: an image size in pixels must be given with them."
        )
    lists, left_out = _lists(place)
    lists = without_copies(lists, left_out)
    cache = ImageCache(place, [path for images in lists.values() for path in images.paths], size)
    parts, start = {}, 0
    for part, images in lists.items():
        parts[part] = _labelled(images, size, cache, start)
        start += len(images.paths)
    notes = (left_out.sentence(),) if left_out.counts else ()
    return Raw(
        lists["train"].classes, (3, size, size), parts["train"], parts.get("validation"), parts.get("test"), notes,
        on_disk=True,
    )  # fmt: skip


def _lists(place: Path) -> tuple[dict[str, ImageList], LeftOut]:
    """The images of each part, which all have the same classes."""
    places = folder_parts(place)
    lists, left_out = list_images(place, places)
    classes = lists["train"].classes
    for part, where in places.items():
        if odd := set(classes).symmetric_difference(lists[part].classes):
            raise DataError(
                f"{printable(where)} and {printable(places['train'])} differ in the class '{printable(min(odd))}', "
                "where both must have it."
            )
    return lists, left_out


def _labelled(images: ImageList, size: int, cache: ImageCache, start: int) -> Labelled:
    """A part whose images begin at row `start` of the cache."""

    def take(
        indices: NDArray[np.int64],
        *,
        skip_broken: bool = False,
        in_memory: bool = False,
        advance: Callable[[int, bool], None] | None = None,
    ) -> Taken:
        if in_memory:
            return decode([images.paths[index] for index in indices], size, skip_broken=skip_broken)
        return cache.take(indices + start, skip_broken=skip_broken, advance=advance)

    return Labelled(images.labels, take)
