"""How sure a front is: each point's probability of being on it, and fronts as they might have been.

Parameters and multiply-adds are exact; accuracy is a mean over few seeds. A candidate's accuracy is drawn anew as its
mean plus noise of its standard error. The spread that R seeds show is itself uncertain, so it is drawn towards that of
all candidates that could be on the front (moderated variance, Smyth 2004, four degrees of freedom for what they have in
common), and the noise is Student's with the freedom of both. Where all candidates have the same seeds, what a seed adds
to all of them is taken out first: it changes no dominance. A candidate that is ten standard errors behind another one
counts as hopeless. Where every candidate has one seed no spread is known (`spread_known`).

These are probabilities for means as they were seen; that the search chose the flattered ones is not undone here, but by
training them again (`leni-search confirm`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError
from results.fronts import (
    DEFAULT_OBJECTIVES,
    Objectives,
    completed,
    dominated,
    front,
    is_non_dominated,
    minimised,
)
from results.stats.seeds import SeedMoments, seed_accuracies, seed_moments

__all__ = ["confidence", "drawn_fronts", "spread_known"]

PRIOR = 4.0  # degrees of freedom of the common variance
PLAUSIBLE = 5.0  # standard errors beyond which a candidate's luck is not reckoned with
DRAWS = 1_000
_BLOCK = 2_000_000  # numbers at once

Floats = NDArray[np.float64]


def confidence(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """The candidates that are on the front in some draw, and how often.

    Args:
        records: one row per trial: the objectives; accuracies, or accuracy_std and seeds. Where nothing is known of any
            spread the front is as it is, and every probability 0 or 1.
        objectives: column -> direction.
        draws: how often the accuracies are drawn.
        seed: of the draws.

    Returns:
        The records with columns front (whether on the observed front) and probability (of being non-dominated), those
        with a probability above 0 and those on the front, sorted as `results.front` sorts.

    Raises:
        ObjectiveError: as `results.front`.
        ResultsError: draws is not positive.
    """
    done, values, error, freedom = _uncertain(records, objectives, draws)
    observed = is_non_dominated(values)
    hits = np.zeros(len(done))
    for block in _draws(values, error, freedom, objectives, draws, seed):
        hits += np.sum([is_non_dominated(draw) for draw in block], axis=0)
    found = done.assign(front=observed, probability=hits / draws)
    kept = (hits > 0) | observed
    keys = [*values[kept, :-1].T[::-1], values[kept, -1]]
    return found[kept].iloc[np.lexsort(keys)].copy()


def spread_known(records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES) -> bool:
    """Whether accuracy is an objective and some completed candidate has two seeds: else no probability can be said.

    Raises:
        RecordError: the records have no accuracy though it is an objective, or accuracies that cannot be read.
    """
    done = completed(records)
    return "accuracy" in objectives and len(done) > 0 and _summary(done).pooled_variance()[1] > 0


def drawn_fronts(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, draws: int = 200, seed: int = 0
) -> list[pd.DataFrame]:
    """Fronts of the accuracies drawn anew around the means that were seen, one for each draw.

    Noise is added to means of which the best are flattered already: the drawn fronts lie above the true one, the
    farther the more candidates there are, and their surfaces are no band: see `results.analyses.confirmed_band`.

    Args:
        records: as in `confidence`.
        objectives: column -> direction.
        draws: how many.
        seed: of the draws.

    Returns:
        Frames with the objectives' columns, each sorted as a front.

    Raises:
        As `confidence`.
    """
    _, values, error, freedom = _uncertain(records, objectives, draws)
    signs = minimised(np.ones((1, len(objectives))), objectives)[0]
    fronts = []
    for block in _draws(values, error, freedom, objectives, draws, seed):
        fronts += [front(pd.DataFrame(draw * signs, columns=list(objectives)), objectives=objectives) for draw in block]
    return fronts


def _uncertain(
    records: pd.DataFrame, objectives: Objectives, draws: int
) -> tuple[pd.DataFrame, Floats, Floats, Floats]:
    """The completed candidates that could be on the front; values (n, m), standard errors (n,), freedom (n,)."""
    if draws < 1:
        raise ResultsError(f"draws must be at least 1, got {draws}")
    done = completed(records)
    values = minimised(done, objectives)
    error, freedom = np.zeros(len(done)), np.full(len(done), np.inf)
    if "accuracy" in objectives and len(done):
        at = list(objectives).index("accuracy")
        rough = _rough_error(done)
        plausible = _plausible(values, at, PLAUSIBLE * rough)
        done, values = done[plausible], values[plausible]
        error, freedom = _errors(done)
    return done, values, error, freedom


def _rough_error(done: pd.DataFrame) -> Floats:
    """Standard errors, never too small by much: for leaving out the hopeless."""
    moments = _summary(done)
    variance, _ = moments.pooled_variance()
    typical = math.sqrt(variance) if math.isfinite(variance) else 0.0
    return np.asarray(np.fmax(moments.std, typical) / np.sqrt(np.maximum(moments.count, 1)))


def _summary(done: pd.DataFrame) -> SeedMoments:
    """Moments over seeds, from the summary columns where there are: single accuracies take time to read."""
    summed = "accuracy_std" in done.columns and bool(done["accuracy_std"].notna().any())
    return seed_moments(done.drop(columns="accuracies", errors="ignore") if summed else done)


def _plausible(values: Floats, at: int, slack: Floats) -> NDArray[np.bool_]:
    """Rows that some draw could bring on the front: no pessimistic other one beats them at their most optimistic."""
    pessimistic, optimistic = values.copy(), values.copy()
    pessimistic[:, at] += slack
    optimistic[:, at] -= slack
    return np.asarray(~np.isnan(values).any(axis=1) & ~dominated(optimistic, pessimistic))


def _errors(done: pd.DataFrame) -> tuple[Floats, Floats]:
    """Standard error of each mean accuracy, and the freedom of its noise."""
    moments = _without_seeds(done, seed_moments(done))
    variance, freedom = moments.pooled_variance()
    own = np.where(np.isfinite(moments.std), np.maximum(moments.count - 1, 0), 0).astype(np.float64)
    if not freedom:
        return np.zeros(len(done)), np.full(len(done), np.inf)
    squares = np.where(own > 0, moments.std**2, 0.0)
    moderated = (PRIOR * variance + own * squares) / (PRIOR + own)
    return np.sqrt(moderated / np.maximum(moments.count, 1)), PRIOR + own


def _without_seeds(done: pd.DataFrame, moments: SeedMoments) -> SeedMoments:
    """Deviations without what each seed adds to all candidates, where all have the same seeds."""
    values = seed_accuracies(done)
    if len(values) < 3 or values.shape[1] < 2 or np.isnan(values).any():
        return moments
    rest = values - values.mean(axis=1, keepdims=True)
    rest -= rest.mean(axis=0, keepdims=True)
    std = np.sqrt((rest**2).sum(axis=1) / (values.shape[1] - 1) * len(values) / (len(values) - 1))
    return SeedMoments(moments.mean, std, moments.count)


def _draws(
    values: Floats, error: Floats, freedom: Floats, objectives: Objectives, draws: int, seed: int
) -> Iterator[Floats]:
    """Blocks (b, n, m) of values with accuracies drawn anew."""
    rng = np.random.default_rng(seed)
    at = list(objectives).index("accuracy") if "accuracy" in objectives else None
    rows = max(1, _BLOCK // max(1, values.size))
    finite = np.where(np.isfinite(freedom), freedom, 1e9)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        block = np.repeat(values[None], count, axis=0)
        if at is not None and len(values):
            block[:, :, at] += error * rng.standard_t(finite, size=(count, len(values)))
        yield block
