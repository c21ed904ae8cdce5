"""A front confirmed: what its members reach from fresh seeds, on images that nothing has read before.

A search picks the best of many noisy readings, so what it reports of its front is too good. Here each member stands
beside itself, trained again: the fall from the searched to the new validation accuracy is selection's optimism, the
rest is the difference between two splits.

The members stay those that the search chose: to take the best of them by their test accuracies would be to choose by
noise once more. Measured anew some of them are beaten by others, so two fronts are told (Feurer et al., "Mind the Gap",
arXiv 2212.04183): the members that no other member beats, which is too good, and those that beat no other member.
An interval holds what seeds and what the sample of test images leave open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from results.errors import RecordError, RunUnreadable
from results.fronts import COMPLETED, DEFAULT_OBJECTIVES, Objectives, is_non_dominated, minimised
from results.indicators import hypervolume_of, observed_bounds
from results.names import SCORES
from results.stats.moderated import grid_step
from results.stats.sampled import sampled_interval

__all__ = ["Confirmation", "confirmation", "read_confirmation"]

FRONT, REFERENCE = "front", "reference"
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "number": "the trial in the search, missing where the search has none of this candidate",
        "confirmed_as": "the trial that trained it again, in the folder confirm",
        "role": "front or reference",
        "state": "of the trial that trained it again",
        "searched": "validation accuracy as recorded by the search, a fraction",
        "searched_std": "its standard deviation over the search's seeds",
        "accuracy": "validation accuracy from new seeds, mean, a fraction",
        "accuracy_std": "standard deviation over them",
        "test_accuracy": "accuracy on the test split, mean over the new seeds, a fraction",
        "test_accuracy_std": "standard deviation over them",
        "test_low": "lower end of the 95 % interval of that mean, over seeds and samples of test images",
        "test_high": "upper end",
        "test_seeds_error": "standard error of that mean over seeds",
        "test_sample_error": "standard error by the sample of test images, sqrt(p (1 - p) / images)",
        "test_accuracies": "each seed's, JSON",
        "optimism": "searched - accuracy: the decrease with new seeds, a fraction",
        "seeds": "fresh seeds",
        "on_front": "whether no other confirmed candidate beats it, on the test split; nothing is chosen by it",
    }
)
"""Columns of confirmed.csv; the candidate's own columns, params and macs follow."""

_MEASURED = frozenset(
    {"wall_s", "device", "error", "started_at", "epochs", "accuracies", "replicas", "peak_memory", "start_accuracy",
     *SCORES}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Confirmation:
    """What came of confirming a front.

    Attributes:
        rows: one row per candidate, columns as in `COLUMNS`, in order of the first cost objective.
        objectives: of the search.
        hypervolumes: of the front's members, the same ones each time, on the fixed scale of `results.hypervolume_of`:
            "searched" (validation, as the search has it), "validation" (from fresh seeds), "test" (of those that no
            other member beats there) and "test_pessimistic" (of those that beat no other member there).
        complete: whether every candidate has been trained again, if only to fail.
    """

    rows: pd.DataFrame
    objectives: Objectives
    hypervolumes: Mapping[str, float]
    complete: bool = True

    def front(self) -> pd.DataFrame:
        """The confirmed front: the members that the search chose, with what they reach on the test split."""
        return self.members()

    def members(self, kept: str = "all") -> pd.DataFrame:
        """The front's members that were trained again to their end, in order of the first cost.

        Args:
            kept: "all"; "optimistic": those that no other member beats on the test split; "pessimistic": those that
                beat no other member there.
        """
        rows = self.rows[(self.rows["role"] == FRONT) & (self.rows["state"] == COMPLETED)].reset_index(drop=True)
        if kept == "all" or rows.empty:
            return rows
        values = minimised(rows.assign(accuracy=rows["test_accuracy"]), self.objectives)
        return rows[is_non_dominated(values if kept == "optimistic" else -values)].reset_index(drop=True)

    def sentences(self) -> tuple[str, ...]:
        """What is to be said of it in words."""
        return _sentences(self)

    def table(self) -> Table:
        """For the terminal."""
        return _table(self)


def confirmation(
    searched: pd.DataFrame, confirmed: pd.DataFrame, *, objectives: Objectives = DEFAULT_OBJECTIVES,
    images: int | None = None,
) -> Confirmation:  # fmt: skip
    """Set a search's front beside the same candidates trained again.

    Args:
        searched: the search's front and, after it, records of references; "role" says which, and "candidate" is a text
            that is the same for the same candidate.
        confirmed: records of the trainings from fresh seeds, with "candidate" and test_accuracy.
        objectives: of the search; accuracy is one of them.
        images: in the test split; None finds it from the accuracies, which are counts of images.

    Returns:
        A row for each candidate that was trained again to an end.

    Raises:
        RecordError: a column is missing.
    """
    for frame, needed in ((searched, ("candidate", "role", "number")), (confirmed, ("candidate", "test_accuracy"))):
        if missing := [name for name in needed if name not in frame.columns]:
            raise RecordError(f"confirming needs the columns {', '.join(missing)}, which the records lack")
    before = {row["candidate"]: row for row in reversed(searched.to_dict("records"))}
    ended = confirmed[confirmed["candidate"].isin(list(before))]
    step = 1.0 / images if images else grid_step([value for text in confirmed.get("test_accuracies", ())
                                                  for value in _numbers(text)])  # fmt: skip
    rows = [_row(before[row["candidate"]], row, step) for row in ended.to_dict("records")]
    frame = pd.DataFrame(rows, columns=None if rows else list(dict.fromkeys([*COLUMNS, *objectives])))
    return _finished(frame, objectives, complete=len(rows) == len(before))


def _row(before: Mapping[Any, Any], again: Mapping[Any, Any], step: float) -> dict[str, Any]:
    """One candidate, before and after; `step` is the fraction that one test image is of all."""
    values = _numbers(again.get("test_accuracies"))
    interval = sampled_interval(values, step=step) if len(values) > 1 else None
    searched, accuracy = before.get("accuracy"), again.get("accuracy")
    optimism = searched - accuracy if isinstance(searched, float) and isinstance(accuracy, float) else None
    first = {
        "number": before["number"],
        "confirmed_as": again["number"],
        "role": before["role"],
        "state": again["state"],
        "searched": searched,
        "searched_std": before.get("accuracy_std"),
        "accuracy": accuracy,
        "accuracy_std": again.get("accuracy_std"),
        "test_accuracy": again.get("test_accuracy"),
        "test_accuracy_std": again.get("test_accuracy_std"),
        "test_low": max(0.0, interval.low) if interval else None,
        "test_high": min(1.0, interval.high) if interval else None,
        "test_seeds_error": interval.seeds_error if interval else None,
        "test_sample_error": interval.sample_error if interval and step else None,
        "test_accuracies": json.dumps(values) if values else None,
        "optimism": optimism,
        "seeds": again.get("seeds"),
        "on_front": False,
    }
    rest = {name: value for name, value in again.items() if name not in first and name not in _MEASURED}
    return {name: None if _absent(value) else value for name, value in {**first, **rest}.items()}


def _finished(frame: pd.DataFrame, objectives: Objectives, *, complete: bool = True) -> Confirmation:
    """With the front among the rows, in order of cost, and the three hypervolumes."""
    done = frame["state"] == COMPLETED
    on_test = frame.assign(accuracy=frame["test_accuracy"])
    frame["on_front"] = is_non_dominated(minimised(on_test, objectives)) & done.to_numpy(dtype=bool)
    costs = [name for name in objectives if name != "accuracy"]
    frame = frame.sort_values([*costs, "test_accuracy"], kind="stable", ignore_index=True)
    members = frame[(frame["role"] == FRONT) & (frame["state"] == COMPLETED)]
    readings = {"searched": "searched", "validation": "accuracy", "test": "test_accuracy"}
    frames = {name: members.assign(accuracy=members[column]) for name, column in readings.items()}
    bounds = observed_bounds(members, objectives=objectives)
    volumes = {name: hypervolume_of(each, objectives=objectives, bounds=bounds) for name, each in frames.items()}
    found = Confirmation(frame, objectives, {}, complete)
    worst = found.members("pessimistic").assign(accuracy=lambda rows: rows["test_accuracy"])
    volumes["test_pessimistic"] = hypervolume_of(worst, objectives=objectives, bounds=bounds)
    return Confirmation(frame, objectives, volumes, complete)


def read_confirmation(path: str | Path, *, objectives: Objectives = DEFAULT_OBJECTIVES) -> Confirmation:
    """What `confirmed.csv` has.

    Raises:
        RunUnreadable: the file cannot be read, or is something else.
    """
    try:
        frame = pd.read_csv(path, dtype={"widths": "string", "candidate": "string", "test_accuracies": "string"})
    except (OSError, ValueError) as error:
        raise RunUnreadable(f"{path} is not a whole CSV file: {' '.join(str(error).split())}") from None
    for name in ("test_seeds_error", "test_sample_error"):  # files that an older version wrote lack them
        if "test_low" in frame.columns and name not in frame.columns:
            frame[name] = np.nan
    needed = [*COLUMNS, *(name for name in objectives if name not in COLUMNS)]
    if missing := [name for name in needed if name not in frame.columns]:
        raise RunUnreadable(f"{path} lacks the columns {', '.join(missing)}; `leni-search confirm` writes it")
    try:
        return _finished(frame, objectives)
    except (TypeError, ValueError) as error:
        raise RunUnreadable(f"{path} has a column of another type: {' '.join(str(error).split())}") from None


def _sentences(found: Confirmation) -> tuple[str, ...]:
    rows, volumes = found.rows, found.hypervolumes
    done = rows[rows["state"] == COMPLETED]
    members = done[done["role"] == FRONT]
    lost = len(rows) - len(done)
    sentences = []
    if lost:
        sentences.append(f"{lost} of {len(rows)} candidates failed when they were trained again.")
    if members.empty:
        return (*sentences, "No member of the front has been trained again to its end.")
    seeds = int(members["seeds"].min())
    kept = int((members["on_front"]).sum())
    sentences.append(
        f"{kept} of the front's {len(members)} members are beaten by no other confirmed candidate on the test split, "
        f"with {seeds} fresh seeds; the members stay those that the search chose."
    )
    optimism = 100 * members["optimism"].astype(float)
    sentences.append(
        f"From fresh seeds the members' validation accuracy is {_points(-float(optimism.mean()))} on average "
        f"against what the search has of them (at worst {_points(-float(optimism.max()))}): the optimism of choosing."
    )
    sentences.append(
        f"Hypervolume of the members: {volumes['searched']:.4f} as searched (validation), "
        f"{volumes['validation']:.4f} from fresh seeds (validation), {volumes['test']:.4f} on the test split by the "
        f"members that no other beats there, {volumes['test_pessimistic']:.4f} by those that beat no other."
    )
    errors = members[["test_seeds_error", "test_sample_error"]].astype(float)
    if errors.notna().all(axis=None):
        seeds_part, sample_part = 100 * errors.mean()
        sentences.append(
            f"Standard errors of the members' test accuracies are {seeds_part:.2f} points by seeds and "
            f"{sample_part:.2f} by the sample of test images, on average; intervals hold both."
        )
    return tuple(sentences)


def _points(value: float) -> str:
    """A difference in accuracy points, with its sign."""
    return f"{round(value, 2) + 0.0:+.2f} points"


def _table(found: Confirmation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    costs = [name for name in found.objectives if name != "accuracy"]
    right = ("trial", "searched", "validation", "test", "95 % interval", *costs)
    told = [name for name in ("activation", "placement", "widths") if name in found.rows.columns]
    names = ("trial", *costs, "searched", "validation", "test", "95 % interval", "front", *told)
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name in right, overflow="fold")
    for row in found.rows.to_dict("records"):
        before = "searched" if row["role"] == FRONT else ""
        after = "beaten by none" if row["on_front"] else ""
        ends = "" if _absent(row["test_low"]) else f"{row['test_low']:.4f} to {row['test_high']:.4f}"
        table.add_row(
            "" if _absent(row["number"]) else f"{int(row['number'])}",
            *(f"{row[name]:,.0f}" if name in ("params", "macs") else f"{row[name]:.4g}" for name in costs),
            *(_share(row[name], row[f"{name}_std"]) for name in ("searched", "accuracy", "test_accuracy")),
            ends,
            ", ".join(filter(None, (before, after))) or row["role"],
            *("" if _absent(row[name]) else str(row[name]) for name in told),
        )
    return table


def _share(value: Any, spread: Any) -> str:
    if _absent(value):
        return "-"
    return f"{value:.4f}" + ("" if _absent(spread) or not spread else f" ± {spread:.4f}")


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and bool(np.isnan(value)))


def _numbers(text: Any) -> list[float]:
    """The numbers of a JSON list; none where there is none."""
    return [] if _absent(text) else [float(value) for value in json.loads(text)]
