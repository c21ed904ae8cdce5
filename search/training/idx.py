"""Reads IDX files, the form in which MNIST and Fashion-MNIST are published, plain or gzipped.

Source: the layout written down with MNIST: two zero bytes, one byte for the type (8: unsigned bytes), one for the
number of dimensions, a big-endian 32-bit size for each, then the values, last dimension fastest.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError

_UNSIGNED_BYTES = 0x08
_GZIP = b"\x1f\x8b"  # never the start of an IDX file, which is two zero bytes


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, plain or with .gz; None where there is neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array in one IDX file of unsigned bytes.

    Args:
        path: the file; one that starts as a gzip file does is decompressed, whatever its name.
        dimensions: how many the array must have (3 for images, 1 for labels).

    Returns:
        The values in the file's shape, as an array of its own.

    Raises:
        DataError: the file cannot be read, is not an IDX file of bytes, has other dimensions, or another length than
            its header says.
    """
    content = _bytes_of(path)
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if content[:4] != magic:
        raise DataError(
            f"{path} starts with the bytes {content[:4].hex(' ') or 'of an empty file'}, where an IDX file of unsigned "
            f"bytes in {dimensions} dimension(s) starts with {magic.hex(' ')}."
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} ends within its header, after {len(content)} of {start} bytes: it is truncated.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    held, promised = len(content) - start, math.prod(shape)
    if held != promised:
        what = "truncated" if held < promised else "followed by something else"
        raise DataError(
            f"{path} holds {held} bytes of values, where its header, of shape {shape}, means {promised}: it is {what}."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()


def _bytes_of(path: Path) -> bytes:
    """All bytes of the file, decompressed where they are those of a gzip file."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}): it is truncated or corrupt.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
