"""Parameters and multiply-adds of a network at any widths, as polynomials of the widths: nothing is built.

Each dimension of each tensor is a linear form of the groups' widths (sizes.py), so a tensor's numbers, and the
multiply-adds of a convolution or matrix product, are products of such forms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from leni.widths.flow import Flow
from leni.widths.groups import Groups
from leni.widths.sizes import Size

__all__ = ["Polynomial", "Sizes", "macs_polynomial", "params_polynomial"]


class Sizes:
    """Linear forms of a network's widths, evaluated at once.

    Args:
        groups: of the network.
    """

    def __init__(self, groups: Groups) -> None:
        self._equations = groups.equations
        self._place = {width: place for place, width in enumerate(groups.free)}
        self._rows: list[list[int]] = []
        self._denominators: list[int] = []
        self._index: dict[Size, int] = {}
        self._matrix: NDArray[np.int64] | None = None
        self.one = self.index(Size.of(1))

    def index(self, size: Size) -> int:
        """The place of a size in what `values` gives."""
        solved = self._equations.solve(size)
        if solved not in self._index:
            parts = [factor for _, factor in solved.terms] + [solved.constant]
            denominator = math.lcm(*(part.denominator for part in parts))
            row = [0] * (len(self._place) + 1)
            for width, factor in solved.terms:
                row[self._place[width]] = int(factor * denominator)
            row[-1] = int(solved.constant * denominator)
            self._index[solved] = len(self._rows)
            self._rows.append(row)
            self._denominators.append(denominator)
            self._matrix = None
        return self._index[solved]

    def values(self, widths: Sequence[int]) -> NDArray[np.int64]:
        """All sizes at given widths of the groups, counts."""
        if self._matrix is None:
            self._matrix = np.array(self._rows, dtype=np.int64)
            self._divisors = np.array(self._denominators, dtype=np.int64)
        return self._matrix @ np.array([*widths, 1], dtype=np.int64) // self._divisors


class Polynomial:
    """A sum of products of sizes.

    Args:
        sizes: that the products are of.
        terms: each a factor and the sizes that it multiplies.
    """

    def __init__(self, sizes: Sizes, terms: Iterable[tuple[int | Fraction, Sequence[Size]]]) -> None:
        merged: Counter[tuple[int, ...]] = Counter()
        for factor, members in terms:
            places = sorted(place for size in members if (place := sizes.index(size)) != sizes.one)
            merged[tuple(places)] += factor  # type: ignore[assignment]
        degree = max(map(len, merged), default=0)
        factors = list(merged.values())
        self._scale = math.lcm(*(Fraction(factor).denominator for factor in factors))
        self._factors = np.array([int(factor * self._scale) for factor in factors], dtype=np.int64)
        padded = [(*places, *[sizes.one] * (degree - len(places))) for places in merged]
        self._places = np.array(padded, dtype=np.int64).reshape(len(merged), degree)

    def at(self, values: NDArray[np.int64]) -> int:
        """The number at the sizes' values (`Sizes.values`)."""
        return int((values[self._places].prod(axis=1) * self._factors).sum()) // self._scale


def params_polynomial(groups: Groups, sizes: Sizes, *, below: Sequence[str] | None = None) -> Polynomial:
    """Learned parameters, a count; of a network's modules at some paths and below them, or of all.

    Args:
        groups: of the network.
        sizes: gets the sizes.
        below: the paths; None for the whole network.
    """
    seen: set[int] = set()
    terms: list[tuple[int, Sequence[Size]]] = []
    for path, layer in groups.parameters.layers.items():
        if below is not None and not any(path == root or path.startswith(f"{root}.") for root in below):
            continue
        for name, parameter in layer.module._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                terms.append((1, layer.tensors[name]))
    return Polynomial(sizes, terms)


def macs_polynomial(flow: Flow, sizes: Sizes) -> Polynomial:
    """Multiply-adds of the convolutions and matrix products that a flow followed, for one sample."""
    return Polynomial(sizes, ((product.factor, product.sizes) for product in flow.products))
