"""What may tell of an uncertain objective before a trial runs: an earlier run's results, measured proxies, a column.

A hint is a number for each candidate, larger where the objective is expected to be larger. Only its order counts:
values become normal scores among reference candidates, so that neither unit nor scale matters, which differ between
data sets. Whether a hint tells anything is decided by the trials' results (`models.helpful`); until there are any, the
first trials are those with the better hints among candidates that are otherwise alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Hint", "Hints"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Hint:
    """One of them.

    Attributes:
        name: that a reader knows it by.
        objective: index of the uncertain objective that it may tell of.
        values: of candidates' parameters (n,), larger where the objective is expected to be larger; NaN where there is
            no hint.
    """

    name: str
    objective: int
    values: Callable[[Sequence[Parameters]], Array]


@dataclass
class Hints:
    """Hints as normal scores.

    Attributes:
        given: what there is.
        reference: candidates among which values are ranked.
    """

    given: Sequence[Hint] = ()
    reference: Sequence[Parameters] = ()

    @cached_property
    def _sorted(self) -> list[Array]:
        """Finite values of each hint at the reference, ascending and different, beside their normal scores."""
        return [_scored(hint.values(self.reference)) for hint in self.given]

    def scores(self, candidates: Sequence[Parameters]) -> Array:
        """(n, hints): normal scores; 0 where there is no hint."""
        columns = np.zeros((len(candidates), len(self.given)))
        for place, hint in enumerate(self.given):
            values, scores = self._sorted[place]
            if len(values) and len(candidates):
                found = np.interp(hint.values(candidates), values, scores)
                columns[:, place] = np.where(np.isnan(found), 0.0, found)
        return columns

    def of(self, objective: int) -> list[int]:
        """Places of the hints that tell of an objective."""
        return [place for place, hint in enumerate(self.given) if hint.objective == objective]


def _scored(values: Array) -> Array:
    """(2, d): the d different values, ascending, and their normal scores; equal values share the middle of theirs."""
    finite = np.sort(values[np.isfinite(values)])
    different, first, counts = np.unique(finite, return_index=True, return_counts=True)
    return np.stack([different, ndtri((first + counts / 2) / max(len(finite), 1))])
