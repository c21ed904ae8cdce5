"""Which dimension of the space moves what: Optuna's importance evaluators on records, one objective at a time.

    importance(run.trials, objectives=run.objectives, parameters=run.dimensions).frame

A dimension is a column of the records that differs between trials and was chosen before training. One that exists only
under a condition (LENI's options) has the value "-" elsewhere. The share is fANOVA's: of the variance that a random
forest over all dimensions explains, the part that one dimension explains alone.

Source: Hutter, Hoos, Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance" (ICML 2014), as
`optuna.importance.FanovaImportanceEvaluator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator

from results.errors import RecordError
from results.fronts import DEFAULT_OBJECTIVES, Objectives, completed, minimised
from results.indicators import observed_bounds, unit_values
from results.notebook import Drawing, Shown
from results.searched_columns import differs, dimensions
from results.user_view import shown_names

if TYPE_CHECKING:
    pass

__all__ = ["Importance", "importance"]

FEW = 4  # completed trials that a dimension needs each, at least, for a share that means something
LEAST = 4  # completed trials in all, below which nothing is computed
TOGETHER = 0.1  # fraction explained by interactions from which a sentence says so
ABSENT = "-"
HYPERVOLUME = "hypervolume"


@dataclass(frozen=True, eq=False)
class Importance(Shown):
    """Shares, and what to think of them.

    Attributes:
        frame: objective (and "hypervolume", what a trial dominates by itself), dimension, share (0..1; what those of
            one objective lack of 1 is what dimensions explain together), trials; sorted by objective, then share.
        sentences: what moves each objective most, and whether there were enough trials to tell.
    """

    frame: pd.DataFrame
    sentences: tuple[str, ...]

    def _drawing(self) -> Drawing:
        return Drawing("importance_figure", (self.frame,))

    def _tables(self) -> tuple[pd.DataFrame, ...]:
        return (self.frame,)


def importance(
    records: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES, parameters: Sequence[str] | None = None,
    seed: int = 0,
) -> Importance:  # fmt: skip
    """How much of each objective's variance each dimension explains.

    Args:
        records: one row per trial; completed ones count.
        objectives: column -> direction.
        parameters: columns that are dimensions, as `Run.dimensions` has them; None for what the columns look like.
        seed: of the random forest.

    Returns:
        Shares, and sentences; no shares where there are fewer than four completed trials or nothing differs.

    Raises:
        RecordError: a column of `parameters` is not there.
        ObjectiveError: an objective is missing or not numeric.
    """
    done = completed(records).reset_index(drop=True)
    names = dimensions(done, objectives=objectives) if parameters is None else _given(done, parameters)
    values = minimised(done, objectives) if len(done) else np.empty((0, len(objectives)))
    usable: np.ndarray = np.flatnonzero(np.isfinite(values).all(axis=1))
    done, values = done.iloc[usable].reset_index(drop=True), values[usable]
    names = [name for name in names if differs(done[name])]
    if len(done) < LEAST or not names:
        why = f"{len(done)} completed trials" if len(done) < LEAST else "no dimension that differs between them"
        return Importance(_frame([]), (f"There is nothing to tell of what moves the objectives: {why}.",))
    targets = dict(zip(objectives, values.T, strict=True))
    if len(objectives) > 1:
        targets[HYPERVOLUME] = _dominated(done, objectives)
    rows, told = [], shown_names([*targets, *names])
    for objective, target in targets.items():
        for name, share in _shares(done, names, target, seed).items():
            rows.append({"objective": told[objective], "dimension": told[name], "share": share, "trials": len(done)})
    frame = _frame(rows)
    return Importance(frame, _sentences(frame, len(done), len(names)))


def _given(done: pd.DataFrame, parameters: Sequence[str]) -> list[str]:
    if missing := [name for name in parameters if name not in done.columns]:
        raise RecordError(f"there is no column {missing[0]!r} in the records, which have {', '.join(done.columns)}")
    return list(parameters)


def _told(column: pd.Series[Any]) -> pd.Series[Any]:
    """A dimension's values, "-" where it does not exist."""
    return column.astype(object).where(column.notna(), ABSENT)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["objective", "dimension", "share", "trials"])
    order = {name: place for place, name in enumerate(dict.fromkeys(frame["objective"]))}
    return frame.sort_values(
        ["objective", "share"], key=lambda column: column.map(order) if column.name == "objective" else -column,
        kind="stable", ignore_index=True,
    )  # fmt: skip


def _dominated(done: pd.DataFrame, objectives: Objectives) -> np.ndarray:
    """The hypervolume that each trial dominates by itself: a part of the front's would be zero for equal trials."""
    points = unit_values(done, objectives=objectives, bounds=observed_bounds(done, objectives=objectives))
    return np.asarray(np.prod(1.0 - points, axis=1))


def _shares(done: pd.DataFrame, names: list[str], target: np.ndarray, seed: int) -> dict[str, float]:
    """fANOVA's shares of one target, of each dimension alone; zeros where the target does not move."""
    if np.ptp(target) == 0:
        return dict.fromkeys(names, 0.0)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it says a line for the study
    study = optuna.create_study()
    optuna.logging.set_verbosity(verbosity)
    columns = {name: _column(done[name]) for name in names}
    for index, value in enumerate(target):
        study.add_trial(
            optuna.trial.create_trial(
                params={name: column[0][index] for name, column in columns.items()},
                distributions={name: column[1] for name, column in columns.items()},
                value=float(value),
            )
        )
    found = FanovaImportanceEvaluator(seed=seed).evaluate(study, params=names)
    return {name: float(found.get(name, 0.0)) for name in names}


def _column(column: pd.Series[Any]) -> tuple[list[Any], BaseDistribution]:
    """A dimension's values and their distribution: numbers where all are, else choices."""
    told = _told(column)
    if pd.api.types.is_numeric_dtype(column) and column.notna().all() and not pd.api.types.is_bool_dtype(column):
        numbers = [float(value) for value in column]
        return numbers, FloatDistribution(min(numbers), max(numbers))
    texts = [str(value) for value in told]
    return texts, CategoricalDistribution(sorted(set(texts)))


def _sentences(frame: pd.DataFrame, trials: int, dimensions: int) -> tuple[str, ...]:
    texts = []
    for objective, rows in frame.groupby("objective", sort=False):
        share, dimension = float(rows["share"].iloc[0]), str(rows["dimension"].iloc[0])
        most = f"{str(objective).capitalize()} is moved most by {dimension} ({share:.0%})."
        texts.append(most if share > 0 else f"No dimension alone moved {objective}.")
        together = 1.0 - float(rows["share"].sum())
        if share > 0 and together >= TOGETHER:
            texts.append(f"{together:.0%} of what moves {objective} is dimensions together, not one alone.")
    if trials < FEW * dimensions:
        texts.append(
            f"{trials} completed trials over {dimensions} dimensions are too few to trust an order; "
            f"{FEW * dimensions} or more would be better."
        )
    return tuple(texts)
