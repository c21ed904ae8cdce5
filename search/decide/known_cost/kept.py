"""What a sampler of known costs leaves for the one that continues its study, read from plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.decide.known_cost.history import Key, key_of

__all__ = ["Kept"]

Array = NDArray[np.float64]
Name = tuple[int | str, int]


@dataclass(frozen=True)
class Kept:
    """Weights of the models and costs that were counted.

    Attributes:
        processes: of a model by (objective or constraint, view): its weights, (w,).
        fitted: how many observations those were fitted to.
        book: parameters and their costs, None for an impossible candidate, by the parameters' key.
        weights: of a cost's estimate by its place: (weights, how many costs those were fitted to).
        noted: observations whose costs are in the book.
    """

    processes: Mapping[Name, Array] = field(default_factory=dict)
    fitted: Mapping[Name, int] = field(default_factory=dict)
    book: Mapping[Key, tuple[Mapping[str, Any], tuple[float, ...] | None]] = field(default_factory=dict)
    weights: Mapping[int, tuple[Array, int]] = field(default_factory=dict)
    noted: int = 0

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Kept:
        """What `KnownCostSampler.state` gave.

        Raises:
            ValueError: it is no such state.
            TypeError: likewise.
            KeyError: likewise.
        """
        named = [(_name(name), _numbers(values), _count(count)) for name, values, count in state["processes"]]
        book = [(dict(parameters), None if costs is None else _costs(costs)) for parameters, costs in state["book"]]
        return cls(
            {name: values for name, values, _ in named},
            {name: count for name, _, count in named},
            {key_of(parameters): (parameters, costs) for parameters, costs in book},
            {_count(cost): (_numbers(values), _count(count)) for cost, values, count in state["weights"]},
            _count(state["noted"]),
        )


def _name(given: Sequence[Any]) -> Name:
    what, view = given
    if not isinstance(what, int | str):
        raise TypeError(f"a model has the name {what!r}")
    return what, _count(view)


def _numbers(values: Any) -> Array:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError("a model's weights must be finite numbers")
    return found


def _costs(values: Sequence[Any]) -> tuple[float, ...]:
    costs = tuple(float(value) for value in values)
    if any(math.isnan(cost) for cost in costs):
        raise ValueError("a cost must be a number")
    return costs


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a count must be a whole number from 0, got {value!r}")
    return value
