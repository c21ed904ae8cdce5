"""A data set as training sees it: three parts in memory, and what a network and a recipe must know of them.

`load` finds the files, reads the labels, splits them, and only then reads the pixels that are wanted. The split is a
function of the data set and the seed alone:

- a set with a test part of its own keeps it whole; a stratified tenth of its training part becomes the validation part
  (unless the folder has one too);
- one without is cut into 60 % training, 20 % validation and 20 % test, stratified.

To add a data set, see `search/training/datasets.py`.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from leni.errors import DataError
from results.files import replace_file
from search.training.datasets import SOURCES, Source, fetch, source
from search.training.image_cache import CacheUnavailable
from search.training.imagefolder import describe_folder
from search.training.memory import require_memory
from search.training.own_dataset import names_function
from search.training.printable import printable
from search.training.raw import Labelled, Raw, Taken
from search.training.splits import Indices, split, subset
from search.training.stored_images import StoredImages

_PARTS = ("train", "validation", "test")
_CHUNK_PIXELS = 2**22  # that are counted at once


@dataclass(frozen=True)
class Part:
    """One part: `images` uint8 (N, C, H, W), 0..255, in memory or on disk, and `labels` int64 (N,)."""

    images: torch.Tensor | StoredImages
    labels: torch.Tensor


@dataclass(frozen=True)
class Data:
    """A data set in three parts.

    Args:
        name: as in `names()`.
        classes: how many.
        input_shape: (C, H, W), pixels.
        mean: of each channel of the training part, in units where white is 1.
        std: the standard deviation, likewise; 1 for a channel that is constant, so that it can be divided by.
        augmentation: what `search.training.augment` should do: "none", "crop" or "crop-flip".
        notes: what the user should know of the set, such as what of its folder was left out, a sentence each.
        skipped: images that could not be read and were left out.
        origin: the arguments of `load` that give this data set on another machine.
    """

    name: str
    classes: int
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Part
    validation: Part
    test: Part
    augmentation: str
    notes: tuple[str, ...] = ()
    skipped: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, Any]:
        """Numpy arrays that share this object's memory, and plain values; an object store holds them without a copy.

        Images that are on disk stay there.
        """
        result = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _PARTS}
        for name in _PARTS:
            part: Part = getattr(self, name)
            images = part.images
            result[f"{name}_images"] = images if isinstance(images, StoredImages) else images.numpy()
            result[f"{name}_labels"] = part.labels.numpy()
        return result

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Data":
        """The data set that `to_arrays` described, in the arrays' own memory, which may be read-only.

        Images that are on the disk of another machine alone are read here too, once.

        Raises:
            DataError: they cannot be read here, or are others here.
        """
        values = dict(arrays)
        for name in _PARTS:
            images, labels = values.pop(f"{name}_images"), _tensor(values.pop(f"{name}_labels"))
            values[name] = Part(images if isinstance(images, StoredImages) else _tensor(images), labels)
        data = cls(**values)
        return data if all(_is_here(getattr(data, name)) for name in _PARTS) else _read_again(data)


@dataclass(frozen=True)
class DatasetInfo:
    """What can be said of a data set without reading a pixel; None where it depends on a folder that is not there.

    Args:
        images: in all parts.
        input_shape: (C, H, W); None for imagefolder, whose images take the size asked for.
        where: the place of the files, or "" where they were not found.
        hint: what to do then, or "" where they were found.
        notes: what of the folder is left out, a sentence each.
    """

    name: str
    images: int | None
    classes: int | None
    input_shape: tuple[int, int, int] | None
    found: bool
    where: str
    hint: str
    notes: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(SOURCES)


def load(
    name: str,
    *,
    folder: Path | None = None,
    download: bool = False,
    seed: int = 0,
    train_size: int | None = None,
    image_size: int | None = None,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Data:
    """The data set in three parts.

    Args:
        name: as in `names()`, or module:function of a user (`search.training.own_dataset`).
        folder: where its files lie; fashion-mnist is found without, where Debian's package puts it.
        download: fetch what is not there into `folder`; nothing is fetched otherwise.
        seed: of the split, 0..2**32-1.
        train_size: images of the training part to keep, stratified; None keeps all. The other parts stay as they are.
        image_size: the side in pixels to which imagefolder's images are brought.
        skip_broken: leave out images that cannot be read, and count them; else the first of them is an error.
        progress: told while images are decoded how many are there, and how many there will be.

    Raises:
        DataError: the name is unknown, an option does not fit the data set, files are missing, truncated or of another
            form, a class has too few images to be split, or the pixels would take over half of the memory and there is
            no room on disk for them, where they may be there.
    """
    origin = {
        "name": name, "folder": folder, "seed": seed, "train_size": train_size, "image_size": image_size,
        "skip_broken": skip_broken,
    }  # fmt: skip
    row = source(name)
    folder = folder and folder.expanduser()
    _check_options(row, folder, image_size)
    place = _find(row, folder)
    if download and (place is None or row.download is None):
        fetch(row, folder)
        place = _find(row, folder)
    if place is None:
        raise DataError(_missing(row, folder), code="LS-DATA-MISSING")
    raw = row.read(place, image_size)
    where = f"{name} in {printable(place)}"
    labelled, indices = _split(raw, seed, where)
    if train_size is not None:
        labels = labelled["train"].labels[indices["train"]]
        chosen = subset(labels, train_size, seed=seed, names=raw.classes, where=where)
        indices["train"] = indices["train"][chosen]
    taken, why_in_memory = _take(raw, labelled, indices, where, skip_broken=skip_broken, progress=progress)
    parts = {part: _part(labelled[part], indices[part], taken[part]) for part in _PARTS}
    broken = [sentence for part in _PARTS for sentence in taken[part].broken.values()]
    if broken:
        _require_classes(parts, raw.classes, where, broken)
    notes = (*raw.notes, *_broken_note(broken, sum(map(len, indices.values()))), *why_in_memory)
    mean, std = _statistics(parts["train"].images)
    augmentation = raw.augmentation or row.augmentation
    return Data(
        name, len(raw.classes), raw.input_shape, mean, std, **parts, augmentation=augmentation, notes=notes,
        skipped=len(broken), origin=origin,
    )  # fmt: skip


def describe(name: str, *, folder: Path | None = None) -> DatasetInfo:
    """What is known of the data set, and whether its files are there; opens none of them.

    Raises:
        DataError: the name is unknown.
    """
    row = source(name)
    folder = folder and folder.expanduser()
    images, classes = row.images, row.classes
    notes: tuple[str, ...] = ()
    try:
        place = _find(row, folder)
        if place is None:
            hint = ": ".join(filter(None, (_no_folder(folder), row.hint)))
            return DatasetInfo(name, images, classes, row.input_shape, False, "", hint)
        if name == "imagefolder":
            images, classes, note = describe_folder(place)
            notes = (note,) if note else ()
    except DataError as error:
        return DatasetInfo(name, row.images, row.classes, row.input_shape, False, "", str(error))
    return DatasetInfo(name, images, classes, row.input_shape, True, str(place), "", notes)


def channel_statistics(images: torch.Tensor | StoredImages) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), in units where 255 is 1.

    Exact up to float64: the 256 values are counted, so no sum grows with the number of images. A constant channel gets
    the standard deviation 1.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for chunk in images.split(max(1, _CHUNK_PIXELS // (images.shape[2] * images.shape[3]))):
        counts += torch.stack([torch.bincount(chunk[:, c].flatten(), minlength=256) for c in range(images.shape[1])])
    levels = torch.arange(256, dtype=torch.float64) / 255
    weights = counts / counts.sum(1, keepdim=True, dtype=torch.float64)
    mean = weights @ levels
    std = (weights * (levels - mean[:, None]).square()).sum(1).sqrt()
    constant = counts.count_nonzero(1) == 1
    return tuple(mean.tolist()), tuple(torch.where(constant, 1.0, std).tolist())


def _check_options(row: Source, folder: Path | None, image_size: int | None) -> None:
    if row.name == "digits" and folder is not None:
        raise DataError(f"digits comes with scikit-learn and takes no folder, but {folder} was named.")
    if names_function(row.name) and folder is not None:
        raise DataError(f"{row.name} knows where its files are and takes no folder, but {printable(folder)} was named.")
    if row.name != "imagefolder" and not names_function(row.name) and image_size is not None:
        raise DataError(f"an image size of {image_size} was asked for, but only imagefolder takes one, not {row.name}.")
    if image_size is not None and image_size < 1:
        raise DataError(f"an image size of {image_size} was asked for, where 1 pixel is the least.")


def _find(row: Source, folder: Path | None) -> Path | None:
    """The place of the files; DataError where the file system does not let them be looked for."""
    try:
        return row.find(folder)
    except (OSError, ValueError) as error:  # no permission, a name that is too long, or one with a null byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{printable(folder or '')} cannot be read ({reason}).") from error


def _missing(row: Source, folder: Path | None) -> str:
    where = _no_folder(folder) or ("no folder was named" if folder is None else f"they are not in {printable(folder)}")
    rest = ", or have them downloaded to a folder (--download)" if row.download else ""
    return f"the files of {row.name} were not found ({where}): {row.hint}{rest}."


def _no_folder(folder: Path | None) -> str:
    """What stands where a folder was named; empty where that is a folder, or nothing was named."""
    if folder is None or folder.is_dir():
        return ""
    if not folder.exists():
        return f"there is no folder {printable(folder)}"
    archive = folder.name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"))
    kind = "an archive, which must be extracted first" if archive else "a file"
    return f"{printable(folder)} is {kind}, not a folder"


def _split(raw: Raw, seed: int, where: str) -> tuple[dict[str, Labelled], dict[str, Indices]]:
    """For each part, what it is taken from and which images it takes."""
    given = {"train": raw.train, "validation": raw.validation, "test": raw.test}
    labelled = {part: given[part] or raw.train for part in _PARTS}
    indices = {part: np.arange(len(labelled[part].labels)) for part in _PARTS}
    missing = [part for part in _PARTS if given[part] is None]
    for part in _PARTS:
        if not len(labelled[part].labels):
            raise DataError(f"{where} has no image in its {part} part, where each part needs some.")
    if missing:
        shares = [0.1] if missing == ["validation"] else [0.2, 0.2]
        cut = split(raw.train.labels, shares, seed=seed, names=raw.classes, where=where)
        indices.update(zip([*missing, "train"], cut, strict=True))
    return labelled, indices


def _part(labelled: Labelled, indices: Indices, taken: Taken) -> Part:
    """The images that could be read, and their labels."""
    keep = np.ones(len(indices), dtype=bool)
    keep[list(taken.broken)] = False
    labels = torch.from_numpy(labelled.labels[indices][keep])
    if isinstance(taken.images, StoredImages):
        return Part(taken.images.some(keep), labels)
    return Part(torch.from_numpy(taken.images[keep] if taken.broken else taken.images), labels)


def _take(
    raw: Raw,
    labelled: Mapping[str, Labelled],
    indices: Mapping[str, Indices],
    where: str,
    *,
    skip_broken: bool,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, Taken], tuple[str, ...]]:
    """The images of each part; on disk where the data set can be there and has room, else in memory, and why."""
    count = sum(map(len, indices.values()))
    needed, because, done = count * int(np.prod(raw.input_shape)), "", 0

    def advance(more: int, decoded: bool) -> None:
        nonlocal done
        done += more
        if decoded and progress is not None:
            progress(done, count)

    if raw.on_disk:
        try:
            return {
                part: labelled[part].take(indices[part], skip_broken=skip_broken, advance=advance) for part in _PARTS
            }, ()
        except CacheUnavailable as error:
            because = str(error)
    require_memory(needed, where, because=because)
    taken = {part: labelled[part].take(indices[part], skip_broken=skip_broken, in_memory=True) for part in _PARTS}
    return taken, ((f"The images are decoded into memory: {because}.",) if because else ())


def _statistics(images: torch.Tensor | StoredImages) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel; of stored images they are stored beside them."""
    if not isinstance(images, StoredImages):
        return channel_statistics(images)
    path = images.file.with_name(f"statistics-{images.digest()}.json")
    try:
        mean, std = json.loads(path.read_text(encoding="utf-8"))
        return tuple(mean), tuple(std)
    except (OSError, ValueError, TypeError):
        found = channel_statistics(images)
        with suppress(OSError):  # counted again next time
            replace_file(path, json.dumps(found).encode())
        return found


def _is_here(part: Part) -> bool:
    return not isinstance(part.images, StoredImages) or part.images.available()


def _read_again(data: Data) -> Data:
    """A data set whose images are on the disk of another machine, from this machine's own files."""
    found = load(**data.origin)
    for name in _PARTS:
        if not torch.equal(getattr(found, name).labels, getattr(data, name).labels):
            raise DataError(
                f"{data.name} in {printable(data.origin['folder'])} has other images on this machine than where the "
                "search was started, where all machines need the same files."
            )
    return found


def _require_classes(parts: Mapping[str, Part], names: Sequence[str], where: str, broken: Sequence[str]) -> None:
    """Refuses a data set of which a class cannot be learned, or a part is empty, without its broken images."""
    for part, found in parts.items():
        counts = torch.bincount(found.labels, minlength=len(names))
        if not len(found.labels) or (part == "train" and not counts.all()):
            name = printable(names[int(counts.argmin())])
            raise DataError(
                f"{where} has no image of the class '{name}' in its {part} part that can be read: {broken[0]}"
            )


def _broken_note(broken: Sequence[str], count: int) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"{len(broken):,} of {count:,} images cannot be read and are left out, such as this one: {broken[0]}",)


def _tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    with warnings.catch_warnings():
        # The arrays of an object store are read-only, of which torch warns; a data set's tensors are only read.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
