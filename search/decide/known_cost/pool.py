"""The candidates that one ask chooses from: parameters, columns for the model, known costs on a common scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CostScale", "Pool", "boxed"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
LOGARITHMIC = 10.0  # largest over smallest cost from which a positive cost counts by its logarithm


@dataclass(frozen=True)
class Pool:
    """Candidates.

    Attributes:
        parameters: (n,), of each a mapping.
        columns: (n, p), as the encoder gives them.
        costs: (n, k), known costs in the objectives' own unit and direction; no NaN.
        exact: (n,), whether the costs were counted; estimated otherwise.
    """

    parameters: NDArray[np.object_]
    columns: Array
    costs: Array
    exact: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.parameters)

    def joined(self, other: Pool) -> Pool:
        """These and others."""
        return Pool(
            np.concatenate([self.parameters, other.parameters]),
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.costs, other.costs]),
            np.concatenate([self.exact, other.exact]),
        )

    def take(self, rows: NDArray[Any]) -> Pool:
        """Some of them, by row number or mask."""
        return Pool(self.parameters[rows], self.columns[rows], self.costs[rows], self.exact[rows])


def boxed(parameters: Sequence[Parameters]) -> NDArray[np.object_]:
    """Parameters (n,) as a pool has them."""
    result = np.empty(len(parameters), dtype=object)
    result[:] = parameters
    return result


@dataclass(frozen=True)
class CostScale:
    """Known costs brought to 0 (the least that is seen) .. 1, minimised.

    Attributes:
        signs: (k,), -1 where more is better.
        logs: (k,), whether the logarithm counts.
        low: (k,), of the minimised, perhaps logarithmic values.
        high: (k,).
    """

    signs: Array
    logs: NDArray[np.bool_]
    low: Array
    high: Array

    @classmethod
    def of(
        cls,
        costs: Array,
        signs: Array,
        *,
        logarithmic: Sequence[bool | None],
        bounds: Sequence[tuple[float, float] | None],
    ) -> CostScale:
        """The scale of costs (n, k).

        Args:
            costs: in the objectives' own unit and direction.
            signs: (k,).
            logarithmic: of each; None for where all are positive and span a factor of LOGARITHMIC.
            bounds: of each, (least, greatest); None for those of the costs.
        """
        least, greatest = costs.min(axis=0, initial=np.inf), costs.max(axis=0, initial=-np.inf)
        for index, limits in enumerate(bounds):
            if limits is not None:
                least[index], greatest[index] = limits
        spans = (least > 0) & (greatest > LOGARITHMIC * np.maximum(least, 1e-300))
        logs = np.array([bool(own) if wish is None else wish and low > 0
                         for wish, own, low in zip(logarithmic, spans, least, strict=True)], dtype=bool)  # fmt: skip
        scale = cls(signs, logs, np.zeros(len(signs)), np.ones(len(signs)))
        ends = np.sort(np.stack([scale._turned(least[None])[0], scale._turned(greatest[None])[0]]), axis=0)
        return cls(signs, logs, ends[0], np.where(ends[1] > ends[0], ends[1], ends[0] + 1.0))

    def _turned(self, costs: Array) -> Array:
        values = np.where(self.logs, np.log(np.maximum(costs, 1e-300)), costs)
        return np.asarray(values * self.signs)

    def unit(self, costs: Array) -> Array:
        """Costs (n, k) on the scale; below 0 or above 1 outside of its ends."""
        return np.asarray((self._turned(costs) - self.low) / (self.high - self.low))
