"""The data sets, one row of SOURCES each: where their files lie, how they are read, what is known of them beforehand.

A new data set is a `find` (the place, or None where its files are missing), a `read` (labels, and the pixels on
demand), and a row. Every reader checks what it reads, and its DataError names the file.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from tarfile import TarError

import numpy as np

from leni.errors import DataError
from search.training.cifar import CIFAR10, CIFAR100
from search.training.idx import find_idx, read_idx
from search.training.imagefolder import find_folder, read_folder
from search.training.own_dataset import names_function, read_own
from search.training.raw import Labelled, Raw, in_memory, numbered
from search.training.svhn import find_svhn, read_svhn

FASHION_PACKAGE = Path("/usr/share/datasets/fashion-mnist")  # where Debian's dataset-fashion-mnist puts its files


@dataclass(frozen=True)
class Download:
    """torchvision's class that fetches a data set, the arguments of each call, and the folder that it makes."""

    kind: str
    calls: tuple[Mapping[str, str], ...] = ({},)
    makes: str | None = None


@dataclass(frozen=True)
class Source:
    """One data set; a number is None where it depends on the folder.

    Args:
        find: from the folder that the user named, or None, to the place of the files, or None where they are missing.
        read: from that place, and the side in pixels that images are to have (imagefolder alone), to the data.
        hint: what to do where the files are missing, as the end of a sentence.
    """

    name: str
    images: int | None
    classes: int | None
    input_shape: tuple[int, int, int] | None
    augmentation: str
    find: Callable[[Path | None], Path | None]
    read: Callable[[Path, int | None], Raw]
    hint: str
    download: Download | None = None


def source(name: str) -> Source:
    """The row of that name, or of a user's module:function; DataError with the nearest names for any other."""
    if names_function(name):
        return Source(
            name=name,
            images=None,
            classes=None,
            input_shape=None,
            augmentation="none",
            find=lambda folder: Path.cwd(),
            read=lambda place, size: read_own(name, place, size),
            hint="",
        )
    if name not in SOURCES:
        near = get_close_matches(name.lower(), SOURCES, n=3, cutoff=0.4) or SOURCES
        raise DataError(f"there is no data set '{name}'; the nearest are {', '.join(near)}.", code="LS-DATA-UNKNOWN")
    return SOURCES[name]


def fetch(row: Source, folder: Path | None) -> None:
    """Downloads the data set into `folder` through torchvision, which checks the published checksums.

    Raises:
        DataError: the set cannot be downloaded, no folder was named, or the download failed.
    """
    if row.download is None:
        raise DataError(f"{row.name} cannot be downloaded: {row.hint}.", code="LS-DATA-DOWNLOAD")
    if folder is None:
        raise DataError(f"a folder must be named for {row.name} to be downloaded to.", code="LS-DATA-DOWNLOAD")
    from torchvision import datasets

    root = folder.parent if folder.name == row.download.makes else folder
    for arguments in row.download.calls:
        try:
            getattr(datasets, row.download.kind)(root=root, download=True, **arguments)
        # No network, a full disk, a wrong checksum, an archive cut off.
        except (OSError, RuntimeError, TarError, EOFError, zlib.error) as error:
            raise DataError(
                f"{row.name} could not be downloaded to {root}: {error}.", code="LS-DATA-DOWNLOAD"
            ) from error


def _find_digits(folder: Path | None) -> Path | None:
    package = find_spec("sklearn")
    return Path(package.origin).parent / "datasets" / "data" if package and package.origin else None


def _read_digits(place: Path, size: int | None) -> Raw:
    """scikit-learn's digits; their 17 levels, 0..16, are spread over 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
    return Raw(numbered(10), (1, 8, 8), in_memory(images, bunch.target.astype(np.int64)))


_FASHION_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_FASHION_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _find_fashion(folder: Path | None) -> Path | None:
    """The folder, or torchvision's in it, or the package's where none was named; with all four files in it."""
    places = (FASHION_PACKAGE,) if folder is None else (folder, folder / "FashionMNIST" / "raw")
    return next((place for place in places if all(find_idx(place, f) for f in _FASHION_TRAIN + _FASHION_TEST)), None)


def _read_fashion(place: Path, size: int | None) -> Raw:
    train, test = (_read_fashion_part(place, *files) for files in (_FASHION_TRAIN, _FASHION_TEST))
    return Raw(numbered(10), (1, 28, 28), train, test=test)


def _read_fashion_part(place: Path, image_name: str, label_name: str) -> Labelled:
    image_file, label_file = (find_idx(place, name) or place / name for name in (image_name, label_name))
    images, labels = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{image_file} has images of {images.shape[1]} x {images.shape[2]} pixels, not of 28 x 28.")
    if len(images) != len(labels):
        raise DataError(f"{image_file} has {len(images)} images and {label_file} {len(labels)} labels: not as many.")
    if labels.max(initial=0) > 9:
        raise DataError(f"{label_file} has the label {labels.max()}, where 0..9 are right.")
    return in_memory(images[:, None], labels.astype(np.int64))


_ROWS = (
    Source(
        name="digits",
        images=1797,
        classes=10,
        input_shape=(1, 8, 8),
        augmentation="none",
        find=_find_digits,
        read=_read_digits,
        hint="it comes with scikit-learn",
    ),
    Source(
        name="fashion-mnist",
        images=70_000,
        classes=10,
        input_shape=(1, 28, 28),
        augmentation="none",
        find=_find_fashion,
        read=_read_fashion,
        hint="install Debian's package dataset-fashion-mnist, or name the folder that holds its four IDX files "
        f"({', '.join(_FASHION_TRAIN + _FASHION_TEST)}, plain or with .gz)",
        download=Download("FashionMNIST"),
    ),
    Source(
        name="cifar10",
        images=60_000,
        classes=10,
        input_shape=(3, 32, 32),
        augmentation="crop-flip",
        find=CIFAR10.find,
        read=CIFAR10.read,
        hint=f"name the folder that holds {CIFAR10.folder} with {', '.join(CIFAR10.train + CIFAR10.test)}",
        download=Download("CIFAR10", makes=CIFAR10.folder),
    ),
    Source(
        name="cifar100",
        images=60_000,
        classes=100,
        input_shape=(3, 32, 32),
        augmentation="crop-flip",
        find=CIFAR100.find,
        read=CIFAR100.read,
        hint=f"name the folder that holds {CIFAR100.folder} with {', '.join(CIFAR100.train + CIFAR100.test)}",
        download=Download("CIFAR100", makes=CIFAR100.folder),
    ),
    Source(
        name="svhn",
        images=99_289,
        classes=10,
        input_shape=(3, 32, 32),
        augmentation="crop",  # a digit's mirror image is another thing, or nothing
        find=find_svhn,
        read=read_svhn,
        hint="name the folder that holds train_32x32.mat and test_32x32.mat",
        download=Download("SVHN", calls=({"split": "train"}, {"split": "test"})),
    ),
    Source(
        name="imagefolder",
        images=None,
        classes=None,
        input_shape=None,
        augmentation="crop-flip",
        find=find_folder,
        read=read_folder,
        hint="name a folder with images in CLASS/, or in train/CLASS/ and val/CLASS/",
    ),
)
SOURCES: dict[str, Source] = {row.name: row for row in _ROWS}
