"""LENI's default form on one plane (n, c) after the other, for numba: what contiguous maps are made of.

A plane's min(x, 0) goes to a scratch line with zero rows above and below; rows follow each other without a gap. One
long loop then adds the k*k shifted copies, and a mask keeps a shift from running over a row's end into its
neighbour. So the loop is as long as the plane even where rows are short, which is what vector units want.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Array", "backward_planes", "forward_planes", "jit"]

# Without "nnan" and "ninf": a NaN in x has to come out as NaN.
jit: Any = functools.partial(numba.njit, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
# numba reads no annotations; they are for the reader.
Array = npt.NDArray[Any]
# In the loops a value is loaded before it is chosen or not: a load behind a condition keeps the loop from vector units.
_BLOCK = 1024  # elements of a plane that stay in the first cache while k*k shifts pass over them


@jit
def _column_masks(height: int, width: int, size: int) -> Array:
    """(k, H*W): whether column j + dx - k // 2 exists."""
    masks = np.empty((size, height * width), np.uint8)
    for dx in range(size):
        for i in range(height):
            for j in range(width):
                masks[dx, i * width + j] = 0 <= j + dx - size // 2 < width
    return masks


@jit
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


@jit
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


@jit
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


@jit
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


@jit(inline="always")
def forward_planes(
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


@jit(inline="always")
def backward_planes(
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
    """Planes [start, stop) of grad_x, and each one's sums for weight and kernel: sums[n, :, c] of (N, 1 + k*k, C)."""
    channels, count, pad = weight.shape[0], height * width, size // 2
    zero = x.dtype.type(0)
    lead = pad * width + pad
    line, grad_line = np.zeros(count + 2 * lead, x.dtype), np.zeros(count + 2 * lead, x.dtype)
    negative, inner = line[lead : lead + count], grad_line[lead : lead + count]
    mixed, own = np.empty(count, x.dtype), np.empty(1 + size * size, x.dtype)
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
        own[0] = total
        if size == 3:
            _correlate3(grad_line, flipped[channel], masks, width, mixed)
            _products3(line, outer, masks, width, own[1:])
        else:
            _correlate(grad_line, flipped[channel], masks, width, mixed)
            _products(line, outer, masks, width, own[1:])
        for i in range(count):
            value, straight, through = source[i], factor * outer[i], mixed[i]
            target[i] = (zero if value <= zero else straight) + (zero if value > zero else through)
        for i in range(1 + size * size):
            sums[plane // channels, i, channel] = own[i]
