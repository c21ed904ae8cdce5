"""A band around the confirmed front: what the searched front's members are worth together, at every cost.

The members are fixed (the search chose them) and their accuracies are from fresh seeds, so nothing was chosen by the
values that the band is made of. The best of several noisy means is too good still; by how much is measured by drawing
the means anew, and taken off (the basic bootstrap). Around a front as searched no band is drawn: there each of many
candidates had its chance to be flattered, and bands held the true front at a fraction of the costs that they promised.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, minimised, wanted_and_costs
from results.stats.moderated import moderated

__all__ = ["confirmed_band"]

DRAWS = 2_000
PRIOR = 4.0  # degrees of freedom that the members' common variance counts for

Floats = NDArray[np.float64]


def confirmed_band(
    members: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, level: float = 0.95, draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The best accuracy that the members have at no more than a cost, with its pointwise interval.

    Args:
        members: of `Confirmation.members`: test_accuracy, test_accuracies (JSON), test_sample_error, and the cost.
        objectives: of the search; accuracy and the first cost are drawn.
        level: of the interval at each cost.
        draws: of the members' accuracies.
        seed: of the draws.

    Returns:
        The cost, accuracy, low and high (0..1), a row for each member's cost, from the best cost to the worst; no row
        where fewer than two members have two seeds.

    Raises:
        ResultsError: level or draws cannot be.
        ObjectiveError: as `results.front`.
    """
    if not 0 < level < 1 or draws < 1:
        raise ResultsError(f"a band needs a level in (0, 1) and a draw, got level={level} and draws={draws}")
    wanted, costs = wanted_and_costs(objectives)
    columns = [*costs[:1], "accuracy", "low", "high"]
    values = [_numbers(text) for text in members["test_accuracies"]] if "test_accuracies" in members.columns else []
    known = np.array([len(each) > 1 for each in values], dtype=bool)
    if wanted != "accuracy" or len(costs) != 1 or known.sum() < 2:
        return pd.DataFrame(columns=columns, dtype=np.float64)
    rows, listed = members[known], [each for each in values if len(each) > 1]
    cost = minimised(rows, {costs[0]: objectives[costs[0]]})[:, 0]
    mean = np.array([each.mean() for each in listed])
    marks = np.unique(cost)
    error = _drawn_errors(listed, rows, np.random.default_rng(seed), draws)
    best, drawn = _attained(cost, mean[None], marks)[0], _attained(cost, mean + error, marks)
    tail = (1.0 - level) / 2
    low, high = (2.0 * best - np.quantile(drawn, share, axis=0) for share in (1.0 - tail, tail))
    middle = 2.0 * best - np.median(drawn, axis=0)
    # The true front never falls as the cost grows. Sorting takes a line no farther from one that rises, whereas running
    # extremes of noisy ends would make the band too narrow (Chernozhukov et al., Biometrika 96, 2009).
    low, middle, high = np.sort(low), np.sort(middle), np.sort(high)
    found = pd.DataFrame({
        "cost": minimised(marks[:, None], {costs[0]: objectives[costs[0]]})[:, 0],
        "accuracy": np.clip(middle, low, high), "low": np.clip(low, 0.0, 1.0), "high": np.clip(high, 0.0, 1.0),
    })  # fmt: skip
    return found.rename(columns={"cost": costs[0]})


def _drawn_errors(values: list[Floats], rows: pd.DataFrame, rng: np.random.Generator, draws: int) -> Floats:
    """Errors (draws, n) of the members' means: of seeds one by one, of the sample of images all together."""
    count = np.array([len(each) for each in values])
    variance = np.array([each.var(ddof=1) for each in values])
    freedom = count - 1.0
    variance = moderated(variance, freedom, prior=(float(freedom @ variance / freedom.sum()), PRIOR))
    seeds = np.sqrt(variance / count) * rng.standard_t(freedom + PRIOR, size=(draws, len(values)))
    sample = np.zeros(len(values))
    if "test_sample_error" in rows.columns:
        sample = pd.to_numeric(rows["test_sample_error"]).to_numpy(dtype=np.float64, na_value=0.0)
    return np.asarray(seeds + np.nan_to_num(sample) * rng.standard_normal((draws, 1)))


def _attained(cost: Floats, values: Floats, marks: Floats) -> Floats:
    """The best value (draws, m) at no more than each cost."""
    order = np.argsort(cost, kind="stable")
    best = np.maximum.accumulate(values[:, order], axis=1)
    return np.asarray(best[:, np.searchsorted(cost[order], marks, side="right") - 1])


def _numbers(text: object) -> Floats:
    """The numbers of a JSON list; none where there is none."""
    return np.array(json.loads(text), dtype=np.float64) if isinstance(text, str) else np.empty(0)
