"""LENI's default form on one pixel after the other (all its channels), for numba: channels_last maps of many channels.

The innermost loop runs over channels, so it is long where there are many, however small the map is; a tap that falls
off the map is left out instead of being multiplied by zero.
"""

from __future__ import annotations

from leni.kernels.planes import Array, jit

__all__ = ["backward_pixels", "forward_pixels"]


@jit
def _correlate(rows: Array, taps: Array, height: int, width: int, size: int, out: Array) -> None:
    """out[p] += sum over (dy, dx) of taps[dy*k + dx] * rows[p shifted]; rows and out (H*W, C), taps (k*k, C)."""
    pad = size // 2
    for i in range(height):
        for j in range(width):
            target = out[i * width + j]
            if size == 3 and 0 < i < height - 1 and 0 < j < width - 1:
                _add9(rows, taps, (i - 1) * width + j - 1, width, target)
                continue
            for dy in range(max(0, pad - i), min(size, height + pad - i)):
                for dx in range(max(0, pad - j), min(size, width + pad - j)):
                    row, tap = rows[(i + dy - pad) * width + j + dx - pad], taps[dy * size + dx]
                    for c in range(target.shape[0]):
                        target[c] += tap[c] * row[c]


@jit
def _add9(rows: Array, taps: Array, first: int, width: int, target: Array) -> None:
    """The nine taps of a pixel inside the map in one pass; `first` is the pixel above and to the left of it."""
    a0, a1, a2 = rows[first], rows[first + 1], rows[first + 2]
    b0, b1, b2 = rows[first + width], rows[first + width + 1], rows[first + width + 2]
    c0, c1, c2 = rows[first + 2 * width], rows[first + 2 * width + 1], rows[first + 2 * width + 2]
    k0, k1, k2, k3, k4, k5, k6, k7, k8 = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7], taps[8],
    )  # fmt: skip
    for c in range(target.shape[0]):
        above = k0[c] * a0[c] + k1[c] * a1[c] + k2[c] * a2[c]
        here = k3[c] * b0[c] + k4[c] * b1[c] + k5[c] * b2[c]
        below = k6[c] * c0[c] + k7[c] * c1[c] + k8[c] * c2[c]
        target[c] += above + here + below


@jit
def _products(rows: Array, grads: Array, height: int, width: int, size: int, sums: Array) -> None:
    """sums[dy*k + dx] += sum over p of grads[p] * rows[p shifted]; rows and grads (H*W, C), sums (k*k, C)."""
    pad = size // 2
    for i in range(height):
        for j in range(width):
            grad = grads[i * width + j]
            for dy in range(max(0, pad - i), min(size, height + pad - i)):
                for dx in range(max(0, pad - j), min(size, width + pad - j)):
                    row, own = rows[(i + dy - pad) * width + j + dx - pad], sums[dy * size + dx]
                    for c in range(grad.shape[0]):
                        own[c] += grad[c] * row[c]


@jit
def forward_pixels(
    x: Array, weight: Array, taps: Array, y: Array, negative: Array, height: int, width: int, size: int
) -> None:
    """y (H*W, C) of one sample x (H*W, C); weight (C,), taps (k*k, C), negative is scratch (H*W, C)."""
    zero = x.dtype.type(0)
    for p in range(x.shape[0]):
        source, target, below = x[p], y[p], negative[p]
        for c in range(weight.shape[0]):
            value, factor = source[c], weight[c]
            below[c] = zero if value > zero else value
            target[c] = zero if value <= zero else factor * value
    _correlate(negative, taps, height, width, size, y)


@jit
def backward_pixels(
    grad: Array,
    x: Array,
    weight: Array,
    flipped: Array,
    grad_x: Array,
    sums: Array,
    negative: Array,
    height: int,
    width: int,
    size: int,
) -> None:
    """grad_x (H*W, C) of one sample, and its sums (1 + k*k, C) for weight and kernel; flipped is taps[::-1]."""
    zero = x.dtype.type(0)
    sums[:] = zero
    total = sums[0]
    for p in range(x.shape[0]):
        source, outer, target, below = x[p], grad[p], grad_x[p], negative[p]
        for c in range(weight.shape[0]):
            value, g = source[c], outer[c]
            below[c] = zero if value > zero else value
            total[c] += zero if value <= zero else g * value
            target[c] = zero
    _products(negative, grad, height, width, size, sums[1:])
    _correlate(grad, flipped, height, width, size, grad_x)
    for p in range(x.shape[0]):
        source, outer, target = x[p], grad[p], grad_x[p]
        for c in range(weight.shape[0]):
            value, straight, through = source[c], weight[c] * outer[c], target[c]
            target[c] = (zero if value <= zero else straight) + (zero if value > zero else through)
