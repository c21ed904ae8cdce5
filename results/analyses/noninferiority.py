"""The narrowest network that is not inferior: claims candidate by candidate, paired over seeds.

At most one in twenty families of tests (the candidates of an activation and backbone) has a false claim: the fallback
procedure (Wiens, Pharmaceutical Statistics 2, 2003) goes from the most parameters to the fewest, gives half of the
level to the first candidate, an equal part of the rest to each other one, and hands on what one that passed had.

Each test is a moderated t (`results.stats.moderated`): the variance of a candidate's differences is drawn towards that
of all candidates of its family, and is at least the variance of rounding accuracies to a number of images, so that
seeds which happen to differ by the same amount prove nothing. All differences share the reference's own noise, so the
family's variance never counts for more than four further degrees of freedom.

A claim is made only for a candidate whose recipe (learning rate) the reference at full width was tried at as well: a
reference at one rate is not at its best, and LENI at three rates would be compared with it at one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from results.errors import RecordError, ResultsError
from results.fronts import completed, minimised
from results.stats.moderated import grid_step, moderated, prior_variance, rounding_variance
from results.stats.power import pairs_needed_moderated
from results.stats.seeds import SeedMoments, seed_accuracies, seed_moments

__all__ = ["NEAR", "narrowest", "untried_recipes", "usable", "usable_stopped"]

FIRMEST = 4.0  # degrees of freedom that the family's variance counts for at most
NEAR = 1.5  # factor between two numbers of a recipe's continuous dimension that count as one

Floats = NDArray[np.float64]
COLUMNS = [
    "backbone", "activation", "placement", "widths", "number", "params", "accuracy", "n", "difference", "bound",
    "p", "alpha", "tried", "holds", "narrowest", "saved", "saved_share", "needed", "method",
]  # fmt: skip
"""Columns of `narrowest`, which describes them."""


def narrowest(
    records: pd.DataFrame,
    *,
    reference: str = "relu",
    margin: float = 0.002,
    level: float = 0.95,
    aim: float = 0.8,
    recipe: Sequence[str] = ("lr_factor",),
    images: int | None = None,
) -> pd.DataFrame:
    """Which networks of fewer parameters are not inferior to the reference at full width, and what they save.

    The reference at full width is the best of those with the most parameters: chosen by its accuracy it is flattered,
    so that the claim is made harder.

    Args:
        records: as in `results.compensation.compensation`, of one backbone or several.
        reference: the activation compared with.
        margin: what may be lost, a fraction.
        level: 1 - level is shared by all candidates of an activation and backbone.
        aim: power for needed.
        recipe: columns of the recipe that every activation has; those that are missing do not count.
        images: on which accuracies were measured; None finds it from the accuracies.

    Returns:
        backbone, activation, placement, widths, number, params, accuracy, n (seeds), difference, bound (one-sided, at
        the whole level), p, alpha (what it had to meet), tried (whether the reference at full width was tried at the
        candidate's recipe), holds, narrowest (of its activation), saved (parameters), saved_share, needed (seeds that
        would meet alpha if difference and spread are as seen), method ("moderated t", "t" of a single candidate, or
        "welch" where seeds cannot be paired); from the most parameters to the fewest within an activation.

    Raises:
        RecordError: a column is missing or cannot be read.
        ResultsError: margin, level or images cannot be.
    """
    _check_options(margin, level, images)
    done = usable(records)
    values, moments = seed_accuracies(done), seed_moments(done)
    least = rounding_variance(grid_step(values) if images is None else 1.0 / images)
    rows: list[dict[str, Any]] = []
    for _, part in done.groupby("backbone", sort=True):
        positions = done.index.get_indexer(part.index)
        full = _full_width(part, moments.mean[positions], reference)
        if full is None:
            continue
        base = int(positions[full])
        for activation in sorted(set(part["activation"]) - {reference}):
            chosen = (part["activation"] == activation) & (part["params"] < done["params"].iloc[base])
            order = positions[chosen.to_numpy(dtype=bool)]
            order = order[np.argsort(-done["params"].to_numpy(dtype=np.float64)[order], kind="stable")]
            tests = _tests(order, base, values, moments, least=least, margin=margin, level=level)
            tried = ~_untried(done, part, order, reference, recipe)
            table = [
                {**_named(done, int(row), base, moments), **test, "tried": bool(fair)}
                for row, test, fair in zip(order, tests, tried, strict=True)
            ]
            rows += _needed(_fallback(table, 1.0 - level), margin, aim)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"needed": "Int64", "number": "Int64", "params": "Int64", "saved": "Int64", "n": "Int64"})


def _check_options(margin: float, level: float, images: int | None) -> None:
    if not (margin > 0 and math.isfinite(margin)):
        raise ResultsError(f"margin must be a fraction above 0, such as 0.002 for 0.2 points, got {margin}")
    if not 0 < level < 1:
        raise ResultsError(f"level must be in (0, 1), such as 0.95, got {level}")
    if images is not None and images < 1:
        raise ResultsError(f"images must be at least 1, got {images}")


def untried_recipes(
    records: pd.DataFrame, *, reference: str = "relu", recipe: Sequence[str] = ("lr_factor",)
) -> dict[str, list[Any]]:
    """Values of the recipe that other activations were tried at and the reference at full width was not.

    Args:
        records: as in `narrowest`.
        reference: the activation compared with.
        recipe: columns of the recipe that every activation has.

    Returns:
        Column -> values, sorted; columns without any are left out.

    Raises:
        RecordError: as `narrowest`.
    """
    done = usable(records)
    found: dict[str, set[Any]] = {}
    for _, part in done.groupby("backbone", sort=True):
        if not (part["activation"] == reference).any():
            continue
        others = done.index.get_indexer(part.index[part["activation"] != reference])
        for name in recipe:
            missing = _untried(done, part, others, reference, [name])
            if missing.any():
                found.setdefault(name, set()).update(done[name].iloc[others[missing]].dropna())
    return {name: sorted(values) for name, values in found.items() if values}


def usable(records: pd.DataFrame) -> pd.DataFrame:
    """Completed records with parameters, an accuracy and an activation, under a fresh index."""
    for name in ("activation", "params", "accuracy"):
        if name not in records.columns:
            raise RecordError(f"records must have a column {name}, they have {', '.join(map(str, records.columns))}")
    return _usable(completed(records), ("params", "accuracy"))


def usable_stopped(records: pd.DataFrame) -> pd.DataFrame:
    """Stopped records with parameters and an activation, under a fresh index; none where no state is recorded."""
    stopped = records[records["state"] == "stopped"] if "state" in records.columns else records.iloc[:0]
    return _usable(stopped, ("params",))


def _usable(rows: pd.DataFrame, needed: Sequence[str]) -> pd.DataFrame:
    """Rows with an activation and finite numbers in some columns, parameters above 0."""
    numbers = minimised(rows, dict.fromkeys(needed, "minimize"))
    kept = np.isfinite(numbers).all(axis=1) & (numbers[:, 0] > 0) & rows["activation"].notna().to_numpy(dtype=bool)
    rows = rows[kept].reset_index(drop=True)
    for name, word in (("backbone", ""), ("placement", "all"), ("widths", ""), ("number", pd.NA)):
        rows[name] = rows[name].astype(object).where(rows[name].notna(), word) if name in rows.columns else word
    return rows.astype({"activation": str})


def _full_width(part: pd.DataFrame, means: Floats, reference: str) -> int | None:
    """Position of the best among the reference's candidates with the most parameters."""
    own = np.flatnonzero((part["activation"] == reference).to_numpy(dtype=bool))
    if not len(own):
        return None
    params = part["params"].to_numpy(dtype=np.float64)
    widest = own[params[own] == params[own].max()]
    return int(widest[np.argmax(means[widest])])


def _untried(
    done: pd.DataFrame, part: pd.DataFrame, rows: NDArray[np.int64], reference: str, recipe: Sequence[str]
) -> NDArray[np.bool_]:
    """Whether the reference with the most parameters was not tried at the recipe of each row."""
    own = part[part["activation"] == reference]
    own = own[own["params"] == own["params"].max()]
    missing = np.zeros(len(rows), dtype=bool)
    tried = np.ones((len(rows), len(own)), dtype=bool)
    for name in recipe:
        if name not in done.columns or done[name].isna().all():
            continue
        theirs, ours = done[name].iloc[rows], own[name]
        same = theirs.isna().to_numpy()[:, None] | (
            theirs.astype(object).to_numpy()[:, None] == ours.astype(object).fillna(math.nan).to_numpy()[None, :]
        )
        if pd.api.types.is_float_dtype(done[name]) and done[name].nunique() > len(done) / 2:
            first, second = (column.to_numpy(dtype=np.float64, na_value=np.nan) for column in (theirs, ours))
            with np.errstate(divide="ignore", invalid="ignore"):
                same |= np.abs(np.log(first)[:, None] - np.log(second)[None, :]) <= math.log(NEAR)
        tried &= same
    return missing | ~tried.any(axis=1)


def _named(done: pd.DataFrame, row: int, base: int, moments: SeedMoments) -> dict[str, Any]:
    """Which candidate it is, and what it saves."""
    record, saved = done.iloc[row], int(done["params"].iloc[base]) - int(done["params"].iloc[row])
    names = ("backbone", "activation", "placement", "widths", "number", "params")
    return {**{name: record[name] for name in names}, "accuracy": float(moments.mean[row]), "saved": saved,
            "saved_share": saved / int(done["params"].iloc[base])}  # fmt: skip


def _tests(
    order: NDArray[np.int64], base: int, values: Floats, moments: SeedMoments, *, least: float, margin: float,
    level: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """A family's candidates against the reference: each paired where it has two seeds in common with it."""
    differences = values[order] - values[base] if values.size else np.full((len(order), 1), np.nan)
    count = np.isfinite(differences).sum(axis=1)
    paired = count > 1
    found = [_welch(moments, int(row), base, margin, level) for row in order]
    if not paired.any():
        return found
    mean = np.nanmean(differences[paired], axis=1)
    squares = np.nansum((differences[paired] - mean[:, None]) ** 2, axis=1)
    freedom = count[paired] - 1.0
    variance = np.maximum(squares / freedom, least)
    prior = (0.0, 0.0)
    if len(variance) > 1 and (variance > 0).all():
        common, weight = prior_variance(variance, freedom)
        # Where variances differ their mean is above the prior one, and the more careful of both.
        prior = (max(common, float(freedom @ variance / freedom.sum())), min(weight, FIRMEST))
        variance = moderated(variance, freedom, prior=prior)
    known = variance > 0
    error = np.sqrt(np.where(known, variance, np.nan) / count[paired])
    total = freedom + prior[1]
    bound = np.where(known, mean - special.stdtrit(total, level) * error, -math.inf)
    p = np.where(known, special.stdtr(total, -(mean + margin) / error), 1.0)
    for at, row in enumerate(np.flatnonzero(paired)):
        found[row] = {
            "n": int(count[row]), "difference": float(mean[at]), "bound": float(bound[at]), "p": float(p[at]),
            "method": "moderated t" if prior[1] else "t", "variance": float(variance[at]), "prior": prior[1],
        }  # fmt: skip
    return found


def _welch(moments: SeedMoments, row: int, base: int, margin: float, level: float) -> dict[str, Any]:
    """Not paired: means and standard deviations alone."""
    pair = [row, base]
    difference = float(moments.mean[row] - moments.mean[base])
    n = int(moments.count[pair].min())
    result = {"n": n, "difference": difference, "bound": -math.inf, "p": 1.0, "method": "welch"}
    variances = moments.std[pair] ** 2 / moments.count[pair]
    if not np.isfinite(variances).all() or variances.sum() == 0:
        return result
    error = math.sqrt(variances.sum())
    freedom = variances.sum() ** 2 / float((variances**2 / (moments.count[pair] - 1)).sum())
    bound = difference - float(special.stdtrit(freedom, level)) * error
    p = float(special.stdtr(freedom, -(difference + margin) / error))
    return {**result, "bound": bound, "p": p}


def _needed(tested: list[dict[str, Any]], margin: float, aim: float) -> list[dict[str, Any]]:
    """The tests with the seeds that would meet their own level."""
    for row in tested:
        variance, prior = row.pop("variance", math.nan), row.pop("prior", 0.0)
        row["needed"] = pairs_needed_moderated(
            row["difference"] + margin, variance, prior_freedom=prior, alpha=row["alpha"], aim=aim
        )
    return tested


def _fallback(tested: list[dict[str, Any]], alpha: float) -> list[dict[str, Any]]:
    """The tests with what each had to meet, whether it did, and which is the narrowest that did."""
    carried = 0.0
    for position, row in enumerate(tested):
        share = 1.0 if len(tested) == 1 else 0.5 if position == 0 else 0.5 / (len(tested) - 1)
        row["alpha"] = carried + share * alpha
        row["holds"] = bool(row["tried"] and row["p"] <= row["alpha"] * (1 + 1e-9))
        carried = row["alpha"] if row["holds"] else 0.0
    held = [row for row in tested if row["holds"]]
    for row in tested:
        row["narrowest"] = bool(held) and row is held[-1]
    return tested
