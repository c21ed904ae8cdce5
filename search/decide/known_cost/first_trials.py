"""Which candidates come first, before there are results to model: spread over the known costs, better hints first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.decide.known_cost.pool import CostScale

__all__ = ["farthest", "in_the_emptiest", "promising"]

Array = NDArray[np.float64]
DRAWN = 16  # candidates of like cost, of which the one with the best hints comes first
APART = 64  # likewise where no cost is known, of which the best quarter by hints may come first


def in_the_emptiest(
    scale: CostScale, costs: Array, taken: Array, *, strata: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """The candidates in that part of the range of a cost in which the fewest have begun; costs take turns.

    Args:
        scale: of the costs.
        costs: (n, k), of the candidates.
        taken: (t, k), of those that have begun.
        strata: parts of a range.
        generator: of the randomness.

    Returns:
        Rows of `costs`, of one of the emptiest parts that hold any.
    """
    axis, strata = len(taken) % costs.shape[1], max(2, strata)
    places, begun = (
        np.clip((scale.unit(values)[:, axis] * strata).astype(int), 0, strata - 1) for values in (costs, taken)
    )
    counts, there = np.bincount(begun, minlength=strata), np.unique(places)
    emptiest = there[counts[there] == counts[there].min()]
    return np.flatnonzero(places == generator.choice(emptiest))


def promising(rows: NDArray[np.intp], scores: Array, generator: np.random.Generator) -> int:
    """A random one of some rows; where there are hints, the one with the best of DRAWN random ones.

    Args:
        rows: to choose from.
        scores: (n, hints), of all candidates, less is better.
        generator: of the randomness.
    """
    if not scores.shape[1]:
        return int(generator.choice(rows))
    drawn = generator.choice(rows, size=min(DRAWN, len(rows)), replace=False)
    return int(drawn[np.argmin(scores[drawn].sum(axis=1))])


def farthest(columns: Array, begun: Array, scores: Array, generator: np.random.Generator) -> int:
    """The row farthest from all that have begun, among APART random rows or, with hints, the best quarter of them.

    Args:
        columns: (n, p), of the candidates.
        begun: (t, p), likewise.
        scores: (n, hints), less is better.
        generator: of the randomness.
    """
    rows = generator.choice(len(columns), size=min(APART, len(columns)), replace=False)
    if scores.shape[1]:
        rows = rows[np.argsort(scores[rows].sum(axis=1), kind="stable")[: max(1, len(rows) // 4)]]
    if not len(begun):
        return int(rows[0])
    squared = ((columns[rows, None, :] - begun[None, :, :]) ** 2).sum(axis=2)
    return int(rows[np.argmax(squared.min(axis=1))])
