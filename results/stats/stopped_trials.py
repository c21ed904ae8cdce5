"""Least squares where some values were never measured because the trial was stopped for being poor.

What completed is then too good: the fit to it lies above the truth, the more so the more a group's candidates differ.
Here the stopped trials take part with an unknown value: a trial is stopped with a probability that falls with what it
would have reached, by a probit model with a threshold that is smooth in the number of parameters (a selection model:
Heckman, Econometrica 47, 1979), and both models are sampled together (Albert and Chib, JASA 88, 1993). What a stopped
trial read before it was stopped is not used.

It rests on normal deviations, and on stopping that goes by the final accuracy and the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Sampled", "sample_with_stopped"]

CHAINS, BURN, THIN = 50, 500, 5
WIDE = 1e4  # prior variance of what the threshold depends on, on the scale of the probit model
SLOPE, SLOPE_VARIANCE = -2.0, 9.0  # prior of the fall of a stop's probit with a standard deviation of accuracy

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sampled:
    """Posterior draws of one group's fit.

    Attributes:
        coefficients: (b, c).
        variance: (b,) of a candidate's deviation.
        values: (n,) the measured values, and the posterior means of the missing ones.
    """

    coefficients: Floats
    variance: Floats
    values: Floats


@dataclass(eq=False)
class _Group:
    """One group's rows, and the state of all chains."""

    design: Floats
    threshold: Floats
    missing: NDArray[np.bool_]
    solve: Floats
    root: Floats
    y: Floats  # (k, n)
    coefficients: Floats  # (k, c)
    variance: Floats  # (k,)


def sample_with_stopped(
    designs: Sequence[Floats], thresholds: Sequence[Floats], values: Sequence[Floats], *, draws: int,
    rng: np.random.Generator,
) -> list[Sampled]:  # fmt: skip
    """Draws of every group's coefficients, all groups having one stopping rule.

    Args:
        designs: (n_g, c_g) of each group, a constant among the columns, n_g above c_g.
        thresholds: (n_g, q) columns on which the stopping threshold may depend, a constant among them.
        values: (n_g,) of each group, NaN where the trial was stopped.
        draws: b, of each group.
        rng: for the draws.

    Returns:
        The draws, a group each.
    """
    groups = [_group(*rows) for rows in zip(designs, thresholds, values, strict=True)]
    centre = float(np.nanmean(np.concatenate(values)))
    scale = math.sqrt(float(np.mean([group.variance[0] for group in groups])))
    kept: list[list[tuple[Floats, Floats]]] = [[] for _ in groups]
    totals = [np.zeros(len(group.missing)) for group in groups]
    rounds = math.ceil(draws / CHAINS)
    stop = [np.full(group.y.shape, 0.0) for group in groups]
    for step in range(BURN + THIN * rounds):
        for group in groups:
            _fit_step(group, rng)
        weights = _probit_step(groups, stop, centre, scale, rng)
        for group, latent in zip(groups, stop, strict=True):
            _value_step(group, latent, weights, centre, scale, rng)
        if step >= BURN and (step - BURN) % THIN == 0:
            for group, keep, total in zip(groups, kept, totals, strict=True):
                keep.append((group.coefficients.copy(), group.variance.copy()))
                total += group.y.mean(axis=0)
    return [
        Sampled(
            np.concatenate([each[0] for each in keep])[:draws], np.concatenate([each[1] for each in keep])[:draws],
            total / rounds,
        )
        for keep, total in zip(kept, totals, strict=True)
    ]  # fmt: skip


def _group(design: Floats, threshold: Floats, values: Floats) -> _Group:
    """A group at its start: missing values below the fit to the others, by half a deviation to four, a chain each."""
    missing = np.isnan(values)
    solve = np.linalg.pinv(design)
    fitted = design @ (np.linalg.pinv(design[~missing]) @ values[~missing])
    spread = max(float((values - fitted)[~missing].std()), 1e-9)
    below = spread * np.linspace(0.5, 4.0, CHAINS)[:, None]
    y = np.where(missing, fitted - below, np.nan_to_num(values))
    square = np.asarray(solve @ solve.T)
    root = np.asarray(np.linalg.cholesky(square + 1e-14 * np.trace(square) * np.eye(len(square))))
    return _Group(
        design, threshold, missing, np.asarray(solve), root, y,
        np.zeros((CHAINS, design.shape[1])), np.full(CHAINS, spread**2),
    )  # fmt: skip


def _fit_step(group: _Group, rng: np.random.Generator) -> None:
    """Coefficients and variance given all values."""
    best = group.y @ group.solve.T
    squares = ((group.y - best @ group.design.T) ** 2).sum(axis=1)
    freedom = group.design.shape[0] - group.design.shape[1]
    group.variance = np.maximum(squares / rng.chisquare(freedom, CHAINS), 1e-16)
    noise = rng.standard_normal(best.shape) @ group.root.T
    group.coefficients = best + np.sqrt(group.variance)[:, None] * noise


def _probit_step(
    groups: Sequence[_Group], stop: list[Floats], centre: float, scale: float, rng: np.random.Generator
) -> Floats:
    """The stopping rule's weights given all values; the latent variables of stopping are renewed in place."""
    columns = [
        np.concatenate(
            [
                np.broadcast_to(group.threshold, (CHAINS, *group.threshold.shape)),
                ((group.y - centre) / scale)[..., None],
            ],
            axis=2,
        )
        for group in groups
    ]  # fmt: skip
    rows, latent = np.concatenate(columns, axis=1), np.concatenate(stop, axis=1)
    prior = np.full(rows.shape[2], 1.0 / WIDE)
    prior[-1] = 1.0 / SLOPE_VARIANCE
    precision = np.swapaxes(rows, 1, 2) @ rows + np.diag(prior)
    factor = np.linalg.cholesky(precision)
    weighted = np.einsum("knq,kn->kq", rows, latent)
    weighted[:, -1] += SLOPE / SLOPE_VARIANCE
    mean = np.linalg.solve(precision, weighted[..., None])
    noise = np.linalg.solve(np.swapaxes(factor, 1, 2), rng.standard_normal(mean.shape))
    weights = (mean + noise)[..., 0]
    for at, group in enumerate(groups):
        middle = np.einsum("knq,kq->kn", columns[at], weights)
        stop[at] = middle + _truncated(-middle, group.missing, rng)
    return np.asarray(weights)


def _truncated(edge: Floats, above: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Standard normal numbers above or below an edge."""
    share = rng.random(edge.shape)
    sign = np.where(above, -1.0, 1.0)  # above an edge is below its mirror image
    least = special.ndtr(sign * edge)
    return np.asarray(sign * special.ndtri(np.clip(share * least, 1e-300, 1 - 1e-16)))


def _value_step(
    group: _Group, latent: Floats, weights: Floats, centre: float, scale: float, rng: np.random.Generator
) -> None:
    """Missing values and how firmly their trials were stopped, both at once, given the fit and the stopping rule."""
    rows = group.missing
    if not rows.any():
        return
    expected = (group.coefficients @ group.design.T)[:, rows]
    variance = group.variance[:, None]
    slope = weights[:, -1:] / scale
    rule = weights[:, :-1] @ group.threshold[rows].T - slope * centre  # the latent variable's mean is rule + slope * y
    middle, spread = rule + slope * expected, np.sqrt(1.0 + slope**2 * variance)
    firm = middle + spread * _truncated(-middle / spread, np.ones(rows.sum(), dtype=bool), rng)
    precision = 1.0 / variance + slope**2
    mean = (expected / variance + slope * (firm - rule)) / precision
    group.y[:, rows] = mean + rng.standard_normal(mean.shape) / np.sqrt(precision)
    latent[:, rows] = firm
