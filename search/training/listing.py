"""Finds the images of a data folder, one sub-folder per class.

Links to files and folders are followed, but a picture is listed once: where it really lies, if that is in the data
folder, else where the first link to it is. A link to a folder that is listed anyway, or to one above the data folder,
is passed over, so that no link brings an image into a second class or a second part. What is left out is counted.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.image_names import is_hidden, is_image
from search.training.left_out import LeftOut, Reason
from search.training.printable import printable

__all__ = ["ImageList", "list_images", "sub_folders"]

HIDDEN = Reason("hidden or system entry", "hidden or system entries")
NO_IMAGE = Reason("file that is not an image", "files that are not images")
NO_FILE = Reason("entry that is neither a file nor a folder", "entries that are neither files nor folders")
LEADS_BACK = Reason("link to what is listed already", "links to what is listed already")
LEADS_NOWHERE = Reason("link that leads nowhere", "links that lead nowhere")
NO_CLASS = Reason("entry outside of the class folders", "entries outside of the class folders")
_LINK_ORDER = ("test", "validation", "train")  # which part keeps a picture that links in several parts lead to


@dataclass(frozen=True)
class ImageList:
    """The images of one folder: their paths, their labels (N,), and the names of the classes in order."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Link:
    """A link that was met in a class of a part: its path, and the path of what it finally leads to."""

    part: str
    label: str
    path: str
    target: Path


def sub_folders(folder: Path) -> list[Path]:
    """The folders in `folder` that are not hidden, links to folders among them, sorted by name.

    Raises:
        DataError: the folder cannot be read.
    """
    with _named(folder):
        return [Path(entry) for entry in _entries(folder) if not is_hidden(entry.name) and entry.is_dir()]


def list_images(root: Path, places: Mapping[str, Path]) -> tuple[dict[str, ImageList], LeftOut]:
    """What PLACE/CLASS/... holds for each part, sorted by class and path.

    Args:
        root: the data folder.
        places: the folder of each part ("train", "validation", "test"), inside `root`, or `root` itself.

    Returns:
        The images of each part, and what was left out.

    Raises:
        DataError: a folder cannot be read, a part has fewer than two class folders, or a class has no image.
    """
    walk = _Walk(root)
    for part in sorted(places, key=lambda part: places[part].is_symlink()):  # what lies there really comes first
        walk.list_part(part, places[part])
    walk.follow_links()
    if root not in places.values():
        with _named(root):
            for entry in _entries(root):
                if Path(entry) not in places.values():
                    walk.left_out.add(HIDDEN if is_hidden(entry.name) else NO_CLASS, Path(entry))
    return {part: walk.image_list(part, place) for part, place in places.items()}, walk.left_out


class _Walk:
    """One pass over a data folder: what really lies there first, then what links lead to."""

    def __init__(self, root: Path) -> None:
        self.left_out = LeftOut(root)
        self.images: dict[str, dict[str, list[str]]] = {}  # by part and class
        real = Path(os.path.realpath(root))
        self.above = {str(real), *map(str, real.parents)}
        self.seen: set[str] = set()  # real paths of the folders that are listed, and of files that links led to
        self.links: list[_Link] = []

    def list_part(self, part: str, place: Path) -> None:
        """List what really lies in the class folders of a part, and note its links.

        Raises:
            DataError: the folder or one in it cannot be read, or two classes have the same name.
        """
        classes = self.images[part] = {}
        with _named(place):
            for entry in _entries(place):
                label = unicodedata.normalize("NFC", entry.name)  # as which macOS and Linux agree on a name
                if is_hidden(entry.name):
                    self.left_out.add(HIDDEN, Path(entry))
                elif entry.is_symlink() and (entry.is_dir() or not Path(entry).exists()):
                    self._note_link(part, label, entry.path)
                elif not entry.is_dir():
                    self.left_out.add(NO_CLASS, Path(entry))
                elif label in classes:
                    raise DataError(
                        f"{printable(place)} holds two class folders whose names '{printable(label)}' differ in their "
                        "Unicode normalization alone, where each class has one folder."
                    )
                else:
                    classes[label] = []
                    self._list_folder(part, label, entry.path, os.path.realpath(entry.path))

    def follow_links(self) -> None:
        """List what the links lead to, unless it is listed already: folders first, in which linked files may lie."""
        files: list[_Link] = []
        while self.links:
            batch, self.links = sorted(self.links, key=_link_order), []
            for link in batch:
                if not link.target.is_dir():
                    files.append(link)
                elif str(link.target) in self.seen or str(link.target) in self.above:
                    self.left_out.add(LEADS_BACK, Path(link.path))
                else:
                    self.images[link.part].setdefault(link.label, [])
                    self._list_folder(link.part, link.label, link.path, str(link.target))
        for link in sorted(files, key=_link_order):
            self._list_linked_file(link)

    def image_list(self, part: str, place: Path) -> ImageList:
        """The images of a part in order.

        Raises:
            DataError: there are fewer than two classes, or one of them has no image.
        """
        found = self.images[part]
        names = sorted(found)
        if len(names) < 2:
            raise DataError(_too_few_classes(place, names))
        for name in names:
            if not found[name]:
                left_out = self.left_out.sentence().rstrip(".")
                raise DataError(
                    f"{printable(place / name)} holds no image, where files such as .jpg, .png or .webp are read"
                    f"{f' ({left_out})' if left_out else ''}."
                )
        paths = [Path(path) for name in names for path in sorted(found[name], key=_folder_and_name)]
        labels = np.repeat(np.arange(len(names), dtype=np.int64), [len(found[name]) for name in names])
        return ImageList(tuple(names), tuple(paths), labels)

    def _list_folder(self, part: str, label: str, folder: str, real: str) -> None:
        """List a class's folder and all that really lies in it; `real` is its path without links."""
        images, waiting = self.images[part][label], [(folder, real)]
        while waiting:
            folder, real = waiting.pop()
            if real in self.seen or real in self.above:
                self.left_out.add(LEADS_BACK, Path(folder))
                continue
            self.seen.add(real)
            with _named(Path(folder)):
                for entry in _entries(folder):
                    if is_hidden(entry.name):
                        self.left_out.add(HIDDEN, Path(entry))
                    elif entry.is_symlink():
                        self._note_link(part, label, entry.path)
                    elif entry.is_dir():
                        waiting.append((entry.path, f"{real}/{entry.name}"))
                    elif not entry.is_file():
                        self.left_out.add(NO_FILE, Path(entry))
                    elif is_image(entry.path):
                        images.append(entry.path)
                    else:
                        self.left_out.add(NO_IMAGE, Path(entry))

    def _note_link(self, part: str, label: str, path: str) -> None:
        """Keep a link for later, unless it leads nowhere."""
        target = Path(os.path.realpath(path))
        if target.exists():
            self.links.append(_Link(part, label, path, target))
        else:
            self.left_out.add(LEADS_NOWHERE, Path(path))

    def _list_linked_file(self, link: _Link) -> None:
        """List the file behind a link, if it is an image that is not listed already."""
        path, target = Path(link.path), link.target
        if not target.is_file():
            self.left_out.add(NO_FILE, path)
        elif not is_image(link.path):
            self.left_out.add(NO_IMAGE, path)
        elif str(target) in self.seen or (
            str(target.parent) in self.seen and not is_hidden(target.name) and is_image(str(target))
        ):
            self.left_out.add(LEADS_BACK, path)
        else:
            self.seen.add(str(target))
            self.images[link.part][link.label].append(link.path)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name: by code points, which no locale changes."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into a DataError that names the folder."""
    try:
        yield
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else folder
        raise DataError(f"{printable(name)} cannot be read ({error.strerror}).") from error


def _link_order(link: _Link) -> tuple[int, str]:
    return _LINK_ORDER.index(link.part), link.path


def _folder_and_name(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _too_few_classes(place: Path, names: list[str]) -> str:
    """The sentence about a folder with no class or with one."""
    where = printable(place)
    if not names:
        return f"{where} holds no class folders, where {where}/CLASS/IMAGE.png is expected."
    inner = place / names[0]
    hint = f"; name {printable(inner)} if its folders are the classes" if len(sub_folders(inner)) > 1 else ""
    return f"{where} holds one class folder, '{printable(names[0])}', where at least two are needed{hint}."
