"""Small data sets in the published forms, written for the tests of the readers."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat


@dataclass(frozen=True)
class Written:
    """A data set on disk: its folder, its files, and what was written, as {part: (images NCHW, labels)}."""

    folder: Path
    files: tuple[Path, ...]
    parts: dict[str, tuple[np.ndarray, np.ndarray]]


def _random_part(count: int, shape: tuple[int, int, int], classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels, and labels in no order with every class at least `count // classes` times."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, draw.permutation(np.arange(count) % classes)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def _write_fashion(folder: Path, compress: bool) -> Written:
    folder.mkdir(parents=True)
    parts = {"train": _random_part(37, (1, 28, 28), 10, 1), "test": _random_part(13, (1, 28, 28), 10, 2)}
    files = []
    for prefix, (images, labels) in zip(("train", "t10k"), parts.values(), strict=True):
        for kind, array in (("images-idx3", images[:, 0]), ("labels-idx1", labels)):
            content = idx_bytes(array)
            path = folder / f"{prefix}-{kind}-ubyte{'.gz' if compress else ''}"
            path.write_bytes(gzip.compress(content) if compress else content)
            files.append(path)
    return Written(folder, tuple(files), parts)


def python2_pickle(batch: dict[str, object]) -> bytes:
    """The dictionary as Python 2 and its numpy pickled it, which is how CIFAR is published."""
    items = b"".join(_pickled(key) + _pickled(value) for key, value in batch.items())
    return b"\x80\x02}(" + items + b"u."


def _pickled(value: object) -> bytes:
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode("ascii")
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    assert isinstance(value, np.ndarray)
    code = value.dtype.str[1:].encode("ascii")
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(map(_pickled, value.shape)) + b"t"
    return start + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", value.nbytes) + value.tobytes() + b"tb"


def _write_cifar(folder: Path, names: dict[str, list[str]], key: str, classes: int, count: int) -> Written:
    folder.mkdir(parents=True)
    parts = {
        "train": _random_part(count, (3, 32, 32), classes, 3),
        "test": _random_part(classes, (3, 32, 32), classes, 4),
    }
    files = []
    for part, (images, labels) in parts.items():
        rows = np.array_split(np.arange(len(labels)), len(names[part]))
        for name, row in zip(names[part], rows, strict=True):
            batch = {"batch_label": name, key: labels[row].tolist(), "data": images[row].reshape(len(row), -1)}
            (folder / name).write_bytes(python2_pickle({**batch, "filenames": [f"{i}.png" for i in row]}))
            files.append(folder / name)
    return Written(folder, tuple(files), parts)


@pytest.fixture
def idx_form() -> Callable[[np.ndarray], bytes]:
    return idx_bytes


@pytest.fixture
def pickle_form() -> Callable[[dict[str, object]], bytes]:
    return python2_pickle


@pytest.fixture
def fashion(tmp_path: Path) -> Written:
    return _write_fashion(tmp_path / "fashion", compress=False)


@pytest.fixture
def fashion_gz(tmp_path: Path) -> Written:
    return _write_fashion(tmp_path / "FashionMNIST" / "raw", compress=True)


@pytest.fixture
def cifar10(tmp_path: Path) -> Written:
    names = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    return _write_cifar(tmp_path / "cifar-10-batches-py", names, "labels", 10, 43)


@pytest.fixture
def cifar100(tmp_path: Path) -> Written:
    return _write_cifar(tmp_path / "cifar-100-python", {"train": ["train"], "test": ["test"]}, "fine_labels", 100, 230)


@pytest.fixture
def svhn(tmp_path: Path) -> Written:
    folder = tmp_path / "svhn"
    folder.mkdir()
    parts = {"train": _random_part(41, (3, 32, 32), 10, 5), "test": _random_part(12, (3, 32, 32), 10, 6)}
    for part, (images, labels) in parts.items():
        marks = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(folder / f"{part}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": marks}, do_compression=True)
    return Written(folder, (folder / "train_32x32.mat", folder / "test_32x32.mat"), parts)


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[str, dict[str, int]], Path]:
    """A function that writes random images of odd sizes, `count` of each class, in a folder of that name."""
    draw = np.random.default_rng(7)

    def write(name: str, counts: dict[str, int]) -> Path:
        folder = tmp_path / name
        for label, count in counts.items():
            (folder / label).mkdir(parents=True)
            for number in range(count):
                height, width = draw.integers(9, 40, 2)
                pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / label / f"{number}.png")
        return folder

    return write
