"""Rules for functions and tensors' methods, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from leni.recording import Step, tensors_in
from leni.widths.flow import Flow, Product, Rule, step_name
from leni.widths.sizes import Size

__all__ = ["elementwise", "follow_function", "pooled", "reshaped"]


def follow_function(flow: Flow, step: Step) -> bool:
    """Follow a step that is a function; False if it has no rule and does not keep its operands' shape."""
    name = step_name(step)
    if name in RULES:
        return RULES[name](flow, step)
    return name not in NOT_ELEMENTWISE and elementwise(flow, step)


def given(step: Step, position: int, name: str, default: Any = None) -> Any:
    """An argument of a call, by position or by name."""
    return step.args[position] if len(step.args) > position else step.kwargs.get(name, default)


def first(step: Step) -> Tensor:
    """The first tensor that a step got."""
    return next(tensors_in((step.args, step.kwargs)))


def numbers(step: Step, position: int, name: str) -> list[int]:
    """A size, or dimensions: given as one sequence, or one by one."""
    value = given(step, position, name, ())
    if isinstance(value, int):
        value = [entry for entry in step.args[position:] if isinstance(entry, int)] or [value]
    return list(value) if isinstance(value, list | tuple | torch.Size) else []


def elementwise(flow: Flow, step: Step) -> bool:
    """Operands and result are of one shape, but for broadcasting."""
    tensors = list(tensors_in((step.args, step.kwargs)))
    results = list(tensors_in(step.result))
    shape = results[0].shape
    try:
        broadcast = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except RuntimeError:
        return False
    if not tensors or broadcast != shape or any(tensor.shape != shape for tensor in results):
        return False
    dims: list[Size | None] = [None] * len(shape)
    for tensor in tensors:
        for index, size in enumerate(flow.dims(tensor), len(shape) - tensor.dim()):
            if flow.equations.now(size) != shape[index]:
                continue  # broadcast
            known = dims[index]
            if known is not None:
                flow.equate(known, size, step)
            dims[index] = size
    whole = tuple(Size.of(now) if size is None else size for size, now in zip(dims, shape, strict=True))
    return flow.put_all(results, whole)


def pooled(flow: Flow, step: Step) -> bool:
    """Only positions change: the batch and the channels stay."""
    x = first(step)
    results = list(tensors_in(step.result))
    if any(result.dim() != x.dim() or result.dim() < 3 or result.shape[:2] != x.shape[:2] for result in results):
        return False
    return flow.put_all(results, (*flow.dims(x)[:2], *map(Size.of, results[0].shape[2:])))


def reshaped(flow: Flow, step: Step) -> bool:
    """View, reshape, flatten, squeeze: runs of dimensions whose product is the same are taken together."""
    x, result = first(step), step.result
    if not isinstance(result, Tensor):
        return False
    sizes = flow.dims(x)
    wanted = numbers(step, 1, "size" if "size" in step.kwargs else "shape")
    inferred = wanted.index(-1) if -1 in wanted and len(wanted) == result.dim() else None
    before = [index for index, size in enumerate(x.shape) if size != 1]
    after = [index for index, size in enumerate(result.shape) if size != 1]
    dims = list(map(Size.of, result.shape))
    for old, new in _runs([x.shape[i] for i in before], [result.shape[i] for i in after]):
        old_dims, new_dims = [before[i] for i in old], [after[i] for i in new]
        if not _run(flow, step, [sizes[i] for i in old_dims], new_dims, dims, inferred):
            return False
    return flow.put(result, tuple(dims))


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
    place = new[-1] if inferred is None or inferred not in new else inferred
    others = math.prod(int(flow.equations.now(dims[index])) for index in new if index != place)
    if others > 1:
        flow.divide(total, others, step)
        total = flow.equations.solve(total)
    dims[place] = total.times(Fraction(1, others))
    return True


def _permuted(order: Callable[[Step, int], Sequence[int]]) -> Rule:
    def rule(flow: Flow, step: Step) -> bool:
        x = first(step)
        dims = flow.dims(x)
        return flow.put(step.result, tuple(dims[index] for index in order(step, x.dim())))

    return rule


def _permutation(step: Step, rank: int) -> Sequence[int]:
    return [index % rank for index in numbers(step, 1, "dims")]


def _transposition(step: Step, rank: int) -> Sequence[int]:
    one = given(step, 1, "dim0", given(step, 1, "axis0", 0)) % rank
    other = given(step, 2, "dim1", given(step, 2, "axis1", 1)) % rank
    order = list(range(rank))
    order[one], order[other] = other, one
    return order


def _reversed(step: Step, rank: int) -> Sequence[int]:
    return list(reversed(range(rank)))


def _reduced(flow: Flow, step: Step) -> bool:
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


def _concatenated(flow: Flow, step: Step) -> bool:
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


def _stacked(flow: Flow, step: Step) -> bool:
    tensors = list(tensors_in(given(step, 0, "tensors")))
    dims = list(flow.dims(tensors[0]))
    for tensor in tensors[1:]:
        for one, other in zip(dims, flow.dims(tensor), strict=True):
            flow.equate(one, other, step)
    dims.insert(given(step, 1, "dim", 0) % step.result.dim(), Size.of(len(tensors)))
    return flow.put(step.result, tuple(dims))


def _chunked(flow: Flow, step: Step) -> bool:
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


def _split(flow: Flow, step: Step) -> bool:
    """Pieces of given sizes: followed where they are equal and the module that splits keeps their size."""
    x, pieces = first(step), list(tensors_in(step.result))
    dim = given(step, 2, "dim", 0) % x.dim()
    dims = list(flow.dims(x))
    size = flow.equations.solve(dims[dim])
    part = Fraction(1, len(pieces))
    if not size.fixed:
        if any(piece.shape[dim] * len(pieces) != x.shape[dim] for piece in pieces):
            return False
        flow.divide(size, len(pieces), step)
        flow.patch(step, {x.shape[dim]: size, pieces[0].shape[dim]: size.times(part)})
    return _pieces(flow, pieces, dims, dim, [size.times(part)] * len(pieces))


def _pieces(flow: Flow, pieces: Sequence[Tensor], dims: list[Size], dim: int, sizes: Sequence[Size]) -> bool:
    put = True
    for piece, size in zip(pieces, sizes, strict=True):
        own = Size.of(piece.shape[dim]) if size.fixed else size
        put &= flow.put(piece, (*dims[:dim], own, *dims[dim + 1 :]))
    return put


def _unbound(flow: Flow, step: Step) -> bool:
    x = first(step)
    dim = given(step, 1, "dim", 0) % x.dim()
    dims = flow.dims(x)
    pieces = list(tensors_in(step.result))
    return flow.equations.solve(dims[dim]).fixed and flow.put_all(pieces, (*dims[:dim], *dims[dim + 1 :]))


def _indexed(flow: Flow, step: Step) -> bool:
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
            length = len(range(*entry.indices(now)))
            if length != now and not flow.equations.solve(size).fixed:
                return False
            dims.append(size if length == now else Size.of(length))
        elif not flow.equations.solve(size).fixed:
            return False
    return flow.put(step.result, tuple(dims))


def _expanded(flow: Flow, step: Step) -> bool:
    x, result = first(step), step.result
    others = list(tensors_in((step.args, step.kwargs)))[1:]
    dims = (
        list(flow.dims(others[0])) if others and others[0].shape == result.shape else list(map(Size.of, result.shape))
    )
    offset = result.dim() - x.dim()
    for index, size in enumerate(flow.dims(x), offset):
        if x.shape[index - offset] == result.shape[index]:
            dims[index] = size
    return flow.put(result, tuple(dims))


def _repeated(flow: Flow, step: Step) -> bool:
    x, result = first(step), step.result
    offset = result.dim() - x.dim()
    dims = list(map(Size.of, result.shape))
    for index, size in enumerate(flow.dims(x), offset):
        dims[index] = size.times(result.shape[index] // max(x.shape[index - offset], 1))
    return flow.put(result, tuple(dims))


def _product(flow: Flow, step: Step) -> bool:
    """Matrix products of any number of dimensions."""
    a, b = list(tensors_in((step.args, step.kwargs)))[-2:]  # baddbmm and addmm have a summand before them
    if len(list(tensors_in(step.args))) > 2 or a.dim() < 2 or b.dim() < 2:
        return False
    left, right = flow.dims(a), flow.dims(b)
    flow.equate(left[-1], right[-2], step)
    result: Tensor = step.result
    dims: list[Size] = []
    for offset in range(result.dim(), 2, -1):
        batch = [sizes[-offset] for sizes in (left, right) if len(sizes) >= offset]
        batch = [size for size in batch if flow.equations.now(size) == result.shape[-offset]]
        for size in batch[1:]:
            flow.equate(batch[0], size, step)
        dims.append(batch[0])
    dims += [left[-2], right[-1]]
    flow.products.append(Product(1, (*dims, left[-1])))
    return flow.put(result, tuple(dims))


def _attention(flow: Flow, step: Step) -> bool:
    q, k, v = (given(step, index, name) for index, name in enumerate(("query", "key", "value")))
    query, key, value = flow.dims(q), flow.dims(k), flow.dims(v)
    if not q.dim() == k.dim() == v.dim() or q.shape[:-2] != k.shape[:-2]:
        return False
    flow.equate(query[-1], key[-1], step)
    flow.equate(key[-2], value[-2], step)
    for one, other, third in zip(query[:-2], key[:-2], value[:-2], strict=True):
        flow.equate(one, other, step)
        flow.equate(one, third, step)
    flow.products += [Product(1, (*query, key[-2])), Product(1, (*query[:-1], key[-2], value[-1]))]
    return flow.put(step.result, (*query[:-1], value[-1]))


def _convolved(rank: int) -> Rule:
    """A convolution as a function; its weight may be computed from a parameter."""

    def rule(flow: Flow, step: Step) -> bool:
        x, weight = given(step, 0, "input"), given(step, 1, "weight")
        bias = given(step, 2, "bias")
        groups = given(step, 6, "groups", 1)
        dims, kernel = flow.dims(x), flow.dims(weight)
        place = x.dim() - 1 - rank
        depthwise = groups == x.shape[place] > 1
        if depthwise:
            flow.equate(dims[place].times(weight.shape[0] // groups), kernel[0], step)
            if not flow.equations.solve(kernel[0]).fixed and not _keeps_groups(flow, step):
                return False
        else:
            flow.divide(dims[place], groups, step)
            flow.divide(kernel[0], groups, step)
            flow.equate(dims[place].times(Fraction(1, groups)), kernel[1], step)
        if bias is not None:
            flow.equate(flow.dims(bias)[0], kernel[0], step)
        positions = step.result.shape[place + 1 :]
        flow.products.append(Product(math.prod(positions), (*dims[:place], *kernel)))
        return flow.put(step.result, (*dims[:place], kernel[0], *map(Size.of, positions)))

    return rule


def _keeps_groups(flow: Flow, step: Step) -> bool:
    """Whether a depthwise convolution's groups are its module's attribute, which follows the channels."""
    layer = flow.parameters.layers.get(step.scope)
    return layer is not None and "groups" in layer.attributes


def _linear(flow: Flow, step: Step) -> bool:
    x, weight, bias = given(step, 0, "input"), given(step, 1, "weight"), given(step, 2, "bias")
    dims, sizes = flow.dims(x), flow.dims(weight)
    flow.equate(dims[-1], sizes[1], step)
    if bias is not None:
        flow.equate(flow.dims(bias)[0], sizes[0], step)
    flow.products.append(Product(1, (*dims, sizes[0])))
    return flow.put(step.result, (*dims[:-1], sizes[0]))


def _normed(flow: Flow, step: Step) -> bool:
    """Batch and instance norm: every vector among the operands has a number for each channel."""
    x, *others = tensors_in((step.args, step.kwargs))
    dims = flow.dims(x)
    for vector in others:
        flow.equate(dims[1], flow.dims(vector)[0], step)
    return flow.put(step.result, dims)


def _group_normed(flow: Flow, step: Step) -> bool:
    flow.divide(flow.dims(first(step))[1], given(step, 1, "num_groups"), step)
    return _normed(flow, step)


def _layer_normed(flow: Flow, step: Step) -> bool:
    x, *others = tensors_in((step.args, step.kwargs))
    dims = flow.dims(x)
    shape = given(step, 1, "normalized_shape", ())
    layer = flow.parameters.layers.get(step.scope)
    kept = layer.attributes.get("normalized_shape") if layer is not None else None
    for tensor in others:
        for one, other in zip(dims[-tensor.dim() :], flow.dims(tensor), strict=True):
            flow.equate(one, other, step)
    if not isinstance(kept, tuple):
        return all(flow.equations.solve(size).fixed for size in dims[-len(shape) :]) and flow.put(step.result, dims)
    for one, other in zip(dims[-len(kept) :], kept, strict=True):
        flow.equate(one, other, step)
    return flow.put(step.result, dims)


def _padded(flow: Flow, step: Step) -> bool:
    """Pads; a dimension that grows by a number given keeps growing by it."""
    x, result = first(step), step.result
    dims = [
        size.plus(Size.of(now - before)) for size, before, now in zip(flow.dims(x), x.shape, result.shape, strict=True)
    ]
    return flow.put(result, tuple(dims))


def _pixel_shuffled(flow: Flow, step: Step) -> bool:
    x, parts = first(step), given(step, 1, "upscale_factor") ** 2
    dims = list(map(Size.of, step.result.shape))
    dims[:-3] = flow.dims(x)[:-3]
    flow.divide(flow.dims(x)[-3], parts, step)
    dims[-3] = flow.dims(x)[-3].times(Fraction(1, parts))
    return flow.put(step.result, tuple(dims))


def _alike(flow: Flow, step: Step) -> bool:
    """A tensor of the shape of another."""
    x = first(step)
    return flow.put(step.result, flow.dims(x))


def _einsum(flow: Flow, step: Step) -> bool:
    equation, tensors = step.args[0], list(tensors_in(step.args[1:]))
    if not isinstance(equation, str) or "..." in equation or "->" not in equation:
        return False
    inputs, output = equation.replace(" ", "").split("->")
    sizes: dict[str, Size] = {}
    for letters, tensor in zip(inputs.split(","), tensors, strict=True):
        for letter, size in zip(letters, flow.dims(tensor), strict=True):
            if letter in sizes:
                flow.equate(sizes[letter], size, step)
            sizes[letter] = size
    if len(tensors) == 2:
        flow.products.append(Product(1, tuple(sizes.values())))
    return flow.put(step.result, tuple(sizes[letter] for letter in output))


_RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel")
_REDUCTIONS = frozenset(
    {"sum", "mean", "amax", "amin", "max", "min", "var", "std", "prod", "norm", "logsumexp", "any", "all", "argmax"}
    | {"argmin", "var_mean", "std_mean", "aminmax", "median", "vector_norm", "nansum", "nanmean"}
)
_POOLS = (
    [f"{kind}_pool{rank}d" for kind in ("avg", "max", "lp", "adaptive_avg", "adaptive_max") for rank in (1, 2, 3)]
    + [f"{kind}_pool{rank}d_with_indices" for kind in ("max", "adaptive_max") for rank in (1, 2, 3)]
    + ["interpolate", "upsample", "grid_sample", "dropout2d", "boolean_dispatch", "fn"]
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_RESHAPES, reshaped),
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(_POOLS, pooled),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenated),
    **dict.fromkeys(("bmm", "matmul", "mm"), _product),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _permuted(_transposition)),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like", "full_like"), _alike),
    **dict.fromkeys(("batch_norm", "instance_norm"), _normed),
    **{f"conv{rank}d": _convolved(rank) for rank in (1, 2, 3)},
    "permute": _permuted(_permutation),
    "t": _permuted(_reversed),
    "stack": _stacked,
    "chunk": _chunked,
    "tensor_split": _chunked,
    "split": _split,
    "split_with_sizes": _split,
    "unbind": _unbound,
    "getitem": _indexed,
    "expand": _expanded,
    "expand_as": _expanded,
    "broadcast_to": _expanded,
    "repeat": _repeated,
    "tile": _repeated,
    "linear": _linear,
    "group_norm": _group_normed,
    "layer_norm": _layer_normed,
    "rms_norm": _layer_normed,
    "pad": _padded,
    "pixel_shuffle": _pixel_shuffled,
    "scaled_dot_product_attention": _attention,
    "einsum": _einsum,
}
NOT_ELEMENTWISE = frozenset(
    {"addmm", "baddbmm", "addbmm", "dot", "mv", "outer", "cdist", "gather", "scatter", "index_select", "take"}
    | {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "bilinear", "embedding", "unfold", "fold", "narrow"}
    | {"select", "multi_head_attention_forward", "kron", "tensordot", "cross", "sort", "topk", "as_strided"}
)
