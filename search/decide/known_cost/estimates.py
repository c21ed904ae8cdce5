"""A number of any candidate, estimated from what it is for some: results of an earlier run, or measured proxies.

The order of the values counts, so that a few broken candidates do not hide what tells the others apart: their normal
scores have a Gaussian process. Where that does not predict left-out values better than their mean does, there is no
estimate at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from scipy.special import ndtri
from scipy.stats import rankdata

from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.surrogate import GaussianProcess, Posterior

__all__ = ["Estimate"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
MOST = 300  # candidates that an estimate is made from, evenly spaced among all
FITTED = 120  # of them, those that the weights are fitted to
FEWEST = 5  # without as many there is no estimate
TELLS = 0.9  # of the mean squared error of the mean, at left-out values: what is not below says nothing
BLOCK = 1024  # candidates estimated at once


@dataclass
class Estimate:
    """An estimate of values that are known for some candidates.

    Attributes:
        distributions: of the parameters, by name; a parameter that is not among them plays no part.
        known: gives the candidates and their values (n,), NaN where there is none; called once, at the first use.
    """

    distributions: Mapping[str, BaseDistribution]
    known: Callable[[], tuple[Sequence[Parameters], Array]]

    def __call__(self, candidates: Sequence[Parameters]) -> Array:
        """(m,): on a scale of normal scores, larger where values are larger; NaN where there is no estimate."""
        result = np.full(len(candidates), np.nan)
        if self._posterior is None:
            return result
        for start in range(0, len(candidates), BLOCK):
            rows = slice(start, start + BLOCK)
            result[rows] = self._posterior.mean(self._encoder.encode(candidates[rows]))
        return result

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.distributions)

    @cached_property
    def _posterior(self) -> Posterior | None:
        """What is believed of candidates; None where that says no more than the mean."""
        candidates, values = self.known()
        rows = np.flatnonzero(np.isfinite(values))
        if len(rows) < FEWEST or np.ptp(values[rows]) == 0:
            return None
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int))]
        scores = ndtri((rankdata(values[rows]) - 0.5) / len(rows))
        scores = (scores - scores.mean()) / scores.std()
        columns, none = self._encoder.encode([candidates[row] for row in rows]), np.zeros(len(rows))
        process = GaussianProcess(self._encoder.components, parameters=len(self._encoder.columns))
        few = np.unique(np.linspace(0, len(rows) - 1, min(FITTED, len(rows))).round().astype(int))
        process.fit(columns[few], scores[few], none[few])
        posterior = process.condition(columns, scores, none, replicated=False)
        alone = float(np.mean(scores**2)) * (len(rows) / (len(rows) - 1)) ** 2
        return posterior if posterior.left_out() < TELLS * alone else None
