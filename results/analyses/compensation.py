"""Channel compensation: how many parameters an activation makes up for.

    found = compensation(run.trials, reference="relu", margin=0.002)
    found.sentences      # what the data say, and what they do not
    found.ratios         # parameters for the same accuracy, as a share of the reference's

Accuracy as a function of parameters is a monotone spline in log(parameters) for each activation and placement
(`results.monotone`). Its uncertainty is that of the candidates' deviations from their curves, one spread for all curves
of a backbone: they hold the seeds' noise and what else tells candidates apart, so that resampling seeds too would count
the same noise twice. Intervals are pointwise.

"Not inferior" is tested candidate by candidate, see `results.narrowest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.analyses.noninferiority import narrowest, usable
from results.notebook import notebook_html
from results.stats.monotone_spline import Fit, crossings, fit, rising
from results.stats.seeds import SeedMoments, seed_moments

__all__ = ["Compensation", "Family", "compensation"]

GRID, POINTS = 160, 8  # abscissae of a curve; accuracies and parameter counts that a table has at most
DRAWS = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Compensation:
    """What parameters buy, by activation and placement.

    Attributes:
        curves: backbone, activation, placement, params, accuracy, low, high (shares): the curves with their bands.
        ratios: backbone, activation, placement, accuracy, reference_params, params, ratio, low, high, verdict, needed
            (seeds for each candidate that would settle it, where seeds can): a row for each accuracy of the reference.
        gains: backbone, activation, placement, params, gain, low, high (shares), verdict, needed: a row for each
            parameter count of the reference.
        claims: see `results.narrowest`, for every activation.
        sentences: in words.
        reference: the activation compared with.
        margin: of non-inferiority, a share.
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

    def figure(self) -> Any:
        """Curves and ratios as an Altair chart, see `results.compensation_figure`."""
        from results.figures import compensation_figure  # Altair takes a while to import

        return compensation_figure(self)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)

    def _repr_html_(self) -> str:
        return notebook_html(self.sentences, (self.ratios, self.claims), self.figure())


@dataclass(frozen=True, eq=False)
class Family:
    """The curves of one backbone, drawn together.

    Attributes:
        groups: (activation, placement) of each curve; the first is the reference's.
        fits: one a group.
        shifts: the column of a group's own recipe, None where it has one recipe or all are averaged.
        x: (g, GRID) log parameters, of each group over its own range.
        curves: (g, GRID), rising.
        draws: (g, b, GRID), rising; NaN where no spread is known.
        params: the parameter counts of each group.
        variance: of one candidate's deviation.
        within: the part of it that more seeds would make smaller, times the seeds, and the mean number of seeds.
    """

    groups: list[tuple[str, str]]
    fits: list[Fit]
    shifts: list[int | None]
    x: Floats
    curves: Floats
    draws: Floats
    params: list[Floats]
    variance: float
    within: tuple[float, float]


def compensation(
    records: pd.DataFrame,
    *,
    reference: str = "relu",
    margin: float = 0.002,
    level: float = 0.95,
    adjust: str | None = "lr_factor",
    draws: int = DRAWS,
    seed: int = 0,
) -> Compensation:
    """Parameters for equal accuracy, accuracy for equal parameters, and the narrowest network that is as good.

    Args:
        records: one row a trial: params, accuracy, activation; backbone, placement, accuracies, accuracy_std, seeds and
            the column of adjust where there are. Only completed trials count.
        reference: the activation that others are compared with; where it has several placements, "all" or its first.
        margin: of non-inferiority, a share above 0, set before the data are seen; 0.002 is 0.2 points.
        level: of all intervals.
        adjust: a column with a few values, such as the learning rate's factor, of which each curve is drawn at its own
            best, so that no activation is judged at another one's recipe; candidates at other values are shifted by
            the fitted difference. Ignored in a group that has too few candidates for it. None averages over it.
        draws: of each curve.
        seed: of the draws.

    Returns:
        Frames and sentences; frames without rows where there is nothing to compare, and a sentence why.

    Raises:
        RecordError: a column is missing or cannot be read.
        ResultsError: margin or level cannot be.
    """
    done = usable(records)
    tables: dict[str, list[pd.DataFrame]] = {"curves": [], "ratios": [], "gains": [], "claims": []}
    sentences: list[str] = []
    rng = np.random.default_rng(seed)
    for backbone, part in done.groupby("backbone", sort=True):
        prefix = f"{backbone}: " if done["backbone"].nunique() > 1 else ""
        if not (part["activation"] == reference).any():
            sentences.append(f"{prefix}no completed candidate with {reference}, so there is nothing to compare with.")
            continue
        family = _family(part, reference, level, adjust, draws, rng)
        found = {
            "curves": _curves(family, level),
            "ratios": _ratios(family, level),
            "gains": _gains(family, level),
            "claims": narrowest(part, reference=reference, margin=margin, level=level),
        }
        for name, table in found.items():
            if "backbone" not in table.columns:
                table.insert(0, "backbone", str(backbone))
            tables[name].append(table)
        sentences += [prefix + text for text in _sentences(found, reference, margin, level)]
    if not len(done):
        sentences.append("No completed candidate has parameters and an accuracy.")
    joined = {name: _joined(parts) for name, parts in tables.items()}
    return Compensation(**joined, sentences=tuple(sentences), reference=reference, margin=margin, level=level)


def _family(
    part: pd.DataFrame, reference: str, level: float, adjust: str | None, draws: int, rng: np.random.Generator
) -> Family:
    """Fit all groups of a backbone and draw their curves with one spread."""
    groups = _groups(part, reference)
    rows = [_of(part, group) for group in groups]
    logs, means = np.log(part["params"].to_numpy(dtype=np.float64)), seed_moments(part)
    fits, shifts = [], []
    for chosen in rows:
        columns, own = _recipes(part.iloc[chosen], adjust, means.mean[chosen], logs[chosen])
        fits.append(fit(logs[chosen], means.mean[chosen], columns))
        shifts.append(own)
    variance, freedom = _spread(fits, means)
    x = np.array([np.linspace(*item.ends, GRID) for item in fits])
    curves = rising(np.array([item.curve(at, own) for item, at, own in zip(fits, x, shifts, strict=True)]))
    lines = np.full((len(fits), draws, GRID), np.nan)
    if freedom:
        scale = np.sqrt(variance * freedom / rng.chisquare(freedom, draws))
        for line, item, at, own in zip(lines, fits, x, shifts, strict=True):
            normal = scale[:, None] * rng.standard_normal((draws, len(item.coefficients) + 1))
            line[:] = rising(item.draws(at, normal, own))
    within = (means.pooled_variance()[0], float(means.count.mean()))
    params = [part["params"].to_numpy(dtype=np.float64)[chosen] for chosen in rows]
    return Family(groups, fits, shifts, x, curves, lines, params, variance, within)


def _groups(part: pd.DataFrame, reference: str) -> list[tuple[str, str]]:
    """(activation, placement), the reference first and once."""
    found = sorted({(str(a), str(p)) for a, p in zip(part["activation"], part["placement"], strict=True)})
    own = [group for group in found if group[0] == reference]
    first = next((group for group in own if group[1] == "all"), own[0])
    return [first, *(group for group in found if group[0] != reference)]


def _of(part: pd.DataFrame, group: tuple[str, str]) -> NDArray[np.int64]:
    """Positions of a group's rows."""
    same = (part["activation"].astype(str) == group[0]) & (part["placement"].astype(str) == group[1])
    return np.flatnonzero(same.to_numpy(dtype=bool))


def _recipes(part: pd.DataFrame, adjust: str | None, means: Floats, logs: Floats) -> tuple[Floats | None, int | None]:
    """Columns for the values of `adjust` (the first has none), and the column of the best; None and None if too few."""
    if adjust is None or adjust not in part.columns:
        return None, None
    labels, names = pd.factorize(part[adjust], sort=True, use_na_sentinel=False)
    counts = np.bincount(labels)
    plain = fit(logs, means)
    if len(names) < 2 or counts.min() < 2 or plain.freedom - (len(names) - 1) < 2:
        return None, None
    columns = (labels[:, None] == np.arange(1, len(names))[None, :]).astype(np.float64)
    effects = fit(logs, means, columns).coefficients[-(len(names) - 1) :]
    best = int(np.argmax(np.concatenate([[0.0], effects])))
    return columns, (best - 1 if best else None)


def _spread(fits: list[Fit], means: SeedMoments) -> tuple[float, int]:
    """Variance of a candidate's deviation and its freedom; the seeds' alone where candidates leave less than three."""
    freedom = sum(item.freedom for item in fits if item.freedom > 0)
    squares = sum(item.squares for item in fits if item.freedom > 0)
    within, within_freedom = means.pooled_variance()
    if freedom < 3 and within_freedom > freedom:
        return within / float(means.count.mean()), within_freedom
    return (squares / freedom, freedom) if freedom else (math.nan, 0)


def _curves(family: Family, level: float) -> pd.DataFrame:
    """The curves with their bands."""
    parts = []
    for at, group in enumerate(family.groups):
        low, high = _quantiles(family.draws[at], level)
        accuracy = family.curves[at]
        parts.append(pd.DataFrame({
            "activation": group[0], "placement": group[1], "params": np.exp(family.x[at]), "accuracy": accuracy,
            "low": np.fmin(low, accuracy), "high": np.fmax(high, accuracy),
        }).iloc[:: 4 if family.fits[at].ends[0] < family.fits[at].ends[1] else GRID])  # fmt: skip
    return _joined(parts)


def _ratios(family: Family, level: float) -> pd.DataFrame:
    """Parameters for the accuracies that the reference reaches."""
    counts = _marks(family.params[0])
    accuracy = np.interp(np.log(counts), family.x[0], family.curves[0])
    base = np.log(counts)
    base_ends = _reached(family, 0, accuracy)
    parts = []
    for at, group in enumerate(family.groups[1:], start=1):
        needed = crossings(family.curves[at : at + 1], family.x[at], accuracy)[0]
        least, most = _reached(family, at, accuracy)
        ends = [_order(least - base_ends[1], (1 - level) / 2), _order(most - base_ends[0], (1 + level) / 2)]
        estimate = needed - base
        rows = [_ratio_row(family, *numbers) for numbers in zip(estimate, *ends, strict=True)]
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
    parts = []
    for at, group in enumerate(family.groups[1:], start=1):
        low_end, high_end = max(family.x[0, 0], family.x[at, 0]), min(family.x[0, -1], family.x[at, -1])
        counts = _marks(family.params[0])
        counts = counts[(np.log(counts) >= low_end - 1e-9) & (np.log(counts) <= high_end + 1e-9)]
        logs = np.log(counts)
        gain = _at(family.curves[at : at + 1], family.x[at], logs)[0] - _at(family.curves[:1], family.x[0], logs)[0]
        lines = _at(family.draws[at], family.x[at], logs) - _at(family.draws[0], family.x[0], logs)
        low, high = _quantiles(lines, level) if len(counts) else (gain, gain)
        rows = []
        for value, below, above in zip(gain, low, high, strict=True):
            settled = "better" if below > 0 else "worse" if above < 0 else "open"
            half = above - value if value < 0 else value - below
            rows.append((settled, _seeds_needed(family, value, half) if settled == "open" else None))
        parts.append(pd.DataFrame({
            "activation": group[0], "placement": group[1], "params": counts, "gain": gain, "low": low, "high": high,
            "verdict": [row[0] for row in rows], "needed": pd.array([row[1] for row in rows], dtype="Int64"),
        }))  # fmt: skip
    return _joined(parts)


def _seeds_needed(family: Family, effect: float, half: float) -> int | None:
    """Seeds a candidate at which an interval of this half-width would leave out no effect; None where seeds cannot."""
    within, count = family.within
    if not (math.isfinite(half) and half > 0 and effect and math.isfinite(within) and within > 0):
        return None
    wanted = family.variance * (effect / half) ** 2
    between = max(family.variance - within / count, 0.0)
    return math.ceil(within / (wanted - between)) if wanted > between else None


def _sentences(found: dict[str, pd.DataFrame], reference: str, margin: float, level: float) -> Iterator[str]:
    """The frames in words: one sentence a curve, one an activation."""
    ratios, claims = found["ratios"], found["claims"]
    if not len(ratios):
        yield f"No completed candidate has another activation than {reference}, so there is nothing to compare."
        return
    for (activation, placement), rows in ratios.groupby(["activation", "placement"], sort=True):
        yield _ratio_sentence(f"{activation} ({placement})", rows, reference, level)
    for activation, rows in claims.groupby("activation", sort=True):
        yield _claim_sentence(str(activation), rows, reference, margin)
    for activation in sorted(set(ratios["activation"]) - set(claims["activation"])):
        yield f"No candidate with {activation} has fewer parameters than {reference} at full width."


def _ratio_sentence(name: str, rows: pd.DataFrame, reference: str, level: float) -> str:
    """The middle one of the accuracies at which a ratio is known."""
    known = rows[rows["ratio"].notna()]
    if not len(known):
        return f"{name} and {reference} reach no accuracy in common, so their parameters cannot be compared."
    row = known.iloc[len(known) // 2]
    end = "no limit" if math.isinf(row["high"]) else f"{row['high']:.2f}"
    claim = (f"{name} needs {row['ratio']:.2f} times the parameters of {reference} for an accuracy of "
             f"{row['accuracy']:.1%} ({level:.0%} interval {row['low']:.2f} to {end})")  # fmt: skip
    if row["verdict"] != "open":
        return f"{claim}: {row['verdict']}."
    more = "more candidates would, more seeds would not" if pd.isna(row["needed"]) else (
        f"about {int(row['needed']):,} seeds a candidate would settle it")  # fmt: skip
    return f"{claim}: the data do not say whether that is fewer or more; {more}."


def _claim_sentence(activation: str, rows: pd.DataFrame, reference: str, margin: float) -> str:
    """The narrowest that is not inferior, or what it would take."""
    held = rows[rows["narrowest"]]
    points = f"{100 * margin:.2g} points"
    if len(held):
        row = held.iloc[0]
        return (f"The narrowest {activation} network not inferior to {reference} at full width by more than {points} "
                f"has {int(row['params']):,} parameters and saves {int(row['saved']):,} ({row['saved_share']:.0%}); "
                f"difference {100 * row['difference']:+.2f} points, bound {100 * row['bound']:+.2f}, "
                f"n = {int(row['n'])} seeds.")  # fmt: skip
    start = f"No {activation} network with fewer parameters is shown to be within {points} of {reference} at full width"
    hopeful = rows[rows["needed"].notna()]
    if not len(hopeful):
        return f"{start}: all are worse by more, or have one seed."
    row = hopeful.iloc[int(np.argmin(hopeful["needed"].to_numpy(dtype=np.int64)))]
    return (f"{start}; about {int(row['needed']):,} seeds would show it for the one with {int(row['params']):,} params "
            f"if its difference of {100 * row['difference']:+.2f} points is real, it has {int(row['n'])}.")  # fmt: skip


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
