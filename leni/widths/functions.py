"""Rules for functions and tensors' methods, by name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from torch import Tensor

from leni.recording import Step, tensors_in
from leni.widths.arguments import first, given
from leni.widths.elementwise import elementwise
from leni.widths.flow import Flow, Product, Rule, step_name
from leni.widths.shapes import (
    chunked,
    concatenated,
    expanded,
    indexed,
    mirrored,
    permutation,
    permuted,
    reduced,
    repeated,
    reshaped,
    split,
    stacked,
    transposition,
    unbound,
)
from leni.widths.sizes import Size

__all__ = ["RESHAPES", "follow_function", "pooled", "positions"]


def follow_function(flow: Flow, step: Step) -> bool:
    """Follow a step that is a function; False if it has no rule and does not keep its operands' shape."""
    name = step_name(step)
    if name in RULES:
        return RULES[name](flow, step)
    return name not in NOT_ELEMENTWISE and elementwise(flow, step)


def pooled(flow: Flow, step: Step) -> bool:
    """Only positions change: the batch and the channels stay."""
    x = first(step)
    results = list(tensors_in(step.result))
    if any(result.dim() != x.dim() or result.dim() < 3 or result.shape[:2] != x.shape[:2] for result in results):
        return False
    return flow.put_all(results, (*flow.dims(x)[:2], *map(Size.of, results[0].shape[2:])))


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
            if not _keeps_groups(flow, step):
                flow.patch(step, [groups], [dims[place]])
        else:
            flow.divide(dims[place], groups, step)
            flow.divide(kernel[0], groups, step)
            flow.equate(dims[place].times(Fraction(1, groups)), kernel[1], step)
        if bias is not None:
            flow.equate(flow.dims(bias)[0], kernel[0], step)
        after = positions(dims, x.shape, step.result.shape, place + 1)
        flow.products.append(Product(1, (*dims[:place], *after, *kernel)))
        return flow.put(step.result, (*dims[:place], kernel[0], *after))

    return rule


def positions(dims: Sequence[Size], before: Sequence[int], after: Sequence[int], first: int) -> list[Size]:
    """Sizes of a convolution's positions: those of its input where it keeps them, since these may be channels."""
    pairs = zip(dims, before, after, strict=True)
    return [size if now == then else Size.of(then) for size, now, then in pairs][first:]


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


def _fresh(flow: Flow, step: Step) -> bool:
    """A new tensor of sizes given as numbers; from its operand it has the dtype alone."""
    return flow.put(step.result, tuple(map(Size.of, step.result.shape)))


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


RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel")
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
    **dict.fromkeys(RESHAPES, reshaped),
    **dict.fromkeys(_REDUCTIONS, reduced),
    **dict.fromkeys(_POOLS, pooled),
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenated),
    **dict.fromkeys(("bmm", "matmul", "mm"), _product),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), permuted(transposition)),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like", "full_like"), _alike),
    **dict.fromkeys(("new_empty", "new_zeros", "new_ones", "new_full"), _fresh),
    **dict.fromkeys(("batch_norm", "instance_norm"), _normed),
    **{f"conv{rank}d": _convolved(rank) for rank in (1, 2, 3)},
    "permute": permuted(permutation),
    "t": permuted(mirrored),
    "stack": stacked,
    "chunk": chunked,
    "tensor_split": chunked,
    "split": split,
    "split_with_sizes": split,
    "unbind": unbound,
    "getitem": indexed,
    "expand": expanded,
    "expand_as": expanded,
    "broadcast_to": expanded,
    "repeat": repeated,
    "tile": repeated,
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
