"""Ablation: what each part of a network is worth, paired over seeds.

    found = ablation(records)        # one row per cell, with a column "factor: NAME" for each factor; the base first
    found.effects                    # one factor at a time: accuracy points against the base
    found.interactions               # of factorial plans: what two changes do together beyond their sum

A plan of one factor at a time has cells that differ from the base in one factor; an effect is a cell minus the base. In
a factorial plan an effect is that of a least-squares model with main effects and two-way interactions, fitted to each
seed by itself, so that there is one value per seed again: a level against the base's, averaged over all levels of the
other factors. What the plan cannot tell apart from other effects is left out and named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import RecordError
from results.fronts import completed
from results.notebook import Drawing, Shown
from results.stats.max_t import max_t, seeds_for_a_claim
from results.stats.moderated import grid_step, rounding_variance
from results.stats.paired import paired
from results.stats.seeds import seed_accuracies, seed_moments
from results.stats.sign_flips import smallest_p

if TYPE_CHECKING:
    pass

__all__ = ["PREFIX", "Ablation", "ablation"]

PREFIX = "factor: "
"""Of the columns that hold the levels of a factor."""

Floats = NDArray[np.float64]
_EFFECT = (
    "n", "points", "points_low", "points_high", "p", "p_adjusted", "superiority", "superiority_low", "superiority_high",
    "wins", "verdict", "needed", "method",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Shown):
    """What the cells of a plan say.

    Attributes:
        design: "one" or "factorial".
        base: the base's level of each factor.
        effects: factor, level, base, accuracy (of the level, a fraction), params and params_change (counts, one at a
            time), n (seeds), points (level - base, accuracy points), points_low, points_high, p (sign-flip), p_adjusted
            (for all comparisons, `results.stats.max_t`), superiority (P(level > base) on one more seed),
            superiority_low, superiority_high, wins (fraction of seeds),
            verdict (better, worse or open), needed (seeds that would settle it), method (of the interval).
        interactions: first, second (factors), levels ("a x b"), and as effects from n on: what the two changes do
            beyond the sum of both.
        left_out: cells without a result, and effects that the plan cannot tell apart, in sentences.
        sentences: what was found, in words.
        level: of the intervals; 1 - level is shared by all comparisons of a table.
    """

    design: str
    base: Mapping[str, str]
    effects: pd.DataFrame
    interactions: pd.DataFrame
    left_out: tuple[str, ...]
    sentences: tuple[str, ...]
    level: float

    def _drawing(self) -> Drawing:
        return Drawing("ablation_figure", (self.effects,), {"level": self.level})

    def _tables(self) -> tuple[pd.DataFrame, ...]:
        return self.effects, self.interactions

    def _said(self) -> tuple[str, ...]:
        return (*self.sentences, *self.left_out)


def ablation(
    records: pd.DataFrame,
    *,
    base: Mapping[str, str] | None = None,
    level: float = 0.95,
    aim: float = 0.8,
    seed: int = 0,
    recipe: Sequence[str] = (),
) -> Ablation:
    """Differences to the base with intervals, corrected p-values, and what would settle what is open.

    Args:
        records: one row per cell of a plan: a column `factor: NAME` for each factor, accuracy, accuracies (a JSON list:
            the same seeds in the same order for all), and params where there are. Incomplete cells are named.
        base: the base's level of each factor; None takes the first row's.
        level: of the intervals.
        aim: power for `needed`.
        seed: of what is drawn at random.
        recipe: sentences on the recipes at which the cells were trained, which are said with what was found.

    Returns:
        The effects.

    Raises:
        RecordError: no factor, no cell that is the base, or accuracies of other seeds.
        ResultsError: the level is not in (0, 1).
    """
    names = [str(name) for name in records.columns if str(name).startswith(PREFIX)]
    if not names or not len(records):
        raise RecordError(f"records of an ablation must have rows, and a column '{PREFIX}NAME' for each factor")
    cells = records.reset_index(drop=True)
    levels = cells[names].astype(str).rename(columns=lambda name: str(name)[len(PREFIX) :])
    own = {str(name): str(value) for name, value in (base or levels.iloc[0].to_dict()).items()}
    if missing := [name for name in levels.columns if name not in own]:
        raise RecordError(f"the base has no level of {', '.join(missing)}")
    done, left_out = _measured(cells, levels, own)
    levels, cells = levels.loc[done.index], done
    changed = (levels != pd.Series(own)[levels.columns]).sum(axis=1).to_numpy()
    values = _values(cells)
    options = {"level": level, "aim": aim, "seed": seed, "step": grid_step(values)}
    if (changed > 1).any():
        effects, interactions, more = _factorial(levels, own, values, options)
        design = "factorial"
    else:
        effects, interactions = (
            _one(cells, levels, own, values, changed, options),
            _table([], ["first", "second", "levels"]),
        )
        design, more = "one", ()
    sentences = (*_sentences(effects, interactions, values.shape[1], level), *recipe)
    return Ablation(design, own, effects, interactions, (*left_out, *more), sentences, level)


def _measured(
    cells: pd.DataFrame, levels: pd.DataFrame, base: Mapping[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The cells with an accuracy, and the others in words."""
    done = completed(cells)
    done = done[done["accuracy"].notna()] if "accuracy" in done.columns else done.iloc[:0]
    lost = cells.index.difference(done.index)
    reasons = cells["error"] if "error" in cells.columns else pd.Series(pd.NA, index=cells.index)
    words = tuple(
        f"{_told(levels.loc[row], base)} has no result" + ("." if pd.isna(reasons[row]) else f": {reasons[row]}.")
        for row in lost
    )
    is_base = (levels == pd.Series(base)[levels.columns]).all(axis=1)
    if not is_base.loc[done.index].any():
        raise RecordError(
            "the base has no result, so there is nothing to compare with" + (f": {words[0]}" if words else "")
        )
    return done, words


def _told(row: pd.Series[Any], base: Mapping[str, str]) -> str:
    """A cell by what is different in it."""
    changed = [f"{name} {value}" for name, value in row.items() if value != base[str(name)]]
    return ", ".join(changed) or "the base"


def _values(cells: pd.DataFrame) -> Floats:
    """Accuracies (cells, seeds); a cell with one mean has one seed."""
    values = seed_accuracies(cells)
    if not values.shape[1] or np.isnan(values).all(axis=1).any():
        counts = seed_moments(cells).count
        if (counts > 1).any():
            raise RecordError("an ablation is paired over seeds: each record must list its accuracies seed by seed")
        return cells["accuracy"].to_numpy(dtype=np.float64)[:, None]
    if np.isnan(values).any():
        raise RecordError("an ablation is paired over seeds: every cell must have an accuracy of every seed")
    return values


def _one(
    cells: pd.DataFrame, levels: pd.DataFrame, base: Mapping[str, str], values: Floats, changed: NDArray[np.int64],
    options: Mapping[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """Each cell against the base."""
    at = int(np.flatnonzero(changed == 0)[0])
    params = cells["params"].to_numpy(dtype=np.float64, na_value=np.nan) if "params" in cells.columns else None
    rows, differences = [], []
    for row in np.flatnonzero(changed == 1):
        name = next(str(name) for name in levels.columns if levels.iloc[row][name] != base[str(name)])
        count = math.nan if params is None else params[row]
        rows.append({
            "factor": name, "level": levels.iloc[row][name], "base": base[name],
            "accuracy": float(values[row].mean()), "params": count,
            "params_change": math.nan if params is None else count - params[at],
        })  # fmt: skip
        differences.append(values[row] - values[at])
    found = _compared(differences, options)
    table = _table([{**row, **more} for row, more in zip(rows, found, strict=True)],
                   ["factor", "level", "base", "accuracy", "params", "params_change"])  # fmt: skip
    return table.astype({"params": "Int64", "params_change": "Int64"})


def _compared(differences: Sequence[Floats], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A family of effects: each from its values seed by seed, p-values corrected over all of them."""
    if not differences:
        return []
    level = float(options["level"])
    rows: list[dict[str, Any]] = []
    for values in differences:
        found = paired(values, np.zeros_like(values), tests=len(differences), **options)
        interval, better = found.difference, found.superiority
        rows.append({
            "n": found.n, "points": 100 * interval.estimate, "points_low": 100 * interval.low,
            "points_high": 100 * interval.high, "p": found.p, "superiority": better.estimate,
            "superiority_low": better.low, "superiority_high": better.high, "wins": found.wins,
            "needed": found.needed, "method": interval.method,
        })  # fmt: skip
    least = rounding_variance(float(options["step"]))
    corrected = max_t(np.array(differences), least_variance=least)
    for row, p in zip(rows, corrected, strict=True):
        settled = p <= (1.0 - level) * (1 + 1e-9)
        row["p_adjusted"] = float(p)
        row["verdict"] = ("better" if row["points"] > 0 else "worse") if settled else "open"
        row["needed"] = pd.NA if settled or row["needed"] is None else row["needed"]
    return rows


def _factorial(
    levels: pd.DataFrame, base: Mapping[str, str], values: Floats, options: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Main effects and two-way interactions, as far as the cells tell them apart."""
    coded = {str(name): _codes(levels[name], base[str(name)]) for name in levels.columns}
    coded = {name: parts for name, parts in coded.items() if parts}
    singles = [(name, other) for name, parts in coded.items() for other in parts]
    pairs = [
        ((a, x), (b, y)) for a, b in itertools.combinations(coded, 2) for x in coded[a] for y in coded[b]
    ]  # fmt: skip
    columns = [np.ones(len(levels)), *(coded[name][other] for name, other in singles)]
    mains = np.column_stack(columns)
    whole = np.column_stack([*columns, *(coded[a][x] * coded[b][y] for (a, x), (b, y) in pairs)])
    clear = [_contrast(singles, one, whole.shape[1]) for one in singles]
    design, notes = (whole, []) if all(_estimable(whole, weights) for weights in clear) else (
        mains, ["The plan has too few cells for interactions: main effects are estimated as if there were no "
        "interactions."])  # fmt: skip
    weights = [_contrast(singles, one, design.shape[1]) for one in singles]
    kept = [at for at, row in enumerate(weights) if _estimable(design, row)]
    notes += [f"{singles[at][0]} {singles[at][1]} cannot be told apart from other effects in these cells."
              for at in range(len(singles)) if at not in kept]  # fmt: skip
    inverse = np.linalg.pinv(design)
    found = _compared([weights[at] @ inverse @ values for at in kept], options)
    rows = [
        {"factor": singles[at][0], "level": singles[at][1], "base": base[singles[at][0]],
         "accuracy": float(values[(levels[singles[at][0]] == singles[at][1]).to_numpy()].mean()), **more}
        for at, more in zip(kept, found, strict=True)
    ]  # fmt: skip
    both = _interactions(singles, pairs, whole, values, options) if design is whole else ([], [])
    if both[1]:
        notes.append(f"Mixed up with one another in these cells, so not shown: {'; '.join(both[1])}.")
    return (
        _table(rows, ["factor", "level", "base", "accuracy"]),
        _table(both[0], ["first", "second", "levels"]),
        tuple(notes),
    )


def _interactions(
    singles: list[tuple[str, str]],
    pairs: list[tuple[tuple[str, str], tuple[str, str]]],
    design: Floats,
    values: Floats,
    options: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the interactions that can be told apart, and names of the others."""
    weights = [_pair_contrast(singles, pairs, pair, design.shape[1]) for pair in pairs]
    kept = [at for at, row in enumerate(weights) if _estimable(design, row)]
    inverse = np.linalg.pinv(design)
    found = _compared([weights[at] @ inverse @ values for at in kept], options)
    rows = []
    for at, more in zip(kept, found, strict=True):
        (a, x), (b, y) = pairs[at]
        rows.append({"first": a, "second": b, "levels": f"{x} x {y}", **more})
    return rows, [f"{a} {x} x {b} {y}" for at, ((a, x), (b, y)) in enumerate(pairs) if at not in kept]


def _codes(column: pd.Series[Any], base: str) -> dict[str, Floats]:
    """Sum-to-zero columns of a factor's other levels: 1 at the level, -1 at the base's, 0 elsewhere."""
    texts = column.to_numpy(dtype=object)
    others = [text for text in dict.fromkeys(texts) if text != base]
    return {text: np.where(texts == text, 1.0, np.where(texts == base, -1.0, 0.0)) for text in others}


def _contrast(singles: list[tuple[str, str]], one: tuple[str, str], size: int) -> Floats:
    """Weights of the coefficients (constant first) that make a level minus the base's.

    In the sum-to-zero coding the base's level has minus the sum of the others' coefficients.
    """
    weights = np.zeros(size)
    for at, (name, other) in enumerate(singles):
        if name == one[0]:
            weights[1 + at] = 2.0 if other == one[1] else 1.0
    return weights


def _pair_contrast(
    singles: list[tuple[str, str]], pairs: list[tuple[tuple[str, str], tuple[str, str]]],
    pair: tuple[tuple[str, str], tuple[str, str]], size: int,
) -> Floats:  # fmt: skip
    """Weights that make the difference of differences of two levels to their bases."""
    weights = np.zeros(size)
    for at, (first, second) in enumerate(pairs):
        if (first[0], second[0]) == (pair[0][0], pair[1][0]):
            factor = (2.0 if first == pair[0] else 1.0) * (2.0 if second == pair[1] else 1.0)
            weights[1 + len(singles) + at] = factor
    return weights


def _estimable(design: Floats, weights: Floats) -> bool:
    """Whether the cells determine a combination of coefficients: it lies in the row space."""
    residual = weights - weights @ np.linalg.pinv(design) @ design
    return bool(np.abs(residual).max(initial=0.0) < 1e-8)


def _table(rows: list[dict[str, Any]], first: list[str]) -> pd.DataFrame:
    """Rows in the order of the columns, also for none."""
    frame = pd.DataFrame(rows, columns=[*first, *_EFFECT])
    return frame.astype({"n": "Int64", "needed": "Int64"})


def _sentences(effects: pd.DataFrame, interactions: pd.DataFrame, seeds: int, level: float) -> list[str]:
    """What is settled, what is open, and what it would take."""
    if not len(effects):
        return ["No cell but the base has a result."]
    found = []
    for row in effects[effects["verdict"] != "open"].to_dict("records"):
        found.append(
            f"{row['factor']} {row['level']} instead of {row['base']}: {row['points']:+.2f} points "
            f"[{row['points_low']:+.2f}, {row['points_high']:+.2f}], adjusted p = {row['p_adjusted']:.2g}, "
            f"P({row['level']} > {row['base']}) = {row['superiority']:.2f} "
            f"[{row['superiority_low']:.2f}, {row['superiority_high']:.2f}], n = {row['n']} seeds."
        )
    for row in interactions[interactions["verdict"] != "open"].to_dict("records"):
        found.append(
            f"{row['first']} and {row['second']} ({row['levels']}) together: {row['points']:+.2f} beyond their sum, "
            f"adjusted p = {row['p_adjusted']:.2g}."
        )
    open_rows = effects[effects["verdict"] == "open"]
    if len(open_rows):
        found.append(_open_sentence(open_rows, seeds, level))
    return found


def _open_sentence(rows: pd.DataFrame, seeds: int, level: float) -> str:
    """What is not settled, whether it could have been, and with how many seeds."""
    names = ", ".join(f"{row['factor']} {row['level']}" for row in rows.to_dict("records"))
    text = f"Not settled: {names}."
    if smallest_p(seeds) > (1.0 - level) * (1 + 1e-9):
        text += (
            f" {seeds} seeds cannot reach a p-value below {smallest_p(seeds):.2g}; a claim takes "
            f"{seeds_for_a_claim(level)} at least."
        )
    known = rows[rows["needed"].notna()]
    if len(known):
        each = ", ".join(f"{row['factor']} {row['level']} {row['needed']:,}" for row in known.to_dict("records"))
        text += f" Seeds that would settle them if the differences seen are real: {each}."
    return text
