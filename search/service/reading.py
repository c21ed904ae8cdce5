"""What a search's folder says, read once a change: records and front as JSON, figures, counts of trials.

The run writes its records every five seconds or so and as a whole; how many trials are in which state is asked of its
study, which is always up to date. Nothing here writes, waits for a run, or holds it up.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import results
from results.errors import ResultsError
from results.fronts import completed
from results.indicators import observed_bounds
from results.text import readable
from results.user_view import is_evaluators, shown_names, user_columns, user_view
from search.service.home import Home
from search.store.sqlite import read_only
from search.store.trials import STATES

__all__ = ["Reading", "Readings", "candidate_of", "count_trials"]

NAMES: Mapping[str, str] = {**{state.name: name for state, name in STATES.items()}, "RUNNING": "running"}
KEPT = 16  # readings in memory; 5,000 trials take some 20 MB
SIGNATURE = ("trials", "curves", "environment")


class Reading:
    """A run as its folder says it is, at one moment.

    Args:
        run: as `results.load` reads it.
        version: of its files; another one after each change.
    """

    def __init__(self, run: results.Run, version: str) -> None:
        self.run, self.version = run, version
        self._lock = threading.RLock()
        self._studies = threading.Lock()

    @cached_property
    def rows(self) -> list[str]:
        """A JSON object for each trial, in order of number; of an evaluator's run without columns that are empty."""
        trials = self.run.trials.drop(columns="traceback", errors="ignore")
        if is_evaluators(trials):
            first = ["number", "state", *user_columns(trials, self.run.objectives)]
            rest = [
                name for name in trials.columns if name not in (*first, "candidate") and not trials[name].isna().all()
            ]
            trials = trials[[*first, *rest]]
        return _rows(trials)

    def traceback(self, number: int) -> str:
        """Where a trial failed; "" where it did not, or by no exception."""
        trials = self.run.trials
        if "traceback" not in trials.columns:
            return ""
        found = trials["traceback"].iloc[self.get("positions")[number]]
        return "" if pd.isna(found) else readable(str(found))

    @cached_property
    def states(self) -> list[str]:
        """The state of each trial, in order of number."""
        return self.run.trials["state"].tolist()

    @cached_property
    def positions(self) -> dict[int, int]:
        """Where a trial's row is, by its number."""
        return {int(number): position for position, number in enumerate(self.run.trials["number"])}

    @cached_property
    def front(self) -> str:
        """The front as a JSON array; of an evaluator's run under the user's own names, with nothing empty."""
        return f"[{','.join(_rows(user_view(self.run.front_records(), objectives=self.run.objectives)))}]"

    @cached_property
    def objectives(self) -> dict[str, str]:
        """Directions by the name that the front has."""
        names = shown_names(self.run.objectives) if is_evaluators(self.run.trials) else {}
        return {names.get(name, name): direction for name, direction in self.run.objectives.items()}

    @cached_property
    def epochs(self) -> dict[int, list[int]]:
        """Where a trial's epochs are among the curves, by its number."""
        found: dict[int, list[int]] = {}
        for row, number in enumerate(self.run.curves["number"].tolist()):
            found.setdefault(number, []).append(row)
        return found

    def curve(self, number: int) -> str:
        """A trial's epochs as a JSON array; made when it is asked for, as there are hundreds of thousands of them."""
        rows = self.get("epochs").get(number)
        return "[]" if rows is None else results.to_json(self.run.curves.iloc[rows])

    @cached_property
    def hypervolume(self) -> str:
        """Hypervolume after each trial, as a JSON object: by_trials, in order of number, and by_hours, of ending."""
        objectives = self.run.objectives
        bounds = observed_bounds(self.run.trials, objectives=objectives)
        by_number = results.hypervolume_curve(self.run.trials, objectives=objectives, bounds=bounds)
        done, hours = _in_order_of_end(self.run.trials)
        in_time = results.hypervolume_curve(done, objectives=objectives, bounds=bounds)
        in_time["hours"] = np.round(hours, 6)
        return json.dumps(
            {
                "by_trials": _corners(by_number[["completed", "number", "hypervolume"]]),
                "by_hours": _corners(in_time[["completed", "hours", "hypervolume"]]),
            }
        )

    @cached_property
    def figure(self) -> str:
        """The front's figure as a Vega-Lite document, with a box to draw on it (a parameter called brush)."""
        from altair import Undefined

        drawn = results.front_figure(self.run.trials, objectives=self.run.objectives)
        points, drawn.datasets = drawn.datasets, Undefined  # Altair would copy each of them several times
        chart = {**drawn.to_dict(validate=False), "datasets": points}
        axes = _axes(self.run.objectives)
        for layer in reversed(chart.get("layer", ())):
            if layer.get("mark", {}).get("type") == "point":
                layer["params"] = [{"name": "brush", "select": {"type": "interval", "encodings": ["x", "y"]}}]
                break
        chart["usermeta"] = {"x": axes[0], "y": axes[1]}
        return json.dumps(chart)

    @cached_property
    def compensation(self) -> str:
        """The channel compensation as a JSON object: sentences, ratios, gains, claims, figure."""
        from results.analyses.compensation import compensation

        found = compensation(self.run.trials)
        drawable = len(found.curves) > 0  # with too few trials for one curve there are sentences alone
        return _study(found, drawable, ratios=found.ratios, gains=found.gains, claims=found.claims)

    @cached_property
    def importance(self) -> str:
        """What moves the objectives, as a JSON object: sentences, shares, figure."""
        from results.analyses.importance import importance

        found = importance(self.run.trials, objectives=self.run.objectives, parameters=self.run.dimensions)
        return _study(found, len(found.frame) > 0, shares=found.frame)

    @cached_property
    def report(self) -> str:
        """The report, as one HTML page."""
        from results.report.page import report

        return report(self.run.folder)

    def study(self, name: str) -> str | None:
        """One of the three above, which may take seconds; None while another one is being made."""
        if name in vars(self):
            return str(vars(self)[name])
        if not self._studies.acquire(blocking=False):
            return None
        try:
            return str(getattr(self, name))
        finally:
            self._studies.release()

    def get(self, name: str) -> Any:
        """One of the other properties, computed once however many ask at the same time."""
        with self._lock:
            return getattr(self, name)


class Readings:
    """Readings of all searches; each as fresh as its files.

    Args:
        home: a search's folder by its id.
    """

    def __init__(self, home: Callable[[str], Home]) -> None:
        self.home = home
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def version(self, search_id: str) -> str:
        """Version of the records; "" where there are none yet."""
        return _signature(self.home(search_id))

    def get(self, search_id: str) -> Reading | None:
        """The records of a search; None where there are none yet, or they are being replaced at this moment.

        Raises:
            ResultsError: they are there and cannot be read.
        """
        home = self.home(search_id)
        version = _signature(home)
        if not version:
            return None
        with self._lock:
            known = self._kept.get(search_id)
            if known is not None and known.version == version:
                self._kept.move_to_end(search_id)
                return known
            try:
                reading = Reading(results.load(home.run.path), version)
            except (ResultsError, OSError):
                if _signature(home) == version:
                    raise
                return known
            self._kept[search_id] = reading
            self._kept.move_to_end(search_id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return reading

    def forget(self, search_id: str) -> None:
        """Let go of a search's records."""
        with self._lock:
            self._kept.pop(search_id, None)


def count_trials(home: Home) -> dict[str, int]:
    """Trials by state: running, completed, stopped, failed; {} before there is a study."""
    query = "SELECT state, count(*) FROM trials GROUP BY state"
    found = _ask(home.run.study, query)
    return {name: count for state, count in found if (name := NAMES.get(state))}


def candidate_of(home: Home, number: int) -> dict[str, Any] | None:
    """What a trial tried, as its study has it; None where there is no such trial."""
    query = (
        "SELECT value_json FROM trial_user_attributes JOIN trials USING (trial_id) "
        "WHERE trials.number = ? AND trial_user_attributes.key = 'candidate'"
    )
    found = _ask(home.run.study, query, number)
    with contextlib.suppress(ValueError):
        for (text,) in found:
            candidate = json.loads(text)
            return candidate if isinstance(candidate, dict) else None
    return None


def _ask(study: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows from a study that somebody else writes; [] where it cannot be read now."""
    if not study.exists():
        return []
    try:
        with contextlib.closing(read_only(study, timeout=2.0)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error:
        return []


def _signature(home: Home) -> str:
    """Changes when a file does."""
    marks = []
    for name in SIGNATURE:
        try:
            status = getattr(home.run, name).stat()
        except OSError:
            return ""
        marks.append(f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}")
    return ".".join(marks)


def _rows(frame: pd.DataFrame) -> list[str]:
    """A JSON object a row."""
    return [json.dumps(row, ensure_ascii=False) for row in json.loads(results.to_json(frame))]


def _study(found: Any, drawable: bool, **tables: pd.DataFrame) -> str:
    """Sentences, tables and, if there is something to draw, the figure of an analysis as a JSON object."""
    parts = {name: json.loads(results.to_json(table)) for name, table in tables.items()}
    figure = found.figure().to_dict(validate=False) if drawable else None
    return json.dumps({"sentences": list(found.sentences), **parts, "figure": figure})


def _in_order_of_end(trials: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Completed trials in the order in which they ended, and the hours (n,) from the first one's start to that."""
    done = completed(trials).dropna(subset=["started_at", "wall_s"])
    started = done["started_at"].astype("int64").to_numpy() / 1e6
    ended = started + done["wall_s"].to_numpy(dtype=float)
    order = np.argsort(ended, kind="stable")
    hours = (ended[order] - (started.min() if len(started) else 0.0)) / 3600.0
    return done.iloc[order].drop(columns="number"), hours


def _corners(curve: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows at which a curve rises, and its last: all that a step line needs."""
    rises = curve["hypervolume"].diff().fillna(1.0) > 0
    kept: list[dict[str, Any]] = json.loads(results.to_json(curve[rises | (np.arange(len(curve)) == len(curve) - 1)]))
    return kept


def _axes(objectives: Mapping[str, str]) -> tuple[str, str]:
    """The columns that the front's figure has on its axes, as `results.front_figure` chooses them."""
    y = "accuracy" if "accuracy" in objectives else next(iter(objectives))
    return next((name for name in objectives if name != y), "number"), y
