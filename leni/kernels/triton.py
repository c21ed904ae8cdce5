"""LENI's default form on CUDA, in Triton: one kernel forward, one backward, each with about ReLU's memory traffic.

A program owns a tile of channels and columns and slides down rows. A row is read once from memory, and for its k
sideways shifts from the cache. It is added to the k rows of the result that it takes part in, of which all but one wait
in registers. Backward slides over the gradient: each value that is loaded serves the gradient of x and that of the
kernel, for which x is needed without neighbours. Nothing is saved; min(x, 0) is computed again.

channels_last maps are read along the channels, in vectors, contiguous ones along the columns; neither is copied.
Arithmetic is in float32, in float64 where x or the weight is of float64, and the result is rounded once. Each program
keeps its own sums for the weights, and torch adds those of all programs, so that they are the same in every run.
"""

# Triton's compiler knows `taps + (tap,)` alone for a longer tuple, and its users name what is compiled in by capitals.
# ruff: noqa: N803, RUF005
# mypy: disable-error-code="assignment, misc, var-annotated"
from __future__ import annotations

import functools
import math
import subprocess
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.errors import TritonError

from leni.kernels import reference

__all__ = ["LARGEST", "Tiling", "backward", "forward", "prepare", "tiling"]

LARGEST = 7  # k up to which the kernel's k*k sums fit into registers; larger ones go through the reference
_THREADS = 128
_PROGRAMS = 2048  # aimed at: several for each multiprocessor, and few sums to write
_FEWEST_ROWS = 8  # of a program, while there are programs enough: each reads k - 1 rows more than it writes
_FEWEST_PLACES = 128  # rows times columns of a program in the backward pass: it writes 1 + k*k sums for them
_STAGES = 3  # rows in flight, where the compiler can copy ahead
_SEGMENT = 64  # bytes that neighbouring threads read in one piece, at least
_VECTOR = 8  # bytes that a thread reads in one piece, at most: copies of 16 bypass the first cache
# Elements of a tile's row that a thread has, by k, as registers allow: forward along the channels, and otherwise.
_PER_THREAD = {1: (8, 8), 3: (8, 4), 5: (4, 2), 7: (2, 1)}
_DTYPES = {torch.float32: tl.float32, torch.float64: tl.float64}


class Tiling(NamedTuple):
    """How maps are shared out.

    Attributes:
        channels: of a tile, a power of two.
        columns: of a tile, a power of two.
        rows: that a program slides over at a time.
        channel_blocks: tiles that cover the channels.
        column_blocks: tiles that cover the columns.
        chunks: pieces of `rows` rows that cover the height.
        items: (sample, chunk, column block), a count.
        programs: that share the items in the backward pass, for each block of channels.
        warps: of a program.
    """

    channels: int
    columns: int
    rows: int
    channel_blocks: int
    column_blocks: int
    chunks: int
    items: int
    programs: int
    warps: int


@functools.lru_cache(maxsize=1024)
def tiling(
    shape: tuple[int, int, int, int], *, size: int, last: bool, backward: bool, bytes_stored: int, bytes_summed: int
) -> Tiling:
    """Choose tiles by shape.

    Of the tiles that fill the threads, the one that wastes fewest of its elements on the edges and halos.

    Args:
        shape: (N, C, H, W), nothing of it 0.
        size: k.
        last: whether maps are channels_last.
        backward: for which of the two kernels.
        bytes_stored: of one element of x.
        bytes_summed: of one element in registers.

    Returns:
        The tiling.
    """
    samples, channels, height, width = shape
    per_thread = max(1, _PER_THREAD[size][backward or not last] * 4 // bytes_summed)
    block, columns = _tile(channels, width, _THREADS * per_thread, size=size, last=last, bytes_stored=bytes_stored)
    channel_blocks, column_blocks = math.ceil(channels / block), math.ceil(width / columns)
    rows = height
    while rows > _FEWEST_ROWS and samples * channel_blocks * column_blocks * math.ceil(height / rows) < _PROGRAMS:
        rows = max(_FEWEST_ROWS, math.ceil(rows / 2))
    chunks = math.ceil(height / rows)
    items = samples * chunks * column_blocks
    share = max(math.ceil(items * channel_blocks / _PROGRAMS), math.ceil(_FEWEST_PLACES / (rows * min(columns, width))))
    warps = max(1, block * columns // per_thread // 32)
    return Tiling(block, columns, rows, channel_blocks, column_blocks, chunks, items, math.ceil(items / share), warps)


def _tile(channels: int, width: int, elements: int, *, size: int, last: bool, bytes_stored: int) -> tuple[int, int]:
    """Channels and columns of the tile of at most `elements` that does least for nothing, on edges and halos."""
    most, widest = _power(channels), _power(width)
    found = []
    for columns in (2**i for i in range(min(widest, elements).bit_length())):
        block = min(elements // columns, most)
        run, whole = (block, most) if last else (columns, widest)
        if run == whole or run * bytes_stored >= _SEGMENT:
            covered = math.ceil(channels / block) * block * math.ceil(width / columns)
            found.append((covered * (columns + max(1, size // 2)), -columns, block))
    _, columns, block = min(found)
    return block, -columns


def _power(number: int) -> int:
    """The least power of two that is not below `number`."""
    return 1 << (number - 1).bit_length()


@triton.jit
def _place(
    item: tl.tensor, column_blocks: tl.tensor, chunks: tl.tensor, rows: tl.tensor, height: tl.tensor
) -> tl.tuple:
    """Column block, sample, first row and number of rows of an item."""
    rest = item // column_blocks
    first = (rest % chunks) * rows
    return item % column_blocks, (rest // chunks).to(tl.int64), first, tl.minimum(rows, height - first)


@triton.jit
def _steps(
    units: tl.tensor, height: tl.tensor, width: tl.tensor, ALIGNED: tl.constexpr, LAST: tl.constexpr
) -> tl.tuple:
    """C, and how far the next channel, row and column are; multiples of ALIGNED where the compiler needs to know it."""
    channels = units * ALIGNED
    plane = tl.cast(height, tl.int64) * width
    step_c = 1 if LAST else plane
    step_h = tl.cast(width, tl.int64) * (channels if LAST else 1)
    return channels, step_c, step_h, channels if LAST else 1


@triton.jit
def _weights(
    weight: tl.tensor,
    kernel: tl.tensor,
    channel: tl.tensor,
    channels: tl.tensor,
    SIZE: tl.constexpr,
    WIDE: tl.constexpr,
) -> tl.tuple:
    """w1 (CHANNELS, 1), and the k*k taps, each (CHANNELS, 1)."""
    known = channel < channels
    taps = ()
    for i in tl.static_range(SIZE * SIZE):
        taps = taps + (_loaded(kernel + channel * (SIZE * SIZE) + i, known, WIDE)[:, None],)
    return _loaded(weight + channel, known, WIDE)[:, None], taps


@triton.jit
def _shifted(
    source: tl.tensor, line: tl.tensor, offsets: tl.tensor, column: tl.tensor, width: tl.tensor, exists: tl.tensor,
    step_w: tl.tensor, pad: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr,
) -> tl.tuple:  # fmt: skip
    """A row of the tile, moved by -pad to pad columns."""
    values = ()
    for i in tl.static_range(SIZE):
        place = column + (i - pad)
        mask = exists & ((place >= 0) & (place < width))[None, :]
        values = values + (_loaded(source + (line + (i - pad) * step_w) + offsets, mask, WIDE),)
    return values


@triton.jit
def _copies(value: tl.tensor, count: tl.constexpr) -> tl.tuple:
    """`value`, `count` times."""
    values = ()
    for _ in tl.static_range(count):
        values = values + (value,)
    return values


@triton.jit
def _spread(
    values: tl.tuple, window: tl.tuple, taps: tl.tuple, through: tl.tuple, sums: tl.tuple, SIZE: tl.constexpr
) -> tl.tuple:
    """A shifted row of the gradient, added to the k rows of x's gradient and to the kernel's k*k sums."""
    added, products = (), ()
    for j in tl.static_range(SIZE):
        below, total = _negative(window[j]), through[j]
        for i in tl.static_range(SIZE):
            value = values[SIZE - 1 - i]
            total += taps[j * SIZE + i] * value
            products = products + (sums[j * SIZE + i] + below * value,)
        added = added + (total,)
    return added, products


@triton.jit
def _moved(values: tl.tuple, count: tl.constexpr) -> tl.tuple:
    """`values` without the first. The sums are there because loads ahead need values that are not merely passed on."""
    moved = ()
    for i in tl.static_range(1, count):
        moved = moved + (values[i] if i == count - 1 else values[i] + 0.0,)
    return moved


@triton.jit
def _rounded(value: tl.tensor, target: tl.tensor) -> tl.tensor:
    """`value` in the dtype of what `target` points to; from float64 to a half precision as torch does it."""
    if target.dtype.element_ty.primitive_bitwidth == 16:
        value = value.to(tl.float32)
    return value.to(target.dtype.element_ty)


@triton.jit
def _loaded(pointers: tl.tensor, mask: tl.tensor, wide: tl.constexpr) -> tl.tensor:
    return tl.load(pointers, mask=mask, other=0.0).to(wide)


@triton.jit
def _positive(value: tl.tensor) -> tl.tensor:
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _negative(value: tl.tensor) -> tl.tensor:
    return tl.minimum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit(do_not_specialize=["units", "height", "width", "rows", "column_blocks", "chunks", "channel_blocks"])
def _forward(
    x: tl.tensor, weight: tl.tensor, kernel: tl.tensor, y: tl.tensor,
    units: tl.tensor, height: tl.tensor, width: tl.tensor, rows: tl.tensor,
    column_blocks: tl.tensor, chunks: tl.tensor, channel_blocks: tl.tensor,
    ALIGNED: tl.constexpr, LAST: tl.constexpr, SIZE: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
    WIDE: tl.constexpr, STAGES: tl.constexpr,
) -> None:  # fmt: skip
    """One item of y. `sums[j]` is what row - pad + j of y has so far; the first is complete and leaves."""
    pad: tl.constexpr = SIZE // 2
    channels, step_c, step_h, step_w = _steps(units, height, width, ALIGNED, LAST)
    block, item = tl.program_id(0) % channel_blocks, tl.program_id(0) // channel_blocks
    column_block, sample, first, count = _place(item, column_blocks, chunks, rows, height)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    column = column_block * COLUMNS + tl.arange(0, COLUMNS)
    there = (channel < channels)[:, None]
    offsets = channel[:, None].to(tl.int64) * step_c + column[None, :].to(tl.int64) * step_w
    start = sample * channels * height * width
    factor, taps = _weights(weight, kernel, channel, channels, SIZE, WIDE)
    nothing = tl.zeros((CHANNELS, COLUMNS), WIDE)
    sums = _copies(nothing, SIZE - 1)
    for step in tl.range(0, count + 2 * pad, num_stages=STAGES):
        row = first - pad + step
        line = start + row.to(tl.int64) * step_h
        exists = there & (row >= 0) & (row < height)
        values = _shifted(x, line, offsets, column, width, exists, step_w, pad, SIZE, WIDE)
        sums = sums + (nothing,)
        added = ()
        for j in tl.static_range(SIZE):
            total = sums[j]
            if j == pad:
                total += factor * _positive(values[pad])
            for i in tl.static_range(SIZE):
                total += taps[(SIZE - 1 - j) * SIZE + i] * _negative(values[i])
            added = added + (total,)
        complete = there & (column < width)[None, :] & (step >= 2 * pad)
        target = start + (row - pad).to(tl.int64) * step_h
        tl.store(y + target + offsets, _rounded(added[0], y), mask=complete)
        sums = added[1:]


@triton.jit(
    do_not_specialize=[
        "units", "height", "width", "rows", "column_blocks", "chunks", "channel_blocks", "items", "programs",
    ]
)  # fmt: skip
def _backward(
    grad: tl.tensor, x: tl.tensor, weight: tl.tensor, kernel: tl.tensor, grad_x: tl.tensor, partial: tl.tensor,
    units: tl.tensor, height: tl.tensor, width: tl.tensor, rows: tl.tensor,
    column_blocks: tl.tensor, chunks: tl.tensor, channel_blocks: tl.tensor, items: tl.tensor, programs: tl.tensor,
    ALIGNED: tl.constexpr, LAST: tl.constexpr, SIZE: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
    WIDE: tl.constexpr, STAGES: tl.constexpr,
) -> None:  # fmt: skip
    """A program's items of grad_x, and its sums (1 + k*k, C) for weight and kernel.

    At a row of the gradient, `window[j]` is row - pad + j of x, `through[j]` what came to it through K, and
    `centres[j]` is row - pad + j of the gradient. Rows of x outside the item are 0 there and add nothing to the sums.
    """
    pad: tl.constexpr = SIZE // 2
    channels, step_c, step_h, step_w = _steps(units, height, width, ALIGNED, LAST)
    block, program = tl.program_id(0) % channel_blocks, tl.program_id(0) // channel_blocks
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    there = (channel < channels)[:, None]
    factor, taps = _weights(weight, kernel, channel, channels, SIZE, WIDE)
    nothing = tl.zeros((CHANNELS, COLUMNS), WIDE)
    grad_weight = nothing
    grad_kernel = _copies(nothing, SIZE * SIZE)
    for item in tl.range(program, items, programs):
        column_block, sample, first, count = _place(item, column_blocks, chunks, rows, height)
        column = column_block * COLUMNS + tl.arange(0, COLUMNS)
        within = there & (column < width)[None, :]
        offsets = channel[:, None].to(tl.int64) * step_c + column[None, :].to(tl.int64) * step_w
        start = sample * channels * height * width
        window, through, centres = _copies(nothing, SIZE - 1), _copies(nothing, SIZE - 1), _copies(nothing, pad)
        for step in tl.range(0, count + 2 * pad, num_stages=STAGES):
            row = first - pad + step
            line = start + row.to(tl.int64) * step_h
            lead = start + (first + step).to(tl.int64) * step_h
            window = window + (_loaded(x + lead + offsets, within & (step < count), WIDE),)
            exists = there & (row >= 0) & (row < height)
            values = _shifted(grad, line, offsets, column, width, exists, step_w, pad, SIZE, WIDE)
            grad_weight += values[pad] * _positive(window[pad])
            through, centres = through + (nothing,), centres + (values[pad],)
            added, grad_kernel = _spread(values, window, taps, through, grad_kernel, SIZE)
            straight = factor * tl.where(window[0] <= 0.0, 0.0, centres[0])
            result = straight + tl.where(window[0] > 0.0, 0.0, added[0])
            target = start + (row - pad).to(tl.int64) * step_h
            tl.store(grad_x + target + offsets, _rounded(result, grad_x), mask=within & (step >= 2 * pad))
            window, through, centres = _moved(window, SIZE), added[1:], _moved(centres, pad + 1)
    own = partial + program.to(tl.int64) * (1 + SIZE * SIZE) * channels + channel
    tl.store(own, tl.sum(grad_weight, 1), mask=channel < channels)
    for i in tl.static_range(SIZE * SIZE):
        tl.store(own + (1 + i) * channels, tl.sum(grad_kernel[i], 1), mask=channel < channels)


def _layout(x: Tensor) -> tuple[bool, torch.memory_format]:
    """Whether maps are worked on as channels_last ones, and the layout that they then have for torch."""
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    pixel = x.shape[2] * x.shape[3] == 1  # both layouts are the same memory
    return last or pixel, torch.channels_last if last else torch.contiguous_format


def _wide(x: Tensor, weight: Tensor) -> torch.dtype:
    """The dtype of the arithmetic."""
    return torch.float64 if torch.float64 in (x.dtype, weight.dtype) else torch.float32


def _plan(
    x: Tensor, wide: torch.dtype, *, size: int, last: bool, backward: bool
) -> tuple[Tiling, tuple[int, ...], dict[str, object]]:
    """The tiling, and what both kernels take after their tensors: numbers, and what they are compiled for."""
    samples, channels, height, width = x.shape
    tiles = tiling(
        (samples, channels, height, width),
        size=size, last=last, backward=backward, bytes_stored=x.itemsize, bytes_summed=wide.itemsize,
    )  # fmt: skip
    aligned = math.gcd(channels, _VECTOR // x.itemsize) if last else 1
    numbers = (channels // aligned, height, width, tiles.rows, tiles.column_blocks, tiles.chunks, tiles.channel_blocks)
    options = {
        "ALIGNED": aligned, "LAST": last, "SIZE": size, "CHANNELS": tiles.channels, "COLUMNS": tiles.columns,
        "WIDE": _DTYPES[wide], "STAGES": _STAGES, "num_warps": tiles.warps,
    }  # fmt: skip
    return tiles, numbers, options


def forward(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """As `leni.kernels.reference.forward`, for tensors on a CUDA device, without a graph."""
    wide, size = _wide(x, weight), kernel.shape[-1]
    if size > LARGEST:
        return reference.forward(x.to(wide), weight.to(wide), kernel.to(wide)).to(x.dtype)
    last, layout = _layout(x)
    source = x.contiguous(memory_format=layout)
    y = torch.empty_like(source)
    if x.numel():
        tiles, numbers, options = _plan(source, wide, size=size, last=last, backward=False)
        with torch.cuda.device_of(x):
            _forward[(tiles.items * tiles.channel_blocks,)](
                source, weight.contiguous(), kernel.contiguous(), y, *numbers, **options
            )
    return y


def backward(grad: Tensor, x: Tensor, weight: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `leni.kernels.reference.backward`, for tensors on a CUDA device, without a graph."""
    wide, size = _wide(x, weight), kernel.shape[-1]
    if size > LARGEST:
        gradients = reference.backward(grad.to(wide), x.to(wide), weight.to(wide), kernel.to(wide))
        return gradients[0].to(x.dtype), gradients[1].to(weight.dtype), gradients[2].to(kernel.dtype)
    if not x.numel():
        return torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(kernel)
    last, layout = _layout(x)
    outer, source = grad.contiguous(memory_format=layout), x.contiguous(memory_format=layout)
    grad_x = torch.empty_like(source)
    tiles, numbers, options = _plan(source, wide, size=size, last=last, backward=True)
    partial = torch.empty((tiles.programs, 1 + size * size, x.shape[1]), dtype=wide, device=x.device)
    with torch.cuda.device_of(x):
        _backward[(tiles.programs * tiles.channel_blocks,)](
            outer, source, weight.contiguous(), kernel.contiguous(), grad_x, partial,
            *numbers, tiles.items, tiles.programs, **options,
        )  # fmt: skip
    sums, grad_kernel = partial.sum(0), kernel.new_empty(kernel.shape)
    grad_kernel.view(x.shape[1], size * size).copy_(sums[1:].t())
    return grad_x, sums[0].to(weight.dtype), grad_kernel


def prepare() -> str | None:
    """Compile for float32 on the current CUDA device, and see that it runs; without a device there is nothing to see.

    Returns:
        None, or what kept Triton from it.
    """
    if not torch.cuda.is_available():
        return None
    one = torch.ones((1, 1, 1, 1), dtype=torch.float32, device="cuda")
    try:
        forward(one, one[0, 0, 0], one)
        backward(one, one, one[0, 0, 0], one)
    except (TritonError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None
