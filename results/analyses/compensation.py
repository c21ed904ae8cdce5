"""Channel compensation: how many parameters an activation makes up for.

    found = compensation(run.trials, reference="relu", margin=0.002)
    found.sentences      # what the data say, and what they do not
    found.ratios         # parameters for the same accuracy, as a fraction of the reference's

Accuracy as a function of parameters is a monotone spline in log(parameters) for each activation and placement, at its
own best recipe (`results.analyses.accuracy_curves`). Its uncertainty is that of the candidates' deviations from their
curves: they hold the seeds' noise and what else tells candidates apart, so that resampling seeds too would count the
same noise twice. Intervals are pointwise; a verdict is of all rows of both tables together, so that at most one in
twenty analyses has a false one.

"Not inferior" is tested candidate by candidate, see `results.analyses.noninferiority`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from results.analyses.accuracy_curves import GRID, RECIPE, Family, accuracy_curves
from results.analyses.compensation_sentences import caveats, how_compared, left_out, what_is_said
from results.analyses.noninferiority import narrowest, untried_recipes, usable, usable_stopped
from results.names import training_columns
from results.notebook import Drawing, Shown
from results.stats.monotone_spline import crossings

__all__ = ["Compensation", "compensation"]

POINTS = 8  # accuracies and parameter counts that a table has at most
DRAWS = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Compensation(Shown):
    """What parameters buy, by activation and placement.

    Attributes:
        curves: backbone, activation, placement, params, accuracy, low, high (fractions): the curves with their bands.
        ratios: backbone, activation, placement, accuracy, reference_params, params, ratio, low, high, verdict, needed
            (seeds for each candidate that would settle it, where seeds can): a row for each accuracy of the reference.
        gains: backbone, activation, placement, params, gain, low, high (fractions), verdict, needed: a row for each
            parameter count of the reference.
        claims: see `results.narrowest`, for every activation.
        sentences: in words.
        reference: the activation compared with.
        margin: of non-inferiority, a fraction.
        level: of all intervals.
    """

    curves: pd.DataFrame
    ratios: pd.DataFrame
    gains: pd.DataFrame
    claims: pd.DataFrame
    sentences: tuple[str, ...]
    reference: str
    margin: float
    level: float

    def _drawing(self) -> Drawing:
        return Drawing("compensation_figure", (self.curves,), {"reference": self.reference, "level": self.level})

    def _tables(self) -> tuple[pd.DataFrame, ...]:
        return self.ratios, self.claims


def compensation(
    records: pd.DataFrame,
    *,
    reference: str = "relu",
    margin: float = 0.002,
    level: float = 0.95,
    adjust: str | Sequence[str] | None = RECIPE,
    sampler: str | None = None,
    images: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Compensation:
    """Parameters for equal accuracy, accuracy for equal parameters, and the narrowest network that is as good.

    Args:
        records: one row per trial: params, accuracy, activation; state, backbone, placement, accuracies, accuracy_std,
            seeds and the recipe's columns where there are. Completed trials are measured; where many were stopped, the
            stopped ones take part as trials whose accuracy is unknown (`results.stats.stopped_trials`).
        reference: the activation that others are compared with; where it has several placements, "all" or its first.
        margin: of non-inferiority, a fraction above 0, set before the data are seen; 0.002 is 0.2 points.
        level: of all intervals.
        adjust: columns of the recipe, such as the learning rate's factor, of which each curve is drawn at its own best,
            so that no activation is judged at another one's recipe. For each column all curves of a backbone that have
            it are adjusted or none is, and a sentence says which. None averages over all. The default are those of
            `RECIPE`, and the keys of the training recipe that were searched.
        sampler: that proposed the candidates, where it is known; of one that follows results a sentence warns.
        images: on which accuracies were measured, as in `narrowest`.
        draws: of each curve.
        seed: of the draws.

    Returns:
        Frames and sentences; frames without rows where there is nothing to compare, and a sentence why.

    Raises:
        RecordError: a column is missing or cannot be read.
        ResultsError: margin or level cannot be.
    """
    done, lost, stopped = usable(records), left_out(records), usable_stopped(records)
    recipe = ("lr_factor", *training_columns(done.columns))
    adjust = (*RECIPE, *recipe[1:]) if adjust == RECIPE else adjust
    columns = () if adjust is None else (adjust,) if isinstance(adjust, str) else tuple(adjust)
    tables: dict[str, list[pd.DataFrame]] = {"curves": [], "ratios": [], "gains": [], "claims": []}
    sentences, rng = list[str](), np.random.default_rng(seed)
    for backbone, part in done.groupby("backbone", sort=True):
        prefix = f"{backbone}: " if done["backbone"].nunique() > 1 else ""
        if not (part["activation"] == reference).any():
            sentences.append(f"{prefix}no completed candidate with {reference}, so there is nothing to compare with.")
            continue
        cut = stopped[stopped["backbone"] == backbone]
        family = accuracy_curves(part, cut, reference=reference, adjust=columns, draws=draws, rng=rng)
        claims = narrowest(part, reference=reference, margin=margin, level=level, recipe=recipe, images=images)
        found = {**_tables(family, str(backbone), level), "claims": claims}
        for name in tables:
            tables[name].append(found[name])
        sentences += [prefix + text for text in what_is_said(found, reference, margin, level)]
        sentences += [
            prefix + text
            for text in how_compared(family, reference, untried_recipes(part, reference=reference, recipe=recipe))
        ]
    if not len(done):
        sentences.append("No completed candidate has parameters and an accuracy.")
    sentences += caveats(lost, sampler)
    joined = {name: _joined(parts) for name, parts in tables.items()}
    return Compensation(**joined, sentences=tuple(sentences), reference=reference, margin=margin, level=level)


def _tables(family: Family, backbone: str, level: float) -> dict[str, pd.DataFrame]:
    """What the curves of one backbone say, by the name that `Compensation` has for it."""
    tables = {
        "curves": _curves(family, level),
        "ratios": _ratios(family, level),
        "gains": _gains(family, level),
    }
    for table in tables.values():
        if "backbone" not in table.columns:
            table.insert(0, "backbone", backbone)
    return tables


def _curves(family: Family, level: float) -> pd.DataFrame:
    """The curves with their bands."""
    parts = []
    for at, group in enumerate(family.groups):
        low, high = _quantiles(family.draws[at], level)
        accuracy = family.curves[at]
        parts.append(pd.DataFrame({
            "activation": group[0], "placement": group[1], "params": np.exp(family.x[at]), "accuracy": accuracy,
            "low": np.fmin(low, accuracy), "high": np.fmax(high, accuracy),
        }).iloc[:: 4 if family.x[at, 0] < family.x[at, -1] else GRID])  # fmt: skip
    return _joined(parts)


def _ratios(family: Family, level: float) -> pd.DataFrame:
    """Parameters for the accuracies that the reference reaches."""
    counts = _marks(family.params[0])
    accuracy = np.interp(np.log(counts), family.x[0], family.curves[0])
    base = np.log(counts)
    base_ends = _reached(family, 0, accuracy)
    reached = [_reached(family, at, accuracy) for at in range(1, len(family.groups))]
    spans = [(least - base_ends[1], most - base_ends[0]) for least, most in reached]
    beyond = _joint_tail([low for low, _ in spans], [high for _, high in spans], level)
    parts = []
    for at, (group, (lows, highs)) in enumerate(zip(family.groups[1:], spans, strict=True), start=1):
        needed = crossings(family.curves[at : at + 1], family.x[at], accuracy)[0]
        estimate = needed - base
        ends = [_order(lows, (1 - level) / 2), _order(highs, (1 + level) / 2)]
        joint = [_order(lows, beyond), _order(highs, 1 - beyond)]
        rows = [_ratio_row(family, *numbers) for numbers in zip(estimate, *joint, strict=True)]
        with np.errstate(over="ignore"):
            table = pd.DataFrame({
                "activation": group[0], "placement": group[1], "accuracy": accuracy,
                "reference_params": np.exp(base), "params": np.where(np.isfinite(needed), np.exp(needed), np.nan),
                "ratio": np.where(np.isfinite(estimate), np.exp(estimate), np.nan),
                "low": np.exp(np.minimum(ends[0], estimate)), "high": np.exp(np.maximum(ends[1], estimate)),
                "verdict": [row[0] for row in rows], "needed": pd.array([row[1] for row in rows], dtype="Int64"),
            })  # fmt: skip
        parts.append(table)
    return _joined(parts)


def _ratio_row(family: Family, estimate: float, low: float, high: float) -> tuple[str, int | None]:
    """What a ratio's logarithm says, and the seeds that would settle it."""
    if estimate == math.inf and low > 0:
        return "more", None
    if estimate == -math.inf and high < 0:
        return "fewer", None
    if low > 0 or high < 0:
        return ("more" if low > 0 else "fewer"), None
    if not math.isfinite(estimate):
        return "out of range", None
    half = (high - estimate) if estimate < 0 else (estimate - low)
    return "open", _seeds_needed(family, estimate, half)


def _gains(family: Family, level: float) -> pd.DataFrame:
    """Accuracy over the reference's, for its parameter counts that both have."""
    marks, gains, lines = [], [], []
    for at in range(1, len(family.groups)):
        low_end, high_end = max(family.x[0, 0], family.x[at, 0]), min(family.x[0, -1], family.x[at, -1])
        counts = _marks(family.params[0])
        counts = counts[(np.log(counts) >= low_end - 1e-9) & (np.log(counts) <= high_end + 1e-9)]
        logs = np.log(counts)
        marks.append(counts)
        gains.append(_at(family.curves[at : at + 1], family.x[at], logs)[0]
                     - _at(family.curves[:1], family.x[0], logs)[0])  # fmt: skip
        lines.append(_at(family.draws[at], family.x[at], logs) - _at(family.draws[0], family.x[0], logs))
    beyond = _joint_tail(lines, lines, level)
    parts = []
    for group, counts, gain, drawn in zip(family.groups[1:], marks, gains, lines, strict=True):
        low, high = _quantiles(drawn, level) if len(counts) else (gain, gain)
        joint = (_order(drawn, beyond), _order(drawn, 1 - beyond)) if len(counts) else (gain, gain)
        rows = []
        for value, below, above in zip(gain, *joint, strict=True):
            settled = "better" if below > 0 else "worse" if above < 0 else "open"
            half = above - value if value < 0 else value - below
            rows.append((settled, _seeds_needed(family, value, half) if settled == "open" else None))
        parts.append(pd.DataFrame({
            "activation": group[0], "placement": group[1], "params": counts, "gain": gain, "low": low, "high": high,
            "verdict": [row[0] for row in rows], "needed": pd.array([row[1] for row in rows], dtype="Int64"),
        }))  # fmt: skip
    return _joined(parts)


def _joint_tail(lows: list[Floats], highs: list[Floats], level: float) -> float:
    """The fraction of draws beyond each end of each row's interval at which all rows together have the level.

    Ratios and gains each have half of what may be false, so that the level is that of both tables.

    Args:
        lows: (b, m) draws whose low quantiles are lower ends, a table each, all from the same draws.
        highs: (b, m) likewise for upper ends.
        level: of both tables together.
    """
    level = 1.0 - (1.0 - level) / 2
    low, high = (np.concatenate(each, axis=1) if each else np.empty((1, 0)) for each in (lows, highs))
    if not low.shape[1] or np.isnan(low).any():
        return (1 - level) / 2
    ranks = [stats.rankdata(values, axis=0) / len(values) for values in (low, -high)]
    depth = np.minimum(ranks[0], ranks[1]).min(axis=1)
    return float(min(np.quantile(depth, 1 - level, method="lower"), (1 - level) / 2))


def _seeds_needed(family: Family, effect: float, half: float) -> int | None:
    """Seeds a candidate at which an interval of this half-width would leave out no effect; None where seeds cannot."""
    within, count = family.within
    if not (math.isfinite(half) and half > 0 and effect and math.isfinite(within) and within > 0):
        return None
    wanted = family.variance * (effect / half) ** 2
    between = max(family.variance - within / count, 0.0)
    return math.ceil(within / (wanted - between)) if wanted > between else None


def _marks(params: Floats) -> Floats:
    """Parameter counts that stand for all: each, or eight of them evenly."""
    different = np.unique(params)
    if len(different) <= POINTS:
        return different
    return np.asarray(different[np.linspace(0, len(different) - 1, POINTS).round().astype(int)])


def _at(curves: Floats, x: Floats, at: Floats) -> Floats:
    """Curves (b, n) at x, read at (m,): (b, m)."""
    if x[-1] <= x[0]:
        return np.repeat(curves[:, :1], len(at), axis=1)
    place = np.clip((at - x[0]) / (x[-1] - x[0]) * (len(x) - 1), 0, len(x) - 1)
    left = np.minimum(place.astype(int), len(x) - 2)
    share = place - left
    return np.asarray(curves[:, left] * (1 - share) + curves[:, left + 1] * share)


def _reached(family: Family, group: int, accuracy: Floats) -> tuple[Floats, Floats]:
    """Log parameters at which each drawn curve reaches accuracies: the least and the most that they can be.

    A curve that starts above an accuracy reaches it somewhere at or below its fewest parameters, one that does not come
    up to it at or above its most; one that is not known anywhere.
    """
    found = crossings(family.draws[group], family.x[group], accuracy)
    if np.isnan(family.draws[group]).any():
        found[:] = np.nan
    least = np.where(np.isposinf(found), family.x[group, -1], np.where(np.isnan(found), -np.inf, found))
    most = np.where(np.isneginf(found), family.x[group, 0], np.where(np.isnan(found), np.inf, found))
    return least, most


def _order(draws: Floats, share: float) -> Floats:
    """A quantile of each column, infinite ones included."""
    method = "lower" if share < 0.5 else "higher"
    with np.errstate(invalid="ignore"):
        found = np.quantile(draws, share, axis=0, method=method)  # type: ignore[call-overload]
        return cast(Floats, found)


def _quantiles(draws: Floats, level: float) -> tuple[Floats, Floats]:
    """Both ends of the interval of each column; NaN where nothing was drawn."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables under one another."""
    parts = [part for part in parts if len(part.columns)]
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
