"""LENI's default form on the CPU, compiled by numba: a single pass over the maps, in one of three ways.

Plane by plane (`leni.kernels.planes`) where maps are contiguous; where they are channels_last, by rows of pixels
(`leni.kernels.rows`) with few channels and pixel by pixel (`leni.kernels.pixels`) with many, or on tiny planes. The
backward pass computes min(x, 0) again instead of saving it.

Sums over a sample are of its dtype, sums over samples of float64 and in the order of the samples, so a result does not
depend on the number of threads. Float32 and float64 are compiled; half precisions are raised to float32 and rounded
once. Nothing is compiled at import: the first call does that, and numba caches the result on disk where it finds a
writable place.
"""

from __future__ import annotations

import functools
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numba import types
from numba.core.errors import NumbaError
from numba.extending import intrinsic
from torch import Tensor

from leni.kernels import pixels, planes, rows
from leni.kernels.pixels import backward_pixels, forward_pixels
from leni.kernels.planes import Array, backward_planes, forward_planes, jit
from leni.kernels.rows import backward_rows, forward_rows, repeated, tile_length

__all__ = ["backward", "forward", "prepare"]

_intrinsic: Any = intrinsic  # numba's own annotations do not know what its decorators give
Addresses = tuple[int, int, int, int, int, int, int]  # grad (0: forward), x, weight, kernel, result, and two gradients
Shape = tuple[int, int, int, int]  # N, C, H, W
Way = tuple[int, bool, int]  # k, whether maps are channels_last, and one of the three that follow
_PLANES, _PIXELS, _ROWS = 0, 1, 2
_PARALLEL_FROM = 32_768  # elements, as torch's own grain: below, waking threads costs more than they save
_TINY = 16  # pixels of a plane up to which contiguous maps too are worked on pixel by pixel
_SOME = 4  # channels from which that pays
_MANY = 64  # channels from which a loop over those of one pixel is long enough
_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # numba makes its messages bold where colorama is installed
_forked = False


@_intrinsic
def _pointer(context: Any, address: Any, zero: Any) -> Any:
    """An address as a pointer to numbers of the type of `zero`."""
    kind = types.CPointer(zero)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(address, zero), generate


@jit
def _transpose(source: Array, target: Array) -> None:
    """(a, b) to (b, a), in tiles of which each side stays in the first cache."""
    rows, columns = source.shape
    for first in range(0, rows, 16):
        for lowest in range(0, columns, 16):
            for j in range(lowest, min(lowest + 16, columns)):
                for i in range(first, min(first + 16, rows)):
                    target[j, i] = source[i, j]


@jit(inline="always")
def _part(
    zero: np.floating[Any], addresses: Addresses, sums: Array, shape: Shape, way: Way, part: int, parts: int
) -> None:
    """The share `part` of `parts` equal ones; forward where the address `grad` is 0, else backward.

    Contiguous maps that are worked on plane by plane are shared out by planes; all others by samples. Contiguous maps
    with tiny planes are transposed and back.
    """
    grad, x, weight, kernel, result = addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
    samples, channels, height, width = shape
    size, last, manner = way
    weights = numba.carray(_pointer(weight, zero), channels)
    kernels = numba.carray(_pointer(kernel, zero), (channels, size * size))
    outer = x if grad == 0 else grad
    if manner == _PLANES:
        planes = (samples * channels, height * width)
        start, stop = planes[0] * part // parts, planes[0] * (part + 1) // parts
        xs, results = numba.carray(_pointer(x, zero), planes), numba.carray(_pointer(result, zero), planes)
        grads = numba.carray(_pointer(outer, zero), planes)
        if grad == 0:
            forward_planes(xs, weights, kernels, results, height, width, size, start, stop)
        else:
            backward_planes(grads, xs, weights, kernels, results, sums, height, width, size, start, stop)
        return
    first, beyond = samples * part // parts, samples * (part + 1) // parts
    if manner == _ROWS:
        maps = (samples, height, width * channels)
        x_maps, y_maps = numba.carray(_pointer(x, zero), maps), numba.carray(_pointer(result, zero), maps)
        grad_maps = numba.carray(_pointer(outer, zero), maps)
        tile = tile_length(width, channels)
        taps, factors = repeated(kernels.T.copy(), tile), repeated(weights.reshape(1, channels), tile)[0]
        mixed = np.empty((height, tile), kernels.dtype)
        # Two maps with zeros around them; the last tile may reach past a row.
        padded = np.zeros((2, height + size - 1, (width + size - 1) * channels + tile), kernels.dtype)
        flipped, tiles = taps[::-1].copy(), np.empty((1 + size * size, tile), kernels.dtype)
        for sample in range(first, beyond):
            if grad == 0:
                forward_rows(x_maps[sample], factors, taps, y_maps[sample], padded[0], mixed, channels, size)
            else:
                backward_rows(
                    grad_maps[sample], x_maps[sample], factors, flipped, y_maps[sample], sums[sample], tiles,
                    padded[0], padded[1], mixed, channels, size,
                )  # fmt: skip
        return
    count = height * width
    stored = (count, channels) if last else (channels, count)
    taps, negative = kernels.T.copy(), np.empty((count, channels), kernels.dtype)
    flipped = taps[::-1].copy()
    own = np.empty((3, count, 0 if last else channels), kernels.dtype)
    for sample in range(first, beyond):
        xs = numba.carray(_pointer(x, zero), (samples, stored[0], stored[1]))[sample]
        grads = numba.carray(_pointer(outer, zero), (samples, stored[0], stored[1]))[sample]
        target = numba.carray(_pointer(result, zero), (samples, stored[0], stored[1]))[sample]
        results = target
        if not last:
            _transpose(xs, own[0])
            if grad != 0:
                _transpose(grads, own[1])
            xs, grads, results = own[0], own[1], own[2]
        if grad == 0:
            forward_pixels(xs, weights, taps, results, negative, height, width, size)
        else:
            backward_pixels(grads, xs, weights, flipped, results, sums[sample], negative, height, width, size)
        if not last:
            _transpose(results, target)


@jit(inline="always")
def _add_samples(zero: np.floating[Any], addresses: Addresses, sums: Array) -> None:
    """Sums of samples (N, 1 + k*k, C) to the gradients of weight (C,) and kernel (C, k*k)."""
    samples, rows, channels = sums.shape
    grad_weights = numba.carray(_pointer(addresses[5], zero), channels)
    grad_kernels = numba.carray(_pointer(addresses[6], zero), (channels, rows - 1))
    totals = np.zeros((rows, channels), np.float64)
    for sample in range(samples):
        for i in range(rows):
            for channel in range(channels):
                totals[i, channel] += sums[sample, i, channel]
    for channel in range(channels):
        grad_weights[channel] = totals[0, channel]
        for i in range(rows - 1):
            grad_kernels[channel, i] = totals[1 + i, channel]


def _entry(sources: int) -> Callable[..., None]:
    """The function to compile; `sources` is in it for numba's cache, which tells only files and closures apart."""

    def entry(zero: np.floating[Any], addresses: Addresses, shape: Shape, way: Way, threads: int) -> None:
        backward = addresses[0] != 0 and sources != 0
        sums = np.empty((shape[0] if backward else 0, 1 + way[0] * way[0], shape[1]), type(zero))
        for thread in numba.prange(threads):
            _part(zero, addresses, sums, shape, way, thread, threads)
        if backward:
            _add_samples(zero, addresses, sums)

    return entry


@functools.cache
def _compiled(parallel: bool) -> Callable[..., None]:
    """The entry that numba compiles, or reads from its cache, at the first call for each dtype."""
    texts = b"".join(Path(str(module.__file__)).read_bytes() for module in (pixels, planes, rows))
    function = _entry(2 + 2 * zlib.crc32(texts) + parallel)  # or one's cache would be the other's, and lose the threads
    try:
        return jit(nogil=True, parallel=parallel, cache=True)(function)
    except RuntimeError:  # neither this folder nor the user's own is writable
        return jit(nogil=True, parallel=parallel)(function)


def _call(parallel: bool, *arguments: object) -> None:
    entry = _compiled(parallel)
    try:
        entry(*arguments)
    except OSError:  # compiled, and then not cached, for example on a full disk; now it needs no compiling
        entry(*arguments)


@functools.cache
def _most_threads() -> int:
    """Threads that numba may use; 1 where it has no layer, or only the one that two threads may not enter at once."""
    try:
        most = numba.get_num_threads()
    except ValueError:  # no threading layer could be loaded
        return 1
    os.register_at_fork(after_in_child=_after_fork)
    return 1 if numba.threading_layer() == "workqueue" else most


def _after_fork() -> None:
    """A forked child has no threads of the pool, and GNU OpenMP ends it when it asks for them."""
    global _forked
    _forked = True


_ZERO = {torch.float32: np.float32(0), torch.float64: np.float64(0)}


def _run(addresses: Addresses, x: Tensor, *, size: int, last: bool) -> None:
    """Call the entry for all of `x` (N, C, H, W), on as many threads as torch uses.

    Args:
        addresses: see there.
        x: contiguous, or channels_last.
        size: k.
        last: whether x, grad and result are channels_last.
    """
    channels, count = x.shape[1], x.shape[2] * x.shape[3]
    last = last or count == 1  # the same memory
    if count <= _TINY and channels >= _SOME:
        manner = _PIXELS
    else:
        manner = (_PIXELS if channels >= _MANY else _ROWS) if last else _PLANES
    arguments = (_ZERO[x.dtype], addresses, tuple(x.shape), (size, last, manner))
    threads = 1 if x.numel() < _PARALLEL_FROM or _forked else torch.get_num_threads()
    threads = threads if threads == 1 else min(threads, _most_threads())
    if threads == 1:
        _call(False, *arguments, 1)
        return
    before = numba.get_num_threads()
    if before != threads:
        numba.set_num_threads(threads)
    try:
        _call(True, *arguments, threads)
    finally:
        if before != threads:
            numba.set_num_threads(before)


def _prepared(x: Tensor, weight: Tensor) -> tuple[torch.dtype, bool, torch.memory_format]:
    """The dtype to compute in, whether the maps are channels_last, and that layout for torch."""
    dtype = torch.float64 if torch.float64 in (x.dtype, weight.dtype) else torch.float32
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return dtype, last, torch.channels_last if last else torch.contiguous_format


def forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """As `leni.kernels.reference.forward`, for tensors on the CPU, without a graph."""
    dtype, last, layout = _prepared(x, weight)
    source = x.to(dtype).contiguous(memory_format=layout)
    factor, taps = weight.to(dtype).contiguous(), kernel.to(dtype).contiguous()
    result = torch.empty_like(source)
    if x.numel():
        addresses = (0, source.data_ptr(), factor.data_ptr(), taps.data_ptr(), result.data_ptr(), 0, 0)
        _run(addresses, source, size=kernel.shape[-1], last=last)
    return result.to(x.dtype)


def backward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `leni.kernels.reference.backward`, for tensors on the CPU, without a graph."""
    dtype, last, layout = _prepared(x, weight)
    outer, source = grad.to(dtype).contiguous(memory_format=layout), x.to(dtype).contiguous(memory_format=layout)
    factor, taps = weight.to(dtype).contiguous(), kernel.to(dtype).contiguous()
    grad_x, grad_weight, grad_kernel = torch.empty_like(source), torch.zeros_like(factor), torch.zeros_like(taps)
    if x.numel():
        addresses = (outer.data_ptr(), source.data_ptr(), factor.data_ptr(), taps.data_ptr())
        results = (grad_x.data_ptr(), grad_weight.data_ptr(), grad_kernel.data_ptr())
        _run((*addresses, *results), source, size=kernel.shape[-1], last=last)
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), grad_kernel.to(kernel.dtype)


def prepare() -> str | None:
    """Compile for float32, or read from the cache, and see that it runs.

    Returns:
        None, or what kept numba from it.
    """
    one = torch.ones((1, 1, 1, 1), dtype=torch.float32, device="cpu")
    try:
        backward(one, one, one[0, 0, 0], one)
    except (NumbaError, RuntimeError, OSError) as error:
        return _STYLE.sub("", str(error)).strip().splitlines()[0]
    return None
