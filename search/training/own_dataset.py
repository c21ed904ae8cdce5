"""Reads a `torch.utils.data.Dataset` of the user's: what a function of theirs, `module:function`, returns.

The function is called without arguments, and returns a dataset, which is cut into parts as any other, or a pair
(training, test), or a triple (training, validation, test). A dataset has a length; its items are pairs (image, label),
or mappings with "image" (or "img") and "label". Each is read once, in order, so that what is random in a dataset stays
as it was drawn. The training set's attribute `augmentation` ("none" without one, "crop" or "crop-flip") says what
`search.training.augment` does with it.

An image is a PIL image (in RGB, unless it is grey), a tensor (H, W) or (C, H, W), or an array (H, W) or (H, W, C), of
bytes or of floating-point numbers in 0..1. All have one shape, unless an image size is given, to which the shorter side
is resized before the centre is cut out. Labels are all integers or all names. The classes are the dataset's attribute
`classes`, which integers count from 0, or else the different labels of the training part, sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leni.errors import DataError
from search.training.augment import KINDS
from search.training.decoding import network_image
from search.training.memory import require_memory
from search.training.printable import printable
from search.training.raw import Labelled, Raw, in_memory
from search.training.user_functions import failure_sentence, load_function

__all__ = ["names_function", "read_own"]

_PARTS = {1: ("train",), 2: ("train", "test"), 3: ("train", "validation", "test")}
_ROUNDING = 1e-6  # by which numbers that were computed may exceed 0..1


def names_function(name: str) -> bool:
    """Whether the name of a data set is one of a user's function."""
    return ":" in name


def read_own(name: str, place: Path, size: int | None) -> Raw:
    """The data set of the function `name`.

    Args:
        name: module:function.
        place: not used; the function knows where its files are.
        size: side in pixels of the images; None for the size that they have.

    Raises:
        DataError: the function cannot be called, or returns something else; the message names the item.
        SpecError: there is no such function.
    """
    found = _called(f"{name} fails", load_function(name, what="data"))
    given = found if isinstance(found, (tuple, list)) else (found,)
    if len(given) not in _PARTS:
        raise DataError(f"{name} returns {len(given)} datasets, where one to three are expected.")
    read = {
        part: _read_part(dataset, f"the {part} part of {name}", size)
        for part, dataset in zip(_PARTS[len(given)], given, strict=True)
    }
    shapes = {part: images.shape[1:] for part, (images, _) in read.items()}
    if odd := next((part for part, shape in shapes.items() if shape != shapes["train"]), None):
        raise DataError(
            f"the {odd} part of {name} has images of shape {shapes[odd]}, and its train part of {shapes['train']}."
        )
    classes = _classes(name, getattr(given[0], "classes", None), read["train"][1])
    parts = {part: _labelled(name, part, images, labels, classes) for part, (images, labels) in read.items()}
    channels, height, width = shapes["train"]
    augmentation = getattr(given[0], "augmentation", "none")
    if augmentation not in KINDS:
        raise DataError(f"the augmentation of {name} must be one of {', '.join(KINDS)}, got {augmentation!r}.")
    return Raw(
        tuple(map(str, classes)), (channels, height, width), parts["train"], parts.get("validation"), parts.get("test"),
        augmentation=augmentation,
    )  # fmt: skip


def _called(what: str, function: Callable[[], Any]) -> Any:
    """What a call of the user's code returns; DataError for whatever it raises."""
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise DataError(f"{what} ({failure_sentence(error)}).") from error


def _read_part(dataset: Any, where: str, size: int | None) -> tuple[NDArray[np.uint8], list[int | str]]:
    """All images (N, C, H, W) of a dataset, and their labels as they are."""
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise DataError(
            f"{where} is of the type {type(dataset).__name__}, where a dataset with a length and items is expected."
        )
    count = _called(f"{where} has no length", lambda: len(dataset))
    if not count:
        raise DataError(f"{where} is empty.")
    images = np.empty((0, 0, 0, 0), dtype=np.uint8)
    labels: list[int | str] = []
    for index in range(count):
        item = f"item {index} of {where}"
        image, label = _pair(_called(f"{item} cannot be read", partial(dataset.__getitem__, index)), item)
        pixels = _pixels(image, item, size)
        if index == 0:
            require_memory(count * pixels.size, where)
            images = np.empty((count, *pixels.shape), dtype=np.uint8)
        elif pixels.shape != images.shape[1:]:
            raise DataError(
                f"{item} has the shape {pixels.shape}, and item 0 {images.shape[1:]}: an image size in pixels must be "
                "given, or all must have one shape."
            )
        images[index] = pixels
        labels.append(_label(label, item))
    return images, labels


def _pair(item: Any, where: str) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[key] for key in ("image", "img") if key in item), None)
        if image is not None and "label" in item:
            return image, item["label"]
    elif isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 2:
        return item[0], item[1]
    raise DataError(f"{where} is of the type {type(item).__name__}, where a pair of image and label is expected.")


def _pixels(image: Any, where: str, size: int | None) -> NDArray[np.uint8]:
    """An image as (C, H, W) bytes."""
    from PIL import Image
    from torchvision.transforms import functional

    if isinstance(image, Image.Image):
        return _called(f"{where} cannot be converted", lambda: network_image(image, size))
    tensor = image if isinstance(image, Tensor) else torch.from_numpy(np.ascontiguousarray(image))
    if tensor.dim() == 2:
        tensor = tensor[None]
    elif tensor.dim() == 3 and not isinstance(image, Tensor):
        tensor = tensor.permute(2, 0, 1)
    if tensor.dim() != 3 or not tensor.numel():
        raise DataError(
            f"{where} has an image of shape {tuple(tensor.shape)}, where height, width and channels are expected."
        )
    if tensor.is_floating_point():
        low, high = float(tensor.min()), float(tensor.max())
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
            raise DataError(f"{where} has values from {low:g} to {high:g}, where 0 to 1 are expected, not normalised.")
        tensor = (tensor.double() * 255).round().clamp(0, 255).to(torch.uint8)
    elif tensor.dtype != torch.uint8:
        raise DataError(f"{where} has an image of {tensor.dtype}, where uint8 or floating-point numbers are expected.")
    if size is not None:
        tensor = functional.center_crop(functional.resize(tensor, [size], antialias=True), [size])
    return tensor.cpu().numpy()


def _label(label: Any, where: str) -> int | str:
    if isinstance(label, Tensor):
        label = label.numpy(force=True)
    plain = label.item() if isinstance(label, (np.ndarray, np.generic)) and label.size == 1 else label
    if isinstance(plain, bool) or not isinstance(plain, (int, str)):
        raise DataError(f"{where} has the label {printable(repr(label)[:60])}, where an integer or a name is expected.")
    return plain


def _classes(name: str, given: Any, labels: Sequence[int | str]) -> list[int | str]:
    """The classes in order, as labels name them."""
    texts = {isinstance(label, str) for label in labels}
    if len(texts) > 1:
        raise DataError(f"{name} has integers and names as labels, where all are of one kind.")
    if isinstance(given, Sequence) and not isinstance(given, str) and given:
        return list(map(str, given)) if texts == {True} else list(range(len(given)))
    return sorted(set(labels))


def _labelled(
    name: str, part: str, images: NDArray[np.uint8], labels: Sequence[int | str], classes: Sequence[int | str]
) -> Labelled:
    places = {label: place for place, label in enumerate(classes)}
    for index, label in enumerate(labels):
        if label not in places:
            raise DataError(
                f"item {index} of the {part} part of {name} has the label {printable(repr(label))}, which is none of "
                f"its {len(classes)} classes."
            )
    return in_memory(images, np.array([places[label] for label in labels], dtype=np.int64))
