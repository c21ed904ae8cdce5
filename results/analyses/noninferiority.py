"""The narrowest network that is not inferior: claims candidate by candidate, paired over seeds.

At most one in twenty families of tests (the candidates of an activation and backbone) has a false claim: the fallback
procedure (Wiens, Pharmaceutical Statistics 2, 2003) goes from the most parameters to the fewest, gives half of the
level to the first candidate, an equal part of the rest to each other one, and hands on what one that passed had.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from results.errors import RecordError
from results.fronts import completed, minimised
from results.stats.paired import non_inferiority
from results.stats.seeds import SeedMoments, seed_accuracies, seed_moments

__all__ = ["narrowest", "usable"]

Floats = NDArray[np.float64]


def narrowest(
    records: pd.DataFrame,
    *,
    reference: str = "relu",
    margin: float = 0.002,
    level: float = 0.95,
    aim: float = 0.8,
) -> pd.DataFrame:
    """Which networks of fewer parameters are not inferior to the reference at full width, and what they save.

    The reference at full width is the best of those with the most parameters: chosen by its accuracy it is flattered,
    so that the claim is made harder.

    Args:
        records: as in `results.compensation.compensation`, of one backbone or several.
        reference: the activation compared with.
        margin: what may be lost, a share.
        level: 1 - level is shared by all candidates of an activation and backbone.
        aim: power for needed.

    Returns:
        backbone, activation, placement, widths, number, params, accuracy, n (seeds), difference, bound (one-sided),
        p, alpha (what it had to meet), holds, narrowest (of its activation), saved (parameters), saved_share, needed
        (seeds that would settle it at the whole level), method ("welch" where seeds cannot be paired); from the most
        parameters to the fewest within an activation.

    Raises:
        RecordError: a column is missing or cannot be read.
        ResultsError: margin or level cannot be.
    """
    done = usable(records)
    values, moments = seed_accuracies(done), seed_moments(done)
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
            tested = [_tested(done, int(row), base, values, moments, margin, level, aim) for row in order]
            rows += _fallback(tested, 1.0 - level)
    columns = [
        "backbone", "activation", "placement", "widths", "number", "params", "accuracy", "n", "difference", "bound",
        "p", "alpha", "holds", "narrowest", "saved", "saved_share", "needed", "method",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"needed": "Int64", "number": "Int64", "params": "Int64", "saved": "Int64", "n": "Int64"})


def usable(records: pd.DataFrame) -> pd.DataFrame:
    """Completed records with parameters, an accuracy and an activation, under a fresh index."""
    for name in ("activation", "params", "accuracy"):
        if name not in records.columns:
            raise RecordError(f"records must have a column {name}, they have {', '.join(map(str, records.columns))}")
    done = completed(records)
    numbers = minimised(done, {"params": "minimize", "accuracy": "minimize"})
    kept = np.isfinite(numbers).all(axis=1) & (numbers[:, 0] > 0) & done["activation"].notna().to_numpy(dtype=bool)
    done = done[kept].reset_index(drop=True)
    for name, word in (("backbone", ""), ("placement", "all"), ("widths", ""), ("number", pd.NA)):
        done[name] = done[name].astype(object).where(done[name].notna(), word) if name in done.columns else word
    return done.astype({"activation": str})


def _full_width(part: pd.DataFrame, means: Floats, reference: str) -> int | None:
    """Position of the best among the reference's candidates with the most parameters."""
    own = np.flatnonzero((part["activation"] == reference).to_numpy(dtype=bool))
    if not len(own):
        return None
    params = part["params"].to_numpy(dtype=np.float64)
    widest = own[params[own] == params[own].max()]
    return int(widest[np.argmax(means[widest])])


def _tested(
    done: pd.DataFrame, row: int, base: int, values: Floats, moments: SeedMoments, margin: float, level: float,
    aim: float,
) -> dict[str, Any]:  # fmt: skip
    """One candidate against the reference."""
    differences = values[row] - values[base] if values.size else np.full(1, np.nan)
    differences = differences[np.isfinite(differences)]
    if len(differences) > 1:
        claim = non_inferiority(differences, margin=margin, level=level, aim=aim)
        test = {"n": claim.n, "difference": claim.difference, "bound": claim.bound, "p": claim.p,
                "needed": claim.needed, "method": claim.method}  # fmt: skip
    else:
        test = _welch(moments, row, base, margin, level)
    record, saved = done.iloc[row], int(done["params"].iloc[base]) - int(done["params"].iloc[row])
    names = ("backbone", "activation", "placement", "widths", "number", "params")
    return {**{name: record[name] for name in names}, "accuracy": float(moments.mean[row]), **test, "saved": saved,
            "saved_share": saved / int(done["params"].iloc[base])}  # fmt: skip


def _welch(moments: SeedMoments, row: int, base: int, margin: float, level: float) -> dict[str, Any]:
    """Not paired: means and deviations alone."""
    pair = [row, base]
    difference = float(moments.mean[row] - moments.mean[base])
    n = int(moments.count[pair].min())
    result = {"n": n, "difference": difference, "bound": -math.inf, "p": 1.0, "needed": pd.NA, "method": "welch"}
    variances = moments.std[pair] ** 2 / moments.count[pair]
    if not np.isfinite(variances).all() or variances.sum() == 0:
        return result
    error = math.sqrt(variances.sum())
    freedom = variances.sum() ** 2 / float((variances**2 / (moments.count[pair] - 1)).sum())
    bound = difference - float(stats.t.ppf(level, freedom)) * error
    p = float(stats.t.sf((difference + margin) / error, freedom))
    return {**result, "bound": bound, "p": p}


def _fallback(tested: list[dict[str, Any]], alpha: float) -> list[dict[str, Any]]:
    """The tests with what each had to meet, whether it did, and which is the narrowest that did."""
    carried = 0.0
    for position, row in enumerate(tested):
        share = 1.0 if len(tested) == 1 else 0.5 if position == 0 else 0.5 / (len(tested) - 1)
        row["alpha"] = carried + share * alpha
        row["holds"] = bool(row["p"] <= row["alpha"] * (1 + 1e-9))
        carried = row["alpha"] if row["holds"] else 0.0
    held = [row for row in tested if row["holds"]]
    for row in tested:
        row["narrowest"] = bool(held) and row is held[-1]
    return tested
