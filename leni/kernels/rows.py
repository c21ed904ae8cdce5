"""LENI's default form on rows of pixels with all their channels, for numba: channels_last maps of few channels.

A row of W pixels is one vector of W*C numbers, and its neighbour to the left or right is the same vector C further on.
So the innermost loops run along rows, however few the channels are: over `tiles`, a few pixels at a time, for which
the weights of the channels are repeated once a call. min(x, 0) and the gradient go to scratch maps with a border of
zeros, so that no loop has to know where a map ends.
"""

from __future__ import annotations

import numpy as np

from leni.kernels.planes import Array, jit

__all__ = ["backward_rows", "forward_rows", "repeated", "tile_length"]

_TILE = 1024  # numbers in a tile, at least one pixel: with all taps, about the first cache


@jit
def tile_length(width: int, channels: int) -> int:
    """Numbers in a tile, a multiple of the channels."""
    return channels * max(1, min(width, _TILE // channels))


@jit
def repeated(rows: Array, length: int) -> Array:
    """(n, C) to (n, length): each row over and over."""
    count, channels = rows.shape
    tiles = np.empty((count, length), rows.dtype)
    for row in range(count):
        for start in range(0, length, channels):
            for c in range(channels):
                tiles[row, start + c] = rows[row, c]
    return tiles


@jit
def _put_taps(r0: Array, r1: Array, r2: Array, taps: Array, channels: int, out: Array) -> None:
    """out = the nine taps of a tile, k = 3; the three rows begin a pixel to the left of it."""
    a0, a1, a2 = r0, r0[channels:], r0[2 * channels :]
    b0, b1, b2 = r1, r1[channels:], r1[2 * channels :]
    c0, c1, c2 = r2, r2[channels:], r2[2 * channels :]
    k0, k1, k2, k3, k4, k5, k6, k7, k8 = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7], taps[8],
    )  # fmt: skip
    for q in range(out.shape[0]):
        first = k0[q] * a0[q] + k1[q] * a1[q] + k2[q] * a2[q]
        second = k3[q] * b0[q] + k4[q] * b1[q] + k5[q] * b2[q]
        third = k6[q] * c0[q] + k7[q] * c1[q] + k8[q] * c2[q]
        out[q] = first + second + third


@jit
def _put_two_taps(
    r0: Array, r1: Array, r2: Array, r3: Array, taps: Array, channels: int, out: Array, low: Array
) -> None:
    """As `_put_taps` for two rows, so that the taps and the rows between are fetched once for both."""
    a0, a1, a2 = r0, r0[channels:], r0[2 * channels :]
    b0, b1, b2 = r1, r1[channels:], r1[2 * channels :]
    c0, c1, c2 = r2, r2[channels:], r2[2 * channels :]
    d0, d1, d2 = r3, r3[channels:], r3[2 * channels :]
    k0, k1, k2, k3, k4, k5, k6, k7, k8 = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7], taps[8],
    )  # fmt: skip
    for q in range(out.shape[0]):
        u, v, w = b0[q], b1[q], b2[q]
        total = k3[q] * u + k4[q] * v + k5[q] * w
        second = k0[q] * u + k1[q] * v + k2[q] * w
        u, v, w = c0[q], c1[q], c2[q]
        total += k6[q] * u + k7[q] * v + k8[q] * w
        second += k3[q] * u + k4[q] * v + k5[q] * w
        out[q] = total + (k0[q] * a0[q] + k1[q] * a1[q] + k2[q] * a2[q])
        low[q] = second + (k6[q] * d0[q] + k7[q] * d1[q] + k8[q] * d2[q])


@jit
def _correlate(maps: Array, taps: Array, start: int, channels: int, size: int, out: Array) -> None:
    """out (H, tile) = all taps of the tiles that begin `start` numbers into each row of maps."""
    height = out.shape[0]
    if size == 3:
        for row in range(0, height - 1, 2):
            r0, r1, r2, r3 = maps[row, start:], maps[row + 1, start:], maps[row + 2, start:], maps[row + 3, start:]
            _put_two_taps(r0, r1, r2, r3, taps, channels, out[row], out[row + 1])
        if height % 2 == 1:
            r0, r1, r2 = maps[height - 1, start:], maps[height, start:], maps[height + 1, start:]
            _put_taps(r0, r1, r2, taps, channels, out[height - 1])
        return
    for row in range(height):
        target = out[row]
        target[:] = 0
        for dy in range(size):
            for dx in range(size):
                source, tap = maps[row + dy, start + dx * channels :], taps[dy * size + dx]
                for q in range(target.shape[0]):
                    target[q] += tap[q] * source[q]


@jit
def _add_products(grad: Array, source: Array, channels: int, sums: Array) -> None:
    """sums[dx] += grad * source, dx pixels further on, k = 3; sums (3, tile)."""
    first, second, third = source, source[channels:], source[2 * channels :]
    s0, s1, s2 = sums[0], sums[1], sums[2]
    for q in range(grad.shape[0]):
        g = grad[q]
        s0[q] += g * first[q]
        s1[q] += g * second[q]
        s2[q] += g * third[q]


@jit
def _add_two_products(grad: Array, low: Array, source: Array, below: Array, channels: int, sums: Array) -> None:
    """As `_add_products` for two rows: grad * source + low * below, so that the sums are fetched once for both."""
    first, second, third = source, source[channels:], source[2 * channels :]
    fourth, fifth, sixth = below, below[channels:], below[2 * channels :]
    s0, s1, s2 = sums[0], sums[1], sums[2]
    for q in range(grad.shape[0]):
        g, h = grad[q], low[q]
        s0[q] += g * first[q] + h * fourth[q]
        s1[q] += g * second[q] + h * fifth[q]
        s2[q] += g * third[q] + h * sixth[q]


@jit
def _products(
    grads: Array, maps: Array, height: int, start: int, length: int, channels: int, size: int, sums: Array
) -> None:
    """sums[dy*k + dx] += grads * maps shifted, over all rows of the tiles that begin at `start`; sums (k*k, tile)."""
    pad = size // 2
    inside = start + pad * channels
    if size == 3:
        for row in range(0, height - 1, 2):
            upper, lower = grads[row + 1, inside : inside + length], grads[row + 2, inside : inside + length]
            for dy in range(3):
                source, below = maps[row + dy, start:], maps[row + dy + 1, start:]
                _add_two_products(upper, lower, source, below, channels, sums[3 * dy : 3 * dy + 3])
        if height % 2 == 1:
            last = grads[height, inside : inside + length]
            for dy in range(3):
                _add_products(last, maps[height - 1 + dy, start:], channels, sums[3 * dy : 3 * dy + 3])
        return
    for row in range(height):
        grad = grads[row + pad, inside : inside + length]
        for dy in range(size):
            for dx in range(size):
                source, own = maps[row + dy, start + dx * channels :], sums[dy * size + dx]
                for q in range(length):
                    own[q] += grad[q] * source[q]


@jit
def forward_rows(
    x: Array, weight: Array, taps: Array, y: Array, negative: Array, mixed: Array, channels: int, size: int
) -> None:
    """y (H, W*C) of one sample x (H, W*C).

    Weight (tile,) and taps (k*k, tile) are repeated. Scratch: negative ((H + k - 1), (W + k - 1) * C + tile) with zeros
    in its border; mixed (H, tile).
    """
    zero = x.dtype.type(0)
    height, length = x.shape
    border, tile = size // 2 * channels, weight.shape[0]
    for row in range(height):
        source, below = x[row], negative[row + size // 2, border:]
        for q in range(length):
            value = source[q]
            below[q] = zero if value > zero else value
    for start in range(0, length, tile):
        count = min(tile, length - start)
        _correlate(negative, taps, start, channels, size, mixed)
        for row in range(height):
            source, through, target = x[row, start:], mixed[row], y[row, start:]
            for q in range(count):
                value, factor = source[q], weight[q]
                target[q] = (zero if value <= zero else factor * value) + through[q]


@jit
def backward_rows(
    grad: Array,
    x: Array,
    weight: Array,
    flipped: Array,
    grad_x: Array,
    sums: Array,
    tiles: Array,
    negative: Array,
    outer: Array,
    mixed: Array,
    channels: int,
    size: int,
) -> None:
    """grad_x (H, W*C) of one sample, and its sums (1 + k*k, C) for weight and kernel.

    Weight (tile,) and flipped (k*k, tile), which is the taps from the last to the first, are repeated. Scratch: tiles
    (1 + k*k, tile); negative and outer ((H + k - 1), (W + k - 1) * C + tile) with zeros in their borders; mixed
    (H, tile).
    """
    zero = x.dtype.type(0)
    height, length = x.shape
    pad, tile = size // 2, weight.shape[0]
    border = pad * channels
    tiles[:] = zero
    total = tiles[0]
    for row in range(height):
        source, g_row = x[row], grad[row]
        below, inner = negative[row + pad, border:], outer[row + pad, border:]
        for q in range(length):
            value = source[q]
            below[q] = zero if value > zero else value
            inner[q] = g_row[q]
    for start in range(0, length, tile):
        count = min(tile, length - start)
        _correlate(outer, flipped, start, channels, size, mixed)
        for row in range(height):
            source, g_row, own, target = x[row, start:], grad[row, start:], mixed[row], grad_x[row, start:]
            for q in range(count):
                value, g, through = source[q], g_row[q], own[q]
                straight = weight[q] * g
                total[q] += zero if value <= zero else g * value
                target[q] = (zero if value <= zero else straight) + (zero if value > zero else through)
        _products(outer, negative, height, start, count, channels, size, tiles[1:])
    sums[:] = zero
    for row in range(sums.shape[0]):
        for start in range(0, min(tile, length), channels):
            for c in range(channels):
                sums[row, c] += tiles[row, start + c]
