"""Reads a folder of images, one sub-folder a class: what is there first, the pixels of those that are wanted later.

The images are brought to one size as torchvision does it: the shorter side is resized to `size` (bilinear, smoothed),
then the centre is cut out.
"""

import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.cpus import usable_cpus
from search.training.raw import Labelled, Raw

_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "La", "RGBa")


@dataclass(frozen=True)
class ImageList:
    """The images of one folder: their paths, their labels (N,), and the names of the classes in order."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]


def list_images(folder: Path) -> ImageList:
    """What FOLDER/CLASS/... holds, sorted by class and path, without opening an image.

    Raises:
        DataError: there is no such folder, it has fewer than two class folders, or one of them holds no image.
    """
    from torchvision.datasets import ImageFolder
    from torchvision.datasets.folder import IMG_EXTENSIONS

    try:
        found = ImageFolder(folder, allow_empty=True)
    except FileNotFoundError:
        raise DataError(f"{folder} holds no class folders, where {folder}/CLASS/IMAGE.png is expected.") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error}).") from error
    if len(found.classes) < 2:
        raise DataError(f"{folder} holds one class folder, '{found.classes[0]}', where at least two are needed.")
    labels = np.array(found.targets, dtype=np.int64)
    counts = np.bincount(labels, minlength=len(found.classes))
    if not counts.all():
        empty = folder / found.classes[int(counts.argmin())]
        raise DataError(f"{empty} holds no image; files ending in {', '.join(IMG_EXTENSIONS)} are read.")
    return ImageList(tuple(found.classes), tuple(Path(path) for path, _ in found.samples), labels)


def folder_parts(folder: Path) -> dict[str, Path]:
    """Which sub-folder is which part; only {"train": folder} where the folder holds the classes itself.

    With train/ and one of val/ and test/, that one is the test part. With all three, val/ is the validation part,
    unless test/ has no class folders (ImageNet's has no labels): then it is left out, and val/ is the test part.
    """
    train, val, test = (folder / name for name in ("train", "val", "test"))
    if not train.is_dir() or not (val.is_dir() or test.is_dir()):
        return {"train": folder}
    if not val.is_dir():
        return {"train": train, "test": test}
    if not test.is_dir() or not any(entry.is_dir() for entry in test.iterdir()):
        return {"train": train, "test": val}
    return {"train": train, "validation": val, "test": test}


def find_folder(folder: Path | None) -> Path | None:
    """The folder, where there is one."""
    return folder if folder is not None and folder.is_dir() else None


def read_folder(place: Path, size: int | None) -> Raw:
    """The parts, their images to be decoded at `size` x `size` pixels.

    Raises:
        DataError: no size was given, a part cannot be listed, or the parts have different classes.
    """
    if size is None:
        raise DataError(f"the images in {place} may be of any size: an image size in pixels must be given with them.")
    places = folder_parts(place)
    lists = {part: list_images(where) for part, where in places.items()}
    classes = lists["train"].classes
    for part, where in places.items():
        if odd := set(classes).symmetric_difference(lists[part].classes):
            raise DataError(f"{where} and {places['train']} differ in the class '{min(odd)}', where both must have it.")
    parts = {part: _labelled(images, size) for part, images in lists.items()}
    return Raw(classes, (3, size, size), parts["train"], parts.get("validation"), parts.get("test"))


def _labelled(images: ImageList, size: int) -> Labelled:
    return Labelled(images.labels, lambda indices: decode([images.paths[index] for index in indices], size))


def decode(paths: list[Path], size: int) -> NDArray[np.uint8]:
    """The images at `paths` as (N, 3, size, size), 0..255, red, green, blue, with a thread for each usable CPU.

    Raises:
        DataError: a file is not an image that Pillow reads, is truncated, or has more than 8 bits a channel.
    """
    images = np.empty((len(paths), 3, size, size), dtype=np.uint8)

    def fill(row: int) -> None:
        images[row] = _decode_one(paths[row], size)

    with ThreadPoolExecutor(usable_cpus()) as pool:
        for _ in pool.map(fill, range(len(paths))):  # raises what a thread has raised, and cancels the others
            pass
    return images


def _decode_one(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as (3, size, size)."""
    from PIL import Image
    from torchvision.transforms import functional

    try:
        with Image.open(path) as opened:
            mode = opened.mode
            image = opened.convert("RGB")
    # OSError covers files cut off and files of another kind; the others come from broken headers and chunks.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be decoded ({error}): it is truncated, corrupt, or not an image.") from error
    if mode not in _EIGHT_BITS:
        raise DataError(f"{path} has the mode {mode}, where images of 8 bits a channel are expected.")
    cut = functional.center_crop(functional.resize(image, [size]), [size])
    return np.asarray(cut).transpose(2, 0, 1)
