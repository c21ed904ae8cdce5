"""Accuracy as a curve of parameters, one for each activation and placement of a backbone, at its own best recipe.

    family = accuracy_curves(completed, stopped, reference="relu", adjust=RECIPE, draws=2000, rng=rng)

All curves of a backbone are adjusted for a dimension of the recipe or none is: a reference that was tried at one
learning rate cannot be brought to its best one, and the others at theirs would be compared with it unfairly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.stats.moderated import moderated
from results.stats.monotone_spline import Fit, fit, rising
from results.stats.recipe_effects import RecipeDimension, at_best, recipe_dimension, seed_noise, shrunk
from results.stats.seeds import SeedMoments, seed_accuracies, seed_moments
from results.stats.stopped_trials import sample_with_stopped

__all__ = ["GRID", "RECIPE", "Family", "accuracy_curves"]

GRID = 160  # abscissae of a curve
PRIOR = 4.0  # degrees of freedom that the spread of all curves counts for beside a curve's own
WIDENING = 0.25
"""Power of trials over completed ones by which curves are less sure than the model of stopping says: chosen by
simulation, where half of all trials are stopped and verdicts were false in 8 to 10 % of runs without it."""
MANY_STOPPED = 0.05  # fraction of trials from which those that were stopped take part
RECIPE = ("lr_factor", "init_std", "init_slope", "decay")
"""Dimensions of the recipe that records have columns for: they change how a network is trained, not what it is."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Family:
    """The curves of one backbone, drawn together.

    Attributes:
        groups: (activation, placement) of each curve; the first is the reference's.
        x: (g, GRID) log parameters, of each group over its own range.
        curves: (g, GRID), rising.
        draws: (g, b, GRID), rising; NaN where no spread is known.
        params: the parameter counts of each group.
        variance: of one candidate's deviation.
        within: the part of it that more seeds would make smaller, times the seeds, and the mean number of seeds.
        best: for each group the value of each dimension at which its curve is drawn.
        adjusted: the dimensions that all curves are adjusted for.
        averaged: dimensions that differ and are averaged over, each with the reason.
        stopped: how many stopped trials take part.
    """

    groups: list[tuple[str, str]]
    x: Floats
    curves: Floats
    draws: Floats
    params: list[Floats]
    variance: float
    within: tuple[float, float]
    best: list[dict[str, str]] = field(default_factory=list)
    adjusted: tuple[str, ...] = ()
    averaged: dict[str, str] = field(default_factory=dict)
    stopped: int = 0


@dataclass(frozen=True, eq=False)
class _Group:
    """The rows of one curve: completed first, then stopped ones."""

    name: tuple[str, str]
    frame: pd.DataFrame
    logs: Floats
    values: Floats  # (n, r) seed by seed, or (n, 1)
    missing: NDArray[np.bool_]
    dimensions: tuple[RecipeDimension, ...] = ()

    @property
    def further(self) -> Floats | None:
        """Columns of the recipe."""
        return np.hstack([each.columns for each in self.dimensions]) if self.dimensions else None


def accuracy_curves(
    completed: pd.DataFrame, stopped: pd.DataFrame, *, reference: str, adjust: Sequence[str], draws: int,
    rng: np.random.Generator,
) -> Family:  # fmt: skip
    """Fit all groups of a backbone and draw their curves.

    Args:
        completed: records of one backbone, as `results.analyses.noninferiority.usable` gives them.
        stopped: of the same backbone the records of stopped trials, likewise.
        reference: the activation of the first curve.
        adjust: columns of the recipe; those that are missing or do not differ play no part.
        draws: of each curve.
        rng: for the draws.
    """
    names = _groups(completed, reference)
    share = len(stopped) / max(1, len(stopped) + len(completed))
    taking_part = stopped if share >= MANY_STOPPED and len(stopped) >= 4 else stopped.iloc[:0]
    groups = [_rows(completed, taking_part, name) for name in names]
    groups, adjusted, averaged = _with_recipes(groups, adjust)
    moments = seed_moments(completed)
    within = _within(completed, moments)
    measured = [group.logs[~group.missing] for group in groups]
    x = np.array([np.linspace(each.min(), each.max(), GRID) for each in measured])
    count = sum(int(group.missing.sum()) for group in groups)
    fits, noise, variance = (
        _selected(groups, draws, rng) if count and _enough(groups) else _plain(groups, moments, within, draws, rng)
    )
    curves, lines, best = np.empty(x.shape), np.full((len(groups), draws, GRID), np.nan), []
    for at, group in enumerate(groups):
        curves[at], drawn, chosen = _at_best_recipe(group, fits[at], noise[at], x[at], variance[at])
        best.append(chosen)
        if drawn is not None:
            lines[at] = rising(drawn)
    typical = float(np.mean(variance)) if np.isfinite(variance).all() else math.nan
    return Family(
        names, x, rising(curves), lines, [np.exp(each).round() for each in measured], typical,
        (within[0], float(moments.count.mean())), best, adjusted, averaged, count if _enough(groups) else 0,
    )  # fmt: skip


def _groups(part: pd.DataFrame, reference: str) -> list[tuple[str, str]]:
    """(activation, placement), the reference first and once."""
    found = sorted({(str(a), str(p)) for a, p in zip(part["activation"], part["placement"], strict=True)})
    own = [group for group in found if group[0] == reference]
    first = next((group for group in own if group[1] == "all"), own[0])
    return [first, *(group for group in found if group[0] != reference)]


def _rows(completed: pd.DataFrame, stopped: pd.DataFrame, name: tuple[str, str]) -> _Group:
    """A group's rows."""
    parts = [
        frame[(frame["activation"].astype(str) == name[0]) & (frame["placement"].astype(str) == name[1])]
        for frame in (completed, stopped)
    ]
    values = seed_accuracies(parts[0])
    if values.shape[1] < 2 or np.isnan(values).any():
        values = seed_moments(parts[0]).mean[:, None]
    frame = pd.concat(parts, ignore_index=True) if len(parts[1]) else parts[0].reset_index(drop=True)
    values = np.vstack([values, np.full((len(parts[1]), values.shape[1]), np.nan)])
    logs = np.log(frame["params"].to_numpy(dtype=np.float64))
    return _Group(name, frame, logs, values, np.arange(len(frame)) >= len(parts[0]))


def _with_recipes(groups: list[_Group], adjust: Sequence[str]) -> tuple[list[_Group], tuple[str, ...], dict[str, str]]:
    """Groups with the dimensions that all can be adjusted for, which these are, and why others are not."""
    chosen: list[list[RecipeDimension]] = [[] for _ in groups]
    adjusted, averaged = [], {}
    for name in adjust:
        values = [_values(group.frame, name) for group in groups]
        having = [at for at, each in enumerate(values) if each is not None]
        varying = [at for at in having if len(set(values[at] or ())) > 1]
        if not varying:
            continue
        constant = [groups[at].name for at in having if at not in varying]
        if constant:
            averaged[name] = f"{_told(constant[0])} has one value of it"
            continue
        made = {at: recipe_dimension(name, values[at] or ()) for at in varying}
        short = [at for at in varying if _freedom(groups[at], [*chosen[at], made[at]]) < 1]
        if short:
            averaged[name] = f"{_told(groups[short[0]].name)} has too few candidates for it"
            continue
        for at in varying:
            chosen[at].append(made[at])
        adjusted.append(name)
    found = [
        _Group(group.name, group.frame, group.logs, group.values, group.missing, tuple(parts))
        for group, parts in zip(groups, chosen, strict=True)
    ]
    return found, tuple(adjusted), averaged


def _values(frame: pd.DataFrame, name: str) -> list[Any] | None:
    """A dimension's values in a group, words where some are missing; None where it does not exist there."""
    if name not in frame.columns or frame[name].isna().all():
        return None
    if frame[name].isna().any():
        return [str(value) if pd.notna(value) else "-" for value in frame[name]]
    return [value.item() if isinstance(value, np.generic) else value for value in frame[name]]


def _freedom(group: _Group, dimensions: Sequence[RecipeDimension]) -> int:
    """Degrees of freedom that completed candidates leave beyond the spline and these dimensions."""
    done = ~group.missing
    return fit(group.logs[done], group.values[done].mean(axis=1),
               np.hstack([each.columns[done] for each in dimensions])).freedom  # fmt: skip


def _told(name: tuple[str, str]) -> str:
    return f"{name[0]} ({name[1]})"


def _within(completed: pd.DataFrame, moments: SeedMoments) -> tuple[float, int]:
    """Variance of one seed and its freedom, without what each seed adds to all candidates where all have the same."""
    values = seed_accuracies(completed)
    if len(values) < 3 or values.shape[1] < 2 or np.isnan(values).any():
        return moments.pooled_variance()
    rest = values - values.mean(axis=1, keepdims=True)
    rest -= rest.mean(axis=0, keepdims=True)
    freedom = (values.shape[0] - 1) * (values.shape[1] - 1)
    return float((rest**2).sum()) / freedom, freedom


def _enough(groups: Sequence[_Group]) -> bool:
    """Whether every group has completed candidates enough for a model of stopping."""
    return all(
        _freedom(group, group.dimensions) >= 3 if group.dimensions else
        fit(group.logs[~group.missing], group.values[~group.missing].mean(axis=1)).freedom >= 3
        for group in groups
    )  # fmt: skip


_Coefficients = tuple[Fit, Floats]  # a fit, and (r, 1 + c) its mean and coefficients by each seed


def _plain(
    groups: Sequence[_Group], moments: SeedMoments, within: tuple[float, int], draws: int, rng: np.random.Generator
) -> tuple[list[_Coefficients], list[Floats | None], Floats]:
    """Least squares on what completed: fits, noise of their coefficients, and variances of a candidate's deviation."""
    fits: list[_Coefficients] = []
    for group in groups:
        done = ~group.missing
        further = group.further[done] if group.further is not None else None
        whole = fit(group.logs[done], group.values[done].mean(axis=1), further)
        seeds = [fit(group.logs[done], column, further) for column in group.values[done].T]
        fits.append((whole, np.array([[each.mean, *each.coefficients] for each in seeds])))
    variance, freedom = _spread([whole for whole, _ in fits], within, float(moments.count.mean()))
    noise: list[Floats | None] = []
    for (whole, by_seed), own, count in zip(fits, variance, freedom, strict=True):
        if not count:
            noise.append(None)
            continue
        number = len(by_seed)
        part = min(within[0] / number, own) if number > 1 and math.isfinite(within[0]) else 0.0
        noise.append(seed_noise(whole.root, n=whole.n, draws=draws, between=own - part, within=part * number,
                                seeds=number, freedom=count, rng=rng))  # fmt: skip
    return fits, noise, variance


def _spread(fits: Sequence[Fit], within: tuple[float, int], seeds: float) -> tuple[Floats, Floats]:
    """Variance of a candidate's deviation and its freedom, a curve each, drawn towards that of all curves.

    The seeds' alone where the candidates leave less than three degrees of freedom.
    """
    own = np.array([max(each.freedom, 0) for each in fits], dtype=np.float64)
    squares = np.array([each.squares if each.freedom > 0 else 0.0 for each in fits])
    total = float(own.sum())
    if total < 3 and within[1] > total:
        return np.full(len(fits), within[0] / seeds), np.full(len(fits), float(within[1]))
    if not total:
        return np.full(len(fits), math.nan), np.zeros(len(fits))
    variance = moderated(squares / np.maximum(own, 1.0), own, prior=(float(squares.sum()) / total, PRIOR))
    return variance, np.minimum(own + PRIOR, total)


def _selected(
    groups: Sequence[_Group], draws: int, rng: np.random.Generator
) -> tuple[list[_Coefficients], list[Floats | None], Floats]:
    """As `_plain`, with the stopped trials' unknown values sampled."""
    means = [group.values.mean(axis=1) for group in groups]
    shapes = [fit(group.logs, np.zeros(len(group.logs)), group.further) for group in groups]
    designs = [
        np.column_stack([np.ones(len(group.logs)), shape.columns(group.logs, group.further)])
        for group, shape in zip(groups, shapes, strict=True)
    ]
    every = np.concatenate([group.logs for group in groups])
    common = fit(every, np.zeros(len(every)))
    middle, spread = float(every.mean()), max(float(every.std()), 1e-9)
    thresholds = [
        np.column_stack([np.ones(len(group.logs)), common.columns(group.logs), ((group.logs - middle) / spread) ** 2])
        for group in groups
    ]
    sampled = sample_with_stopped(designs, thresholds, means, draws=draws, rng=rng)
    fits: list[_Coefficients] = []
    noise: list[Floats | None] = []
    for group, found in zip(groups, sampled, strict=True):
        coefficients = found.coefficients.mean(axis=0)
        fits.append((fit(group.logs, found.values, group.further), coefficients[None]))
        wider = (len(group.missing) / (~group.missing).sum()) ** WIDENING
        noise.append(wider * (found.coefficients - coefficients)[:, None, :])
    return fits, noise, np.array([float(np.median(found.variance)) for found in sampled])


def _at_best_recipe(
    group: _Group, fitted: _Coefficients, noise: Floats | None, x: Floats, variance: float
) -> tuple[Floats, Floats | None, dict[str, str]]:
    """A group's curve at its best recipe, draws of what it might be, and which recipe that is."""
    whole, by_seed = fitted
    columns = whole.columns(x)
    curve = by_seed[:, 0].mean() + columns @ by_seed[:, 1:].mean(axis=0)
    error = None if noise is None else noise[..., 0].mean(axis=1)[:, None] + noise[..., 1:].mean(axis=1) @ columns.T
    at = by_seed.shape[1] - sum(each.columns.shape[1] for each in group.dimensions)
    best: dict[str, str] = {}
    for each in group.dimensions:
        place = slice(at, at + each.columns.shape[1])
        at = place.stop
        worth, _ = at_best(by_seed[:, place], each.choices)
        curve = curve + worth.mean()
        mean = by_seed[:, place].mean(axis=0)
        best[each.name] = each.labels[int(np.argmax(each.choices @ mean))]
        if error is not None and noise is not None:
            block = whole.root[place.start - 1 : place.stop - 1]
            likely = shrunk(mean, variance * block @ block.T)
            found, _ = at_best(likely + noise[:, :, place], each.choices)
            error = error + (found.mean(axis=1) - float((each.choices @ likely).max()))[:, None]
    if error is None:
        return curve, None, best
    return curve - error.mean(axis=0), curve - error, best
