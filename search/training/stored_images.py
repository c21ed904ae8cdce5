"""Images in a file on disk, read when they are asked for.

Rows are read with `pread` and not mapped: what is read stays in the system's page cache, which all processes of a
machine share and which is given up on demand, while mapped pages would count as memory of every process that has
touched them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["StoredImages"]


class StoredImages:
    """Some rows of a file of uint8 images, used as a tensor (n, C, H, W) of them would be.

    Args:
        file: images one after the other, and nothing else; a file `state` beside it has a byte per image, 1 where the
            image is there.
        shape: (C, H, W) of each.
        rows: (n,) int64, which images of the file.

    While it is open, the file is locked (shared), so that nobody removes it.
    """

    def __init__(self, file: Path, shape: tuple[int, int, int], rows: NDArray[np.int64]) -> None:
        self.file, self.image_shape, self.rows = file, shape, rows
        self.bytes = int(np.prod(shape))
        self._descriptor: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_descriptor": None}

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def shape(self) -> torch.Size:
        """(n, C, H, W)."""
        return torch.Size((len(self.rows), *self.image_shape))

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The images at those places, in memory of their own: uint8 (*index.shape, C, H, W), on the index's device."""
        device = index.device if isinstance(index, Tensor) else torch.device("cpu")
        chosen = self.rows[index.cpu().numpy() if isinstance(index, Tensor) else index]
        found = torch.empty((*chosen.shape, *self.image_shape), dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._read(chosen.reshape(-1), found.view(-1, self.bytes).numpy())
        return found.to(device, non_blocking=True)

    def some(self, keep: NDArray[np.bool_]) -> StoredImages:
        """Those of the images where `keep` (n,) is true, still in their file."""
        return StoredImages(self.file, self.image_shape, self.rows[keep])

    def split(self, count: int) -> Iterator[Tensor]:
        """The images in order, `count` at a time."""
        for start in range(0, len(self), count):
            yield self[start : start + count]

    def to(self, device: str | torch.device) -> StoredImages | Tensor:
        """A tensor in a GPU's memory where it takes at most half of what is free there, else this object."""
        device = torch.device(device)
        needed = len(self) * self.bytes
        if device.type != "cuda" or needed > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        found = torch.empty(self.shape, dtype=torch.uint8, device=device)
        start = 0
        for part in self.split(max(1, 2**26 // self.bytes)):
            found[start : start + len(part)] = part.to(device)
            start += len(part)
        return found

    def available(self) -> bool:
        """Whether the file is on this machine, with all of the rows in it."""
        try:
            state = np.fromfile(self.file.with_name("state"), dtype=np.uint8)
            size = self.file.stat().st_size
        except OSError:
            return False
        return len(state) * self.bytes == size and bool(state[self.rows].all())

    def digest(self) -> str:
        """A short name for which images these are, of those in the file."""
        return hashlib.sha256(np.ascontiguousarray(self.rows).tobytes()).hexdigest()[:16]

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Read each row into its place; in the order of the file, which a disk likes best."""
        if self._descriptor is None:
            self._descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        for place in np.argsort(rows, kind="stable"):
            count = os.preadv(self._descriptor, [out[place]], int(rows[place]) * self.bytes)
            if count != self.bytes:
                raise OSError(f"{self.file} ends within image {rows[place]}")
