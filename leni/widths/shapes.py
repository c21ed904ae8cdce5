"""Rules for functions that move, cut, join or repeat dimensions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from torch import Tensor

from leni.recording import Step, tensors_in
from leni.widths.arguments import first, given, numbers
from leni.widths.elementwise import elementwise
from leni.widths.flow import Flow, Rule
from leni.widths.sizes import Size

__all__ = [
    "chunked",
    "concatenated",
    "expanded",
    "indexed",
    "mirrored",
    "permutation",
    "permuted",
    "reduced",
    "repeated",
    "reshaped",
    "split",
    "stacked",
    "transposition",
    "unbound",
]

_SAMPLES = 2  # of a traced pass, at most
_FEW = 4  # members of a sum whose orders are all tried


def reshaped(flow: Flow, step: Step) -> bool:
    """View, reshape, flatten, squeeze: runs of dimensions whose product is the same are taken together."""
    x, result = first(step), step.result
    if not isinstance(result, Tensor):
        return False
    sizes = flow.dims(x)
    wanted = numbers(step, 1, "size" if "size" in step.kwargs else "shape")
    wanted = wanted if len(wanted) == result.dim() else [-1] * result.dim()
    before = [index for index, size in enumerate(x.shape) if size != 1]
    after = [index for index, size in enumerate(result.shape) if size != 1]
    like = [tensor for tensor in tensors_in((step.args[1:], step.kwargs)) if tensor.shape == result.shape]
    if like:  # reshape_as
        return flow.put(result, flow.dims(like[0]))
    dims = list(map(Size.of, result.shape))
    inferred = wanted.index(-1) if wanted.count(-1) == 1 else None
    for old, new in _runs([x.shape[i] for i in before], [result.shape[i] for i in after]):
        old_dims, new_dims = [before[i] for i in old], [after[i] for i in new]
        if not _run(flow, step, [sizes[i] for i in old_dims], new_dims, dims, inferred):
            return False
    if flow.attempt:
        _written(flow, step, wanted, dims)
    return flow.put(result, tuple(dims))


def _written(flow: Flow, step: Step, wanted: Sequence[int], dims: Sequence[Size]) -> None:
    """Numbers that do not follow the operand: they are attributes of the module, or parts of what it is called with."""
    patched = [Size.of(-1) if number == -1 else size for number, size in zip(wanted, dims, strict=True)]
    if flow.attempt == 1 and flow.patch(step, wanted, patched):
        return
    for number, size in zip(wanted, dims, strict=True):
        if number == -1 or flow.equations.solve(size).fixed:
            continue
        given_sizes = [one for one in flow.given_sizes(step.scope) if flow.equations.now(one) % number == 0]
        for one in sorted(given_sizes, key=flow.equations.now)[:1]:
            flow.equate(size, one.times(Fraction(number, int(flow.equations.now(one)))), step)


def _runs(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Shortest runs of old and of new dimensions with equal products."""
    runs, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        left, right = [i], [j]
        a, b = old[i], new[j]
        while a != b:
            if a < b:
                left.append(left[-1] + 1)
                a *= old[left[-1]]
            else:
                right.append(right[-1] + 1)
                b *= new[right[-1]]
        runs.append((left, right))
        i, j = left[-1] + 1, right[-1] + 1
    return runs


def _run(
    flow: Flow, step: Step, sizes: Sequence[Size], new: Sequence[int], dims: list[Size], inferred: int | None
) -> bool:
    """Sizes of the new dimensions of one run; one of them changes with the one old size that can."""
    solved = [flow.equations.solve(size) for size in sizes]
    changing = [size for size in solved if not size.fixed]
    if not changing:
        return True
    if len(changing) > 1:
        return False
    total = changing[0].times(math.prod((size.constant for size in solved if size.fixed), start=Fraction(1)))
    counts = {index: int(flow.equations.now(dims[index])) for index in new}
    place = _place(total, counts) if inferred is None or inferred not in new else inferred
    others = math.prod(counts.values()) // counts[place]
    if others > 1:
        flow.divide(total, others, step)
        total = flow.equations.solve(total)
    dims[place] = total.times(Fraction(1, others))
    return True


def _place(total: Size, counts: Mapping[int, int]) -> int:
    """The new dimension that changes: one that the old size fits in whole, else the last."""
    product = math.prod(counts.values())
    for index, count in counts.items():
        if all(factor.denominator % (factor * count / product).denominator == 0 for _, factor in total.terms):
            return index
    return list(counts)[-1]


def permuted(order: Callable[[Step, int], Sequence[int]]) -> Rule:
    """A rule for a function that puts dimensions into the order that `order` gives."""

    def rule(flow: Flow, step: Step) -> bool:
        x = first(step)
        dims = flow.dims(x)
        return flow.put(step.result, tuple(dims[index] for index in order(step, x.dim())))

    return rule


def permutation(step: Step, rank: int) -> Sequence[int]:
    """The order that `permute` is given."""
    return [index % rank for index in numbers(step, 1, "dims")]


def transposition(step: Step, rank: int) -> Sequence[int]:
    """The order after two dimensions change places."""
    one = given(step, 1, "dim0", given(step, 1, "axis0", 0)) % rank
    other = given(step, 2, "dim1", given(step, 2, "axis1", 1)) % rank
    order = list(range(rank))
    order[one], order[other] = other, one
    return order


def mirrored(step: Step, rank: int) -> Sequence[int]:
    """The order of dimensions from the last to the first."""
    return list(reversed(range(rank)))


def reduced(flow: Flow, step: Step) -> bool:
    """Sums, means and extrema over dimensions; of two tensors, elementwise."""
    x = first(step)
    dim = given(step, 1, "dim", step.kwargs.get("axis"))
    if isinstance(dim, Tensor) or "other" in step.kwargs:
        return elementwise(flow, step)
    results = list(tensors_in(step.result))
    listed = [dim] if isinstance(dim, int) else list(dim or range(x.dim()))
    gone = {index % max(x.dim(), 1) for index in listed}
    dims = [Size.of(1) if index in gone else size for index, size in enumerate(flow.dims(x))]
    if results[0].dim() != x.dim():
        dims = [size for index, size in enumerate(dims) if index not in gone]
    return flow.put_all(results, dims)


def concatenated(flow: Flow, step: Step) -> bool:
    """Sizes along the dimension add up."""
    tensors = list(tensors_in(given(step, 0, "tensors")))
    result: Tensor = step.result
    dim = given(step, 1, "dim", step.kwargs.get("axis", 0)) % result.dim()
    if any(tensor.dim() != result.dim() for tensor in tensors):
        return False
    dims = list(flow.dims(tensors[0]))
    for tensor in tensors[1:]:
        for index, size in enumerate(flow.dims(tensor)):
            if index == dim:
                dims[dim] = dims[dim].plus(size)
            else:
                flow.equate(dims[index], size, step)
    return flow.put(result, tuple(dims))


def stacked(flow: Flow, step: Step) -> bool:
    """A new dimension of as many as there are operands."""
    tensors = list(tensors_in(given(step, 0, "tensors")))
    dims = list(flow.dims(tensors[0]))
    for tensor in tensors[1:]:
        for one, other in zip(dims, flow.dims(tensor), strict=True):
            flow.equate(one, other, step)
    dims.insert(given(step, 1, "dim", 0) % step.result.dim(), Size.of(len(tensors)))
    return flow.put(step.result, tuple(dims))


def chunked(flow: Flow, step: Step) -> bool:
    """Equal pieces of a dimension, their number given."""
    x, pieces = first(step), list(tensors_in(step.result))
    dim = given(step, 2, "dim", 0) % x.dim()
    dims = list(flow.dims(x))
    size = flow.equations.solve(dims[dim])
    if not size.fixed:
        if any(piece.shape[dim] * len(pieces) != x.shape[dim] for piece in pieces):
            return False
        flow.divide(size, len(pieces), step)
    return _pieces(flow, pieces, dims, dim, [size.times(Fraction(1, len(pieces)))] * len(pieces))


def split(flow: Flow, step: Step) -> bool:
    """Pieces of given sizes: each stays the fraction that it is, in the attributes of the module that splits too."""
    x, pieces = first(step), list(tensors_in(step.result))
    dim = given(step, 2, "dim", 0) % x.dim()
    dims = list(flow.dims(x))
    counts = [piece.shape[dim] for piece in pieces]
    if sum(counts) != x.shape[dim] or flow.equations.solve(dims[dim]).fixed:
        return _pieces(flow, pieces, dims, dim, list(map(Size.of, counts)))
    if len(set(counts)) == 1:
        flow.divide(dims[dim], len(counts), step)
    sizes = _fractions(flow, step, dims[dim], counts)
    if not flow.attempt:
        flow.patch(step, counts, sizes)
        flow.patch(step, [x.shape[dim]], [dims[dim]])
    return _pieces(flow, pieces, dims, dim, sizes)


def _fractions(flow: Flow, step: Step, size: Size, counts: Sequence[int]) -> list[Size]:
    """Parts of a size: the members of a sum where they are that, else multiples of what they all are multiples of."""
    solved, total = flow.equations.solve(size), sum(counts)
    members = [Size((term,)) for term in solved.terms]
    for order in itertools.permutations(members) if len(members) == len(counts) <= _FEW else ():
        if [flow.equations.now(member) for member in order] == counts and not solved.constant:
            return list(order)
    flow.divide(size, total // math.gcd(*counts), step)
    return [flow.equations.solve(size).times(Fraction(count, total)) for count in counts]


def _pieces(flow: Flow, pieces: Sequence[Tensor], dims: list[Size], dim: int, sizes: Sequence[Size]) -> bool:
    put = True
    for piece, size in zip(pieces, sizes, strict=True):
        own = Size.of(piece.shape[dim]) if size.fixed else size
        put &= flow.put(piece, (*dims[:dim], own, *dims[dim + 1 :]))
    return put


def unbound(flow: Flow, step: Step) -> bool:
    """A dimension goes: one result for each of its entries."""
    x = first(step)
    dim = given(step, 1, "dim", 0) % x.dim()
    dims = flow.dims(x)
    pieces = list(tensors_in(step.result))
    return flow.equations.solve(dims[dim]).fixed and flow.put_all(pieces, (*dims[:dim], *dims[dim + 1 :]))


def indexed(flow: Flow, step: Step) -> bool:
    """Basic indexing, as long as it leaves the sizes that can change whole."""
    x, index = first(step), step.args[1]
    index = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(entry, Tensor | list) for entry in index):
        return False
    if Ellipsis in index:
        place = index.index(Ellipsis)
        index[place : place + 1] = [slice(None)] * (x.dim() - sum(entry is not None for entry in index) + 1)
    index += [slice(None)] * (x.dim() - sum(entry is not None for entry in index))
    sizes = iter(zip(flow.dims(x), x.shape, strict=True))
    dims: list[Size] = []
    for entry in index:
        if entry is None:
            dims.append(Size.of(1))
            continue
        size, now = next(sizes)
        if isinstance(entry, slice):
            start, stop, stride = entry.indices(now)
            length = len(range(start, stop, stride))
            changing = not flow.equations.solve(size).fixed
            if length != now and changing and (stride != 1 or not length):
                return False
            dims.append(_sliced(flow, step, size, start, stop) if length != now and changing else size)
            if length != now and not changing:
                dims[-1] = Size.of(length)
        elif not flow.equations.solve(size).fixed:
            return False
    return flow.put(step.result, tuple(dims))


def _sliced(flow: Flow, step: Step, size: Size, start: int, stop: int) -> Size:
    """A piece out of a dimension, which stays the fraction that it is, in the module's attributes too."""
    counts = [start, stop - start, int(flow.equations.now(size)) - stop]
    present = [count for count in counts if count]
    sizes = _fractions(flow, step, size, present)
    piece = sizes[1 if start else 0]
    edges = [sizes[0]] if start else []
    edges += [edges[0].plus(piece) if edges else piece] if counts[2] else []
    flow.patch(step, [edge for edge in (start, stop if counts[2] else 0) if edge], edges)
    return piece


def expanded(flow: Flow, step: Step) -> bool:
    """Dimensions of size 1 are spread over others; how far, is for the steps after to say."""
    x, result = first(step), step.result
    others = list(tensors_in((step.args, step.kwargs)))[1:]
    if others and others[0].shape == result.shape:
        dims = list(flow.dims(others[0]))
    else:
        dims = [flow.equations.new(size, chosen=False) if size > _SAMPLES else Size.of(size) for size in result.shape]
    offset = result.dim() - x.dim()
    for index, size in enumerate(flow.dims(x), offset):
        if x.shape[index - offset] == result.shape[index]:
            dims[index] = size
    return flow.put(result, tuple(dims))


def repeated(flow: Flow, step: Step) -> bool:
    """Sizes are multiplied by whole numbers."""
    x, result = first(step), step.result
    offset = result.dim() - x.dim()
    dims = list(map(Size.of, result.shape))
    for index, size in enumerate(flow.dims(x), offset):
        dims[index] = size.times(result.shape[index] // max(x.shape[index - offset], 1))
    return flow.put(result, tuple(dims))
