"""Image files as the networks get them: upright, opaque, three channels of 8 bits, cut to a square of one size.

What is read is the first frame of an animation and the first page of a document. The steps, in order:

- *Depth.* 16 bits are scaled to 8 over the whole range of 16 bits (65,535 is white). Floating-point and 32-bit integer
  images have no range of their own: values are taken to be in 0..1 (floating point alone) if none is above 1, in 0..255
  if none is above 255, and in 0..65,535 otherwise; other values are refused.
- *Transparency.* The image is laid on white.
- *Colour.* Grey, palette, CMYK, YCbCr and Lab become red, green, blue; colour profiles are not applied.
- *Orientation.* The image is turned as its EXIF data say.
- *Size.* As torchvision's Resize and CenterCrop: the shorter side is resized to `size` (bilinear, smoothed), then the
  centre is cut out.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leni.errors import DataError
from search.training.cpus import usable_cpus
from search.training.printable import printable
from search.training.raw import Taken

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["CHUNK", "decode", "decode_into", "looks_like_image", "network_image"]

CHUNK = 512  # images that are decoded between two looks at what failed
_LONG = 16  # longer images are cut before they are resized, so that a strip of 1 x 1,000,000 stays small
_ORIENTATION = 0x0112  # the EXIF tag, 1..8
# What Pillow raises on broken headers and chunks, beside OSError.
_FAILURES = (SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa")
_ROUNDING = 1e-6  # by which values of an image that was computed may exceed their range
# Formats that their first bytes identify beyond doubt; others, such as TGA, are recognised by their suffix alone.
_SIGNED = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "MPO", "AVIF", "ICO", "QOI", "SGI", "DDS")


def decode(paths: Sequence[Path], size: int, *, skip_broken: bool = False) -> Taken:
    """The images at `paths` as (N, 3, size, size), 0..255, red, green, blue.

    Raises:
        DataError: a file is not an image that Pillow reads, is truncated, or has values of an unknown range, and broken
            images are not to be skipped.
    """
    images = np.zeros((len(paths), 3, size, size), dtype=np.uint8)
    broken: dict[int, str] = {}
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        for row, failure in enumerate(decode_into(images[start : start + CHUNK], chunk)):
            if failure is not None:
                broken[start + row] = f"{printable(chunk[row])} {failure}."
        if broken and not skip_broken:
            raise DataError(next(iter(broken.values())), code="LS-DATA-IMAGE")
    return Taken(images, broken)


def decode_into(images: NDArray[np.uint8], paths: Sequence[Path]) -> list[str | None]:
    """Decodes every file into its row of `images`, with one thread for each usable CPU.

    Args:
        images: (N, 3, size, size), filled here; the row of a file that fails keeps what it held.
        paths: N of them.

    Returns:
        For each path, None where its row is filled, else what is wrong with the file, to follow its name in a sentence.
    """
    size = images.shape[-1]

    def fill(row: int) -> str | None:
        try:
            images[row] = _decode_one(paths[row], size)
        except DataError as failure:
            return str(failure)
        return None

    with _without_warnings(), ThreadPoolExecutor(usable_cpus()) as pool:
        return list(pool.map(fill, range(len(paths))))


def looks_like_image(path: str | Path) -> bool:
    """Whether the file's first bytes are those of an image that Pillow reads, whatever its name."""
    from PIL import Image

    with _without_warnings():
        try:
            with Image.open(path, formats=_SIGNED):
                return True
        except Image.DecompressionBombError:
            return True
        except (*_FAILURES, OSError):
            return False


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Pillow warns of large images, odd metadata and files cut off; each either fails or is decoded as it should be."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def _decode_one(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as (3, size, size).

    Raises:
        DataError: what is wrong with the file, as the rest of a sentence that begins with its name.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.load()
            image = _upright(_red_green_blue(opened), _orientation(opened))
    except Image.UnidentifiedImageError:
        raise DataError(f"is not an image that Pillow reads: {_beginning(path)}", code="LS-DATA-IMAGE") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"is too large to be decoded ({error})", code="LS-DATA-IMAGE") from None
    except MemoryError:
        raise DataError("is too large for the memory", code="LS-DATA-IMAGE") from None
    except OSError as error:
        if error.errno is not None:  # the file system's, not the decoder's
            raise DataError(f"cannot be read ({error.strerror})", code="LS-DATA-IMAGE") from error
        raise DataError(f"cannot be decoded ({error}): it is truncated or corrupt", code="LS-DATA-IMAGE") from error
    except DataError:
        raise
    except _FAILURES as error:
        raise DataError(f"cannot be decoded ({error}): it is truncated or corrupt", code="LS-DATA-IMAGE") from error
    return np.asarray(_square(image, size)).transpose(2, 0, 1)


def network_image(image: Image, size: int | None) -> NDArray[np.uint8]:
    """An image in memory as (C, H, W) bytes: one channel if it is grey and opaque, else red, green, blue.

    Args:
        image: in any mode, turned as its EXIF data say.
        size: side of the square that it is cut to; None for all of it.
    """
    orientation = _orientation(image)
    grey = image.mode in ("1", "L") and "transparency" not in image.info
    upright = _upright(image.convert("L") if grey else _red_green_blue(image), orientation)
    pixels = np.asarray(upright if size is None else _square(upright, size))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _beginning(path: Path) -> str:
    """How a file begins that is not an image, for errors."""
    with path.open("rb") as stream:
        start = stream.read(24)
    if not start:
        return "it is empty"
    kind = "it is a web page, " if start.lstrip().lower().startswith((b"<!doctype", b"<html")) else "it "
    return f"{kind}beginning with {start!r}" if kind != "it " else f"it begins with {start!r}"


def _red_green_blue(image: Image) -> Image:
    """The image in mode RGB, laid on white where it is transparent."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """A grey image of more than 8 bits in mode L; the value that a PNG file declares transparent becomes white.

    Raises:
        DataError: the values have a range that is not known.
    """
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    grey = np.rint(values * (255 / _white(image, values))).clip(0, 255).astype(np.uint8)
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    return Image.fromarray(grey)


def _white(image: Image, values: NDArray[np.float64]) -> float:
    """The value that is white: of 16 bits, 65,535; else the least of 1, 255 and 65,535 that no value exceeds."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return 65535.0
    limits = (255.0, 65535.0) if image.mode == "I" else (1.0, 255.0, 65535.0)
    low, high = float(values.min()), float(values.max())
    for limit in limits:
        if -_ROUNDING * limit <= low and high <= (1 + _ROUNDING) * limit:
            return limit
    ranges = " or ".join(f"0 to {limit:g}" for limit in limits)
    raise DataError(f"has values from {low:g} to {high:g}, where {ranges} are read", code="LS-DATA-IMAGE")


def _upright(image: Image, orientation: object) -> Image:
    """The image turned as its EXIF orientation says; as it is where that is none of 2..8."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _orientation(image: Image) -> object:
    """The EXIF orientation of a loaded image; None where there is none, or the EXIF data are corrupt."""
    try:
        return image.getexif().get(_ORIENTATION)
    except (*_FAILURES, OSError):  # the picture is whole, only what is said of it is not
        return None


def _square(image: Image, size: int) -> Image:
    """The middle of the image, size x size, with its shorter side resized to `size`."""
    from PIL.Image import Resampling
    from torchvision.transforms import functional

    width, height = image.size
    if max(width, height) <= _LONG * min(width, height):
        return functional.center_crop(functional.resize(image, [size]), [size])
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Resampling.BILINEAR, box=(left, top, left + side, top + side))
