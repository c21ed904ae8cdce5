"""Moderated variances: what few seeds say of a spread, drawn towards what all candidates say of it.

With three seeds a candidate's own variance is known to a factor of several; the variances of all candidates together
say how large variances are and how much they differ. The empirical-Bayes estimate of Smyth (2004), as in the R package
limma, weighs both by their degrees of freedom.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["grid_step", "moderated", "prior_variance", "rounding_variance"]

MOST_IMAGES = 100_000  # the finest grid of accuracies that is looked for
_CLOSE = 1e-9  # distance of an accuracy from a multiple of 1/N that is rounding of floating-point numbers

Floats = NDArray[np.float64]


def prior_variance(variances: ArrayLike, freedom: ArrayLike) -> tuple[float, float]:
    """The variance that a pool of candidates has in common, and how firmly they have it.

    Args:
        variances: (m,) sample variances above 0, m at least 2.
        freedom: (m,) their degrees of freedom, or one number for all.

    Returns:
        The prior variance, and its degrees of freedom: infinite where the variances differ no more than sampling makes
        them differ.

    Source: Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004, section 6.2; limma's `fitFDist`.

    Example:
        >>> variance, freedom = prior_variance([1.0, 1.0, 1.0], 2.0)
        >>> freedom
        inf
    """
    values = np.asarray(variances, dtype=np.float64)
    half = np.broadcast_to(np.asarray(freedom, dtype=np.float64), values.shape) / 2.0
    logs = np.log(values) - special.digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1)) - float(special.polygamma(1, half).mean())
    if excess <= 0:
        # All share one variance; the pooled one is its best estimate, the mean of logarithms a noisier one.
        return float(values @ half / half.sum()), math.inf
    prior = 2.0 * _trigamma_inverse(excess)
    return math.exp(float(logs.mean()) + float(special.digamma(prior / 2)) - math.log(prior / 2)), prior


def moderated(variances: ArrayLike, freedom: ArrayLike, *, prior: tuple[float, float]) -> Floats:
    """Variances drawn towards a prior one.

    Args:
        variances: (m,) sample variances.
        freedom: (m,) their degrees of freedom, or one number for all.
        prior: variance and degrees of freedom, as `prior_variance` gives them.

    Returns:
        (m,); where the prior has no end of freedom, its variance.
    """
    own = np.asarray(variances, dtype=np.float64)
    count = np.broadcast_to(np.asarray(freedom, dtype=np.float64), own.shape)
    common, weight = prior
    if math.isinf(weight):
        return np.full(own.shape, common)
    return np.asarray((weight * common + count * own) / (weight + count))


def grid_step(accuracies: ArrayLike) -> float:
    """The step of the grid that accuracies lie on: 1/N of N images, or 0 where none up to 1/100,000 fits.

    Args:
        accuracies: of any shape, in 0..1; missing values do not count.

    Returns:
        1/N of the least N that fits, which divides the number of images: where few accuracies are given the step can be
        a multiple of one image, never a fraction of it.

    Example:
        >>> round(1 / grid_step([0.25, 0.3, 1.0]))
        20
    """
    values = np.unique(np.asarray(accuracies, dtype=np.float64))
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0
    counts = np.arange(1, MOST_IMAGES + 1, dtype=np.float64)
    for value in values:
        scaled = value * counts
        counts = counts[np.abs(scaled - np.round(scaled)) <= _CLOSE * np.maximum(1.0, counts / 1e3)]
        if not len(counts):
            return 0.0
    return 1.0 / float(counts[0])


def rounding_variance(step: float) -> float:
    """Variance that rounding both accuracies of a difference to a grid adds to it: two uniform errors of one step.

    Args:
        step: of the grid, 1/N for N images.
    """
    return step * step / 6.0


def _trigamma_inverse(value: float) -> float:
    """The x at which trigamma(x) is a value above 0, by Newton's method on 1/trigamma, which is nearly straight."""
    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        change = trigamma * (1.0 - trigamma / value) / float(special.polygamma(2, x))
        x += change
        if -change / x < 1e-10:
            break
    return x
