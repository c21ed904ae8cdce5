"""LENI's default form on the CPU, compiled by numba: one plane (n, c) at a time, a single pass over it.

A plane's min(x, 0) goes to a scratch line with zero rows above and below; rows follow each other without a gap. One
long loop then adds the k*k shifted copies, and a mask keeps a shift from running over a row's end into its
neighbour. So the loop is as long as the plane even where rows are short, which is what vector units want. The backward
pass computes min(x, 0) again instead of saving it.

Sums over a plane are of its dtype, sums over samples of float64 and in the order of the samples, so a result does not
depend on the number of threads. Float32 and float64 are compiled; half precisions are raised to float32 and rounded
once. Nothing is compiled at import: the first call does that, and numba caches the result on disk where it finds a
writable place.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from numba import types
from numba.core.errors import NumbaError
from numba.extending import intrinsic
from torch import Tensor

__all__ = ["backward", "forward", "prepare"]

_intrinsic: Any = intrinsic  # numba's own annotations do not know what its decorators give
# Without "nnan" and "ninf": a NaN in x has to come out as NaN.
_jit: Any = functools.partial(numba.njit, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
# numba reads no annotations; they are for the reader.
Array = npt.NDArray[Any]
Addresses = tuple[int, int, int, int, int, int, int]  # grad (0: forward), x, weight, kernel, result, and two gradients
Shape = tuple[int, int, int, int]  # N, C, H, W
# In the loops a value is loaded before it is chosen or not: a load behind a condition keeps the loop from vector units.
_PARALLEL_FROM = 32_768  # elements, as torch's own grain: below, waking threads costs more than they save
_BLOCK = 1024  # elements of a plane that stay in the first cache while k*k shifts pass over them
_forked = False


@_jit
def _column_masks(height: int, width: int, size: int) -> Array:
    """(k, H*W): whether column j + dx - k // 2 exists."""
    masks = np.empty((size, height * width), np.uint8)
    for dx in range(size):
        for i in range(height):
            for j in range(width):
                masks[dx, i * width + j] = 0 <= j + dx - size // 2 < width
    return masks


@_jit
def _correlate(line: Array, taps: Array, masks: Array, width: int, out: Array) -> None:
    """out[i] = sum over (dy, dx) of taps[dy*k + dx] * line[i + dy*W + dx], for k other than 3; two rows a pass."""
    size, count = masks.shape[0], masks.shape[1]
    pad, height = size // 2, count // width
    low, high = max(0, pad - height + 1), min(size, pad + height)
    zero = line.dtype.type(0)
    if size == 1:
        tap = taps[0]
        for i in range(count):
            out[i] = tap * line[i]
        return
    column = np.empty(_BLOCK, line.dtype)
    for start in range(0, count, _BLOCK):
        length = min(_BLOCK, count - start)
        target = out[start : start + length]
        target[:] = zero
        for dx in range(max(0, pad - width + 1), min(size, pad + width)):
            column[:length] = zero
            for dy in range(low, high - 1, 2):
                tap, second_tap = taps[dy * size + dx], taps[(dy + 1) * size + dx]
                shifted, second = line[start + dy * width + dx :], line[start + (dy + 1) * width + dx :]
                for i in range(length):
                    column[i] += tap * shifted[i] + second_tap * second[i]
            if (high - low) % 2 == 1:
                tap, shifted = taps[(high - 1) * size + dx], line[start + (high - 1) * width + dx :]
                for i in range(length):
                    column[i] += tap * shifted[i]
            mask = masks[dx, start : start + length]
            for i in range(length):
                value = column[i]
                target[i] += value if mask[i] else zero


@_jit
def _correlate3(line: Array, taps: Array, masks: Array, width: int, out: Array) -> None:
    """As `_correlate`, k = 3, in one pass."""
    zero = line.dtype.type(0)
    above, here, below = line, line[width:], line[2 * width :]
    left, right = masks[0], masks[2]
    k0, k1, k2, k3, k4, k5, k6, k7, k8 = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7], taps[8],
    )  # fmt: skip
    for i in range(masks.shape[1]):
        centre = k1 * above[i + 1] + k4 * here[i + 1] + k7 * below[i + 1]
        before = k0 * above[i] + k3 * here[i] + k6 * below[i]
        after = k2 * above[i + 2] + k5 * here[i + 2] + k8 * below[i + 2]
        out[i] = centre + (before if left[i] else zero) + (after if right[i] else zero)


@_jit
def _products(line: Array, grad: Array, masks: Array, width: int, sums: Array) -> None:
    """sums[dy*k + dx] = sum over i of grad[i] * line[i + dy*W + dx], for k other than 3; two rows a pass."""
    size, count = masks.shape[0], masks.shape[1]
    pad, height = size // 2, count // width
    low, high = max(0, pad - height + 1), min(size, pad + height)
    zero = line.dtype.type(0)
    sums[: size * size] = zero
    masked = np.empty(count, line.dtype)
    for dx in range(max(0, pad - width + 1), min(size, pad + width)):
        for i in range(count):
            g = grad[i]
            masked[i] = g if masks[dx, i] else zero
        for dy in range(low, high, 2):
            shifted = line[dy * width + dx :]
            second = line[min(dy + 1, high - 1) * width + dx :]
            total = second_total = zero
            for i in range(count):
                total += masked[i] * shifted[i]
                second_total += masked[i] * second[i]
            sums[dy * size + dx] = total
            sums[min(dy + 1, high - 1) * size + dx] = second_total


@_jit
def _products3(line: Array, grad: Array, masks: Array, width: int, sums: Array) -> None:
    """As `_products`, k = 3, in one pass."""
    zero = line.dtype.type(0)
    above, here, below = line, line[width:], line[2 * width :]
    left, right = masks[0], masks[2]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = zero
    for i in range(masks.shape[1]):
        g = grad[i]
        before, after = g if left[i] else zero, g if right[i] else zero
        s0 += before * above[i]
        s3 += before * here[i]
        s6 += before * below[i]
        s1 += g * above[i + 1]
        s4 += g * here[i + 1]
        s7 += g * below[i + 1]
        s2 += after * above[i + 2]
        s5 += after * here[i + 2]
        s8 += after * below[i + 2]
    sums[0], sums[1], sums[2] = s0, s1, s2
    sums[3], sums[4], sums[5] = s3, s4, s5
    sums[6], sums[7], sums[8] = s6, s7, s8


@_jit(inline="always")
def _forward_planes(
    x: Array, weight: Array, kernel: Array, y: Array, height: int, width: int, size: int, start: int, stop: int
) -> None:
    """Planes [start, stop) of y; x and y are (N*C, H*W), kernel is (C, k*k)."""
    channels, count, pad = weight.shape[0], height * width, size // 2
    zero = x.dtype.type(0)
    lead = pad * width + pad
    line = np.zeros(count + 2 * lead, x.dtype)
    negative = line[lead : lead + count]
    mixed = np.empty(count, x.dtype)
    masks = _column_masks(height, width, size)
    for plane in range(start, stop):
        channel = plane % channels
        source, target, factor = x[plane], y[plane], weight[channel]
        for i in range(count):
            value = source[i]
            negative[i] = zero if value > zero else value
        if size == 3:
            _correlate3(line, kernel[channel], masks, width, mixed)
        else:
            _correlate(line, kernel[channel], masks, width, mixed)
        for i in range(count):
            value = source[i]
            target[i] = (zero if value <= zero else factor * value) + mixed[i]


@_jit(inline="always")
def _backward_planes(
    grad: Array,
    x: Array,
    weight: Array,
    kernel: Array,
    grad_x: Array,
    sums: Array,
    height: int,
    width: int,
    size: int,
    start: int,
    stop: int,
) -> None:
    """Planes [start, stop) of grad_x, and for each of them the sums (N*C, 1 + k*k) for weight and kernel."""
    channels, count, pad = weight.shape[0], height * width, size // 2
    zero = x.dtype.type(0)
    lead = pad * width + pad
    line, grad_line = np.zeros(count + 2 * lead, x.dtype), np.zeros(count + 2 * lead, x.dtype)
    negative, inner = line[lead : lead + count], grad_line[lead : lead + count]
    mixed = np.empty(count, x.dtype)
    masks = _column_masks(height, width, size)
    flipped = kernel[:, ::-1].copy()
    for plane in range(start, stop):
        channel = plane % channels
        source, outer, target, factor = x[plane], grad[plane], grad_x[plane], weight[channel]
        total = zero
        for i in range(count):
            value, g = source[i], outer[i]
            negative[i] = zero if value > zero else value
            inner[i] = g
            total += zero if value <= zero else g * value
        sums[plane, 0] = total
        if size == 3:
            _correlate3(grad_line, flipped[channel], masks, width, mixed)
            _products3(line, outer, masks, width, sums[plane, 1:])
        else:
            _correlate(grad_line, flipped[channel], masks, width, mixed)
            _products(line, outer, masks, width, sums[plane, 1:])
        for i in range(count):
            value, straight, through = source[i], factor * outer[i], mixed[i]
            target[i] = (zero if value <= zero else straight) + (zero if value > zero else through)


@_intrinsic
def _pointer(context: Any, address: Any, zero: Any) -> Any:
    """An address as a pointer to numbers of the type of `zero`."""
    kind = types.CPointer(zero)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(address, zero), generate


@_jit
def _to_planes(pixels: Array, planes: Array) -> None:
    """One sample, (H*W, C) to (C, H*W), in tiles of which each side stays in the first cache."""
    count, channels = pixels.shape
    for first in range(0, count, 16):
        for lowest in range(0, channels, 8):
            for channel in range(lowest, min(lowest + 8, channels)):
                for i in range(first, min(first + 16, count)):
                    planes[channel, i] = pixels[i, channel]


@_jit
def _to_pixels(planes: Array, pixels: Array) -> None:
    """One sample, (C, H*W) to (H*W, C)."""
    count, channels = pixels.shape
    for first in range(0, count, 16):
        for lowest in range(0, channels, 8):
            for i in range(first, min(first + 16, count)):
                for channel in range(lowest, min(lowest + 8, channels)):
                    pixels[i, channel] = planes[channel, i]


@_jit(inline="always")
def _part(
    zero: np.floating[Any],
    addresses: Addresses,
    sums: Array,
    shape: Shape,
    size: int,
    last: bool,
    part: int,
    parts: int,
) -> None:
    """The share `part` of `parts` equal ones; forward where the address `grad` is 0, else backward.

    Contiguous maps are shared out by planes; channels_last maps (`last`) by samples, each turned into planes and back.
    """
    grad, x, weight, kernel, result = addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
    samples, channels, height, width = shape
    planes, pixels = (samples * channels, height * width), (samples, height * width, channels)
    outer = x if grad == 0 else grad
    weights = numba.carray(_pointer(weight, zero), channels)
    kernels = numba.carray(_pointer(kernel, zero), (channels, size * size))
    units = samples if last else samples * channels
    start, stop = units * part // parts, units * (part + 1) // parts
    first, final, own = start, stop, sums
    scratch = np.empty((3, channels, height * width if last else 0), kernels.dtype)
    grads, xs, results = scratch[0], scratch[1], scratch[2]
    if not last:
        grads, xs = numba.carray(_pointer(outer, zero), planes), numba.carray(_pointer(x, zero), planes)
        results = numba.carray(_pointer(result, zero), planes)
    for sample in range(start, stop if last else start + 1):
        if last:
            first, final = 0, channels
            _to_planes(numba.carray(_pointer(x, zero), pixels)[sample], xs)
        if grad == 0:
            _forward_planes(xs, weights, kernels, results, height, width, size, first, final)
        else:
            if last:
                own = sums[sample * channels : (sample + 1) * channels]
                _to_planes(numba.carray(_pointer(grad, zero), pixels)[sample], grads)
            _backward_planes(grads, xs, weights, kernels, results, own, height, width, size, first, final)
        if last:
            _to_pixels(results, numba.carray(_pointer(result, zero), pixels)[sample])


@_jit(inline="always")
def _add_samples(zero: np.floating[Any], addresses: Addresses, sums: Array, samples: int, channels: int) -> None:
    """Sums of planes (N*C, 1 + k*k) to the gradients of weight (C,) and kernel (C, k*k)."""
    taps = sums.shape[1] - 1
    grad_weights = numba.carray(_pointer(addresses[5], zero), channels)
    grad_kernels = numba.carray(_pointer(addresses[6], zero), (channels, taps))
    totals = np.zeros((channels, 1 + taps), np.float64)
    for sample in range(samples):
        for channel in range(channels):
            for i in range(1 + taps):
                totals[channel, i] += sums[sample * channels + channel, i]
    for channel in range(channels):
        grad_weights[channel] = totals[channel, 0]
        for i in range(taps):
            grad_kernels[channel, i] = totals[channel, 1 + i]


def _serial(zero: np.floating[Any], addresses: Addresses, shape: Shape, size: int, last: bool) -> None:
    samples, channels, backward = shape[0], shape[1], addresses[0] != 0
    sums = np.empty((samples * channels if backward else 0, 1 + size * size), type(zero))
    _part(zero, addresses, sums, shape, size, last, 0, 1)
    if backward:
        _add_samples(zero, addresses, sums, samples, channels)


def _parallel(zero: np.floating[Any], addresses: Addresses, shape: Shape, size: int, last: bool, threads: int) -> None:
    samples, channels, backward = shape[0], shape[1], addresses[0] != 0
    sums = np.empty((samples * channels if backward else 0, 1 + size * size), type(zero))
    for thread in numba.prange(threads):
        _part(zero, addresses, sums, shape, size, last, thread, threads)
    if backward:
        _add_samples(zero, addresses, sums, samples, channels)


@functools.cache
def _compiled(parallel: bool) -> Callable[..., None]:
    """The entry that numba compiles, or reads from its cache, at the first call for each dtype."""
    function = _parallel if parallel else _serial
    try:
        return _jit(nogil=True, parallel=parallel, cache=True)(function)
    except RuntimeError:  # neither this folder nor the user's own is writable
        return _jit(nogil=True, parallel=parallel)(function)


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
    arguments = (_ZERO[x.dtype], addresses, tuple(x.shape), size, last)
    threads = 1 if x.numel() < _PARALLEL_FROM or _forked else torch.get_num_threads()
    threads = threads if threads == 1 else min(threads, _most_threads())
    if threads == 1:
        _call(False, *arguments)
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
        return str(error).strip().splitlines()[0]
    return None
