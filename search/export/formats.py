"""The forms of a network's file: how each is written, loaded in three lines, and checked by being read back."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from leni.errors import EvaluationError
from search.training.stored_images import StoredImages
from spaces import Exported, load_exported
from spaces.exported import to_bytes

__all__ = ["FORMATS", "Format", "predictions", "written"]

CHECKED = 256  # images at once


@dataclass(frozen=True)
class Format:
    """One form of file.

    Attributes:
        suffix: of its name.
        load: the three lines that load it and use it; {file} stands for its name.
        kind: what `images` is in them.
        packages: that writing needs beyond our dependencies.
        run: reads a file, and gives a function from uint8 images to logits; None where nothing here can run it.
    """

    suffix: str
    load: tuple[str, str, str]
    kind: str
    packages: tuple[str, ...]
    run: Callable[[Path], Callable[[Tensor], Tensor] | None]

    def check(self, path: Path, images: Tensor | StoredImages, labels: Tensor) -> int | None:
        """How many images the file gives the same label as the network; None where nothing here can run it.

        Raises:
            EvaluationError: fewer than 999 of 1,000 (of a close call, rounding may decide).
        """
        function = self.run(path)
        if function is None:
            return None
        same = int((predictions(function, images, CHECKED) == labels).sum())
        if same < 0.999 * len(labels) - 1:
            raise EvaluationError(f"{path} gives only {same} of {len(labels)} images the label that the network gives")
        return same


def written(exported: Exported, images: Tensor, form: str) -> bytes:
    """The content of the file.

    Args:
        exported: the network.
        images: two of them at least, to trace it with; the file takes any number.
        form: of `FORMATS`.
    """
    if form == "state-dict":
        return to_bytes(exported)
    stream = io.BytesIO()
    shapes = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporters, about their own insides
        if form == "torch-export":
            torch.export.save(torch.export.export(exported, (images,), dynamic_shapes=shapes), stream)
        else:
            program = torch.onnx.export(
                exported, (images,), dynamo=True, dynamic_shapes=shapes, verbose=False,
                input_names=["images"], output_names=["logits"],
            )  # fmt: skip
            if program is None:
                raise EvaluationError("torch gave no ONNX program")
            program.save(stream)  # type: ignore[arg-type]  # it takes a stream too
    return stream.getvalue()


@torch.no_grad()
def predictions(function: Callable[[Tensor], Tensor], images: Tensor | StoredImages, batch: int) -> Tensor:
    """The label of each image, (N,)."""
    return torch.cat([function(part).argmax(1) for part in images.split(batch)])


def _run_exported_program(path: Path) -> Callable[[Tensor], Tensor]:
    module: nn.Module = torch.export.load(path).module()
    return module


def _run_onnx(path: Path) -> Callable[[Tensor], Tensor] | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


FORMATS: Mapping[str, Format] = {
    "state-dict": Format(
        ".pt",
        (
            "import spaces",
            'network = spaces.load_exported("{file}")',
            "labels = network(images).argmax(1)",
        ),
        "torch tensor",
        (),
        load_exported,
    ),
    "torch-export": Format(
        ".pt2",
        (
            "import torch",
            'network = torch.export.load("{file}").module()',
            "labels = network(images).argmax(1)",
        ),
        "torch tensor",
        (),
        _run_exported_program,
    ),
    "onnx": Format(
        ".onnx",
        (
            "import onnxruntime",
            'network = onnxruntime.InferenceSession("{file}")',
            'labels = network.run(None, {{"images": images}})[0].argmax(1)',
        ),
        "numpy array",
        ("onnx", "onnxscript"),
        _run_onnx,
    ),
}
"""By the name that `leni-search export --format` takes."""
