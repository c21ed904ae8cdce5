"""What a recipe (learning rate, start, decay) does to accuracy, and a curve drawn at its own best recipe.

Each dimension of the recipe adds columns to a least-squares fit: one for each value but the first where values are
words, truths or two or three numbers, else a quadratic in the logarithm. The best recipe is the one with the largest
fitted effect. The largest of noisy effects is too large, so the best recipe is chosen on other seeds than it is
measured with, and what noise between candidates adds to the best is taken off, as a parametric bootstrap measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RecipeDimension", "at_best", "recipe_dimension", "seed_noise", "shrunk"]

FEW = 4  # distinct numbers from which a dimension is a quadratic
STEPS = 41  # places of a quadratic at which the best is looked for

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecipeDimension:
    """One dimension of a group's recipe.

    Attributes:
        name: of the column.
        columns: (n, c) of the fit, a row for each candidate.
        choices: (l, c) the columns at the values at which the curve may be drawn.
        labels: (l,) these values as words.
    """

    name: str
    columns: Floats
    choices: Floats
    labels: tuple[str, ...]


def recipe_dimension(name: str, values: Sequence[Any]) -> RecipeDimension:
    """Columns for the values of one dimension.

    Args:
        name: of the dimension.
        values: one for each candidate, none missing, at least two distinct.

    Returns:
        The dimension; without columns where all values are equal.
    """
    distinct = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct)
    if numbers and len(distinct) >= FEW and distinct[0] >= 0:
        return _quadratic(name, np.array(values, dtype=np.float64))
    codes = np.array([distinct.index(value) for value in values])
    choices = np.eye(len(distinct))[:, 1:]
    words = tuple(f"{value:g}" if numbers else str(value) for value in distinct)
    return RecipeDimension(name, choices[codes], choices, words)


def _quadratic(name: str, values: Floats) -> RecipeDimension:
    """A parabola in the logarithm; where there is a zero, of the value plus the least positive one."""
    least = float(values[values > 0].min())
    offset = 0.0 if (values > 0).all() else least
    logs = np.log(values + offset)
    low, high = float(logs.min()), float(logs.max())
    scaled = 2.0 * (logs - low) / (high - low) - 1.0
    places = np.linspace(-1.0, 1.0, STEPS)
    told = np.exp(low + (places + 1.0) / 2.0 * (high - low)) - offset
    return RecipeDimension(
        name, np.column_stack([scaled, scaled**2]), np.column_stack([places, places**2]),
        tuple(f"{value:.3g}" for value in told),
    )  # fmt: skip


def shrunk(effects: Floats, covariance: Floats) -> Floats:
    """Effects of one dimension drawn towards none, by as much as their size could be noise.

    Args:
        effects: (c,) estimates.
        covariance: (c, c) of them.

    Returns:
        (c,), effects times 1 - 1/F, at least 0 times.

    Source: the positive-part rule of James and Stein, as empirical Bayes (Efron and Morris, JASA 70, 1975).
    """
    if not len(effects):
        return effects
    size = float(effects @ np.linalg.pinv(covariance) @ effects) / len(effects)
    return np.asarray(effects * max(0.0, 1.0 - 1.0 / size) if size > 0 else 0.0 * effects)


def at_best(effects: Floats, choices: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Effects at the best value, chosen for each seed by the other seeds.

    Args:
        effects: (..., r, c) of one dimension from each of r seeds; one seed chooses for itself.
        choices: (l, c).

    Returns:
        (..., r) what the chosen value is worth by the seed itself, and (..., r) which it is.
    """
    seeds = effects.shape[-2]
    others = effects if seeds == 1 else (effects.sum(axis=-2, keepdims=True) - effects) / (seeds - 1)
    chosen = np.argmax(others @ choices.T, axis=-1)
    return np.asarray((effects * choices[chosen]).sum(axis=-1)), chosen


def seed_noise(
    root: Floats, *, n: int, draws: int, between: float, within: float, seeds: int, freedom: float,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """What noise does to a fit's constant and coefficients, seed by seed.

    Args:
        root: (c, c) of the fit, whose product with its transpose is the covariance at standard deviation 1.
        n: values fitted.
        draws: b.
        between: variance of a candidate's deviation that all its seeds share.
        within: variance of one seed.
        seeds: r.
        freedom: of the variances; the draws are Student's.
        rng: for the draws.

    Returns:
        (b, r, 1 + c): of the mean first.
    """
    size = root.shape[1] + 1
    scale = np.sqrt(freedom / rng.chisquare(freedom, (draws, 1, 1)))
    common = np.sqrt(between) * rng.standard_normal((draws, 1, size))
    own = np.sqrt(within) * rng.standard_normal((draws, seeds, size))
    noise = scale * (common + own)
    return np.concatenate([noise[..., :1] / np.sqrt(n), noise[..., 1:] @ root.T], axis=-1)
