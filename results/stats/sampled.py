"""Intervals of an accuracy that hold two uncertainties: other seeds, and another sample of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from results.errors import ResultsError

__all__ = ["SampledInterval", "sampled_interval"]


@dataclass(frozen=True)
class SampledInterval:
    """A mean accuracy with its interval and both parts of its error.

    Attributes:
        estimate: the mean over seeds, in 0..1.
        low: lower end.
        high: upper end.
        seeds_error: standard error by the seeds.
        sample_error: standard error by the sample of images, which all seeds share.
    """

    estimate: float
    low: float
    high: float
    seeds_error: float
    sample_error: float


def sampled_interval(accuracies: ArrayLike, *, step: float, level: float = 0.95) -> SampledInterval:
    """The mean accuracy of several seeds on one sample of images, for the images that the sample was drawn from.

    Args:
        accuracies: (n,) of n seeds, at least two, on the same images.
        step: 1/N for N images; 0 where N is not known: the interval is over seeds alone.
        level: in (0, 1).

    Returns:
        Student's interval, with the degrees of freedom of Satterthwaite: the seeds' part has n - 1, the binomial
        variance p (1 - p) / N is taken as known. Whatever the seeds, it does not fall below that.

    Raises:
        ResultsError: fewer than two accuracies, or the level is not in (0, 1).

    Example:
        >>> found = sampled_interval([0.9, 0.92, 0.91], step=1 / 1000)
        >>> round(found.seeds_error, 4), round(found.sample_error, 4)
        (0.0058, 0.009)
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ResultsError(f"an interval over seeds needs two accuracies or more, got shape {values.shape}")
    if not 0 < level < 1:
        raise ResultsError(f"level must be in (0, 1), such as 0.95, got {level}")
    mean = float(values.mean())
    seeds, sample = float(values.var(ddof=1)) / len(values), max(mean * (1.0 - mean), 0.0) * step
    total = seeds + sample
    if total == 0.0:
        return SampledInterval(mean, mean, mean, 0.0, 0.0)
    freedom = (len(values) - 1) * (total / seeds) ** 2 if seeds else math.inf
    share = 1.0 - (1.0 - level) / 2
    quantile = float(special.stdtrit(freedom, share)) if math.isfinite(freedom) else float(special.ndtri(share))
    half = quantile * math.sqrt(total)
    return SampledInterval(mean, mean - half, mean + half, math.sqrt(seeds), math.sqrt(sample))
