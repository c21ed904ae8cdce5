"""Records: one row per trial, their schema, and the run folder they are read from.

A run folder has `trials.parquet` and `curves.parquet`, in the two schemas below with `schema_version` in the files'
metadata, and `environment.json`. This room reads these three and nothing else:

    run = load("runs/digits")
    run.front()          # a frame
    run.figure()         # an Altair chart
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from results.column_values import column_values, present_value
from results.errors import ObjectiveError, RecordError, RunUnreadable
from results.files import replace_file
from results.fronts import COMPLETED, DEFAULT_OBJECTIVES, Objectives, check_objectives, front
from results.names import column_called
from results.notebook import notebook_html, run_figure, shown_front
from results.schema import CURVES_SCHEMA, FURTHER, SCHEMA, STATES, Column
from results.searched_columns import dimensions
from results.user_view import is_evaluators, user_view

if TYPE_CHECKING:
    from altair import LayerChart

__all__ = [
    "CURVES_SCHEMA",
    "FURTHER",
    "SCHEMA",
    "STATES",
    "Column",
    "Front",
    "Run",
    "count_states",
    "load",
    "load_all",
    "schema_version",
    "to_curves",
    "to_frame",
    "together",
    "write",
]

schema_version = 2
"""Of both parquet files, in their metadata. Columns that an older version lacks are read as missing values; a newer
version is refused. Version 2 has the column `candidate`."""

_VERSION_KEY = b"schema_version"
_RELAXED = frozenset({"params", "macs"})  # Float64 where an evaluator of a space of its own counts in other units
_REQUIRED = frozenset({"number", "state", "seed", "epoch"})
_DTYPES = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
}


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What is known of a run; in a notebook it shows its front.

    Attributes:
        folder: where it was read.
        trials: one row per trial, columns as in `SCHEMA` and further ones, in order of number.
        curves: a row for each epoch of each seed of each trial, columns as in `CURVES_SCHEMA`.
        environment: versions, revision, hardware, seeds, the run's "objectives", and which columns it "chose".
    """

    folder: Path
    trials: pd.DataFrame
    curves: pd.DataFrame
    environment: dict[str, Any]

    @property
    def objectives(self) -> Objectives:
        """Column -> "maximize" or "minimize"; accuracy and params where environment.json does not say."""
        objectives: Objectives = self.environment.get("objectives", DEFAULT_OBJECTIVES)
        return objectives

    def column(self, name: str) -> str:
        """The column of `trials` that a user's name means: "error", an evaluator's objective, is "metric:error"."""
        return column_called(name, list(self.trials.columns), self.objectives)

    @property
    def dimensions(self) -> list[str]:
        """Columns that were chosen before training and differ between completed trials."""
        return dimensions(self.trials, objectives=self.objectives, chosen=self.environment.get("chosen"))

    def images(self, part: str) -> int | None:
        """How many images a part of the data set has ("train", "validation", "test"); None where no one recorded it."""
        counts = self.environment.get("images")
        count = counts.get(part) if isinstance(counts, dict) else None
        return count if isinstance(count, int) and count > 0 else None

    def front(self) -> pd.DataFrame:
        """The completed trials that no other dominates; in a notebook with its figure.

        Of networks these are records as `results.front` gives them, of an evaluator's run the user's own names and
        values, see `results.user_view`.
        """
        return Front(user_view(self.front_records(), objectives=self.objectives)).of(self)

    def front_records(self) -> pd.DataFrame:
        """The front with the columns of `trials`, see `results.front`."""
        return front(self.trials, objectives=self.objectives)

    def figure(self) -> LayerChart:
        """The front as an Altair chart, see `results.front_figure`."""
        return run_figure(self.trials, objectives=self.objectives, title=self.folder.name)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {count_states(self.trials)})"

    def _repr_html_(self) -> str:
        best = self.front_records()
        text = f"{self.folder}: {count_states(self.trials)}; front of {len(best)}"
        return notebook_html([text], [shown_front(best, objectives=self.objectives)], self.figure())


class Front(pd.DataFrame):
    """The front of a run: a frame that a notebook shows as table and figure. What is made of it is a plain frame."""

    _metadata: ClassVar[list[str]] = ["_run"]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def of(self, run: Run) -> Front:
        """Itself, with the run whose figure it shows."""
        object.__setattr__(self, "_run", run)
        return self

    def _repr_html_(self) -> str:
        run: Run | None = getattr(self, "_run", None)
        own = run is not None and is_evaluators(run.trials)
        return notebook_html(
            [], [pd.DataFrame(self) if own else shown_front(self)], None if run is None else run.figure()
        )


def to_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a frame in the form of `SCHEMA`.

    Args:
        rows: one mapping per trial, with number and state at least. Fields that are not in the schema follow in the
            order in which they first appear; their dtype is boolean, Int64, Float64 or string, whichever holds all of
            their values, see `results.column_values`. A time is an aware datetime or ISO 8601 text; without a time zone
            it is taken as UTC.

    Returns:
        A frame with a fresh index, in the order of the rows; all columns of the schema, also for no rows.

    Raises:
        RecordError: a value does not fit its column, number or state is missing, a state is unknown, or two rows
            have the same number.
    """
    frame = _to_frame(rows, SCHEMA, required=("number", "state"))
    unknown = frame.loc[~frame["state"].isin(STATES), "state"]
    if len(unknown):
        raise RecordError(f"state must be one of {', '.join(STATES)}, got {unknown.iloc[0]!r} (row {unknown.index[0]})")
    twice = frame.loc[frame["number"].duplicated(), "number"]
    if len(twice):
        raise RecordError(f"number must be different in each record, {twice.iloc[0]} is there twice")
    return frame


def to_curves(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Learning curves as a frame in the form of `CURVES_SCHEMA`; further fields as in `to_frame`.

    Raises:
        RecordError: a value does not fit its column, or number, seed or epoch is missing.
    """
    return _to_frame(rows, CURVES_SCHEMA, required=("number", "seed", "epoch"))


def write(frame: pd.DataFrame, path: str | Path) -> None:
    """Write trials or curves as parquet, whole or not at all.

    Args:
        frame: as `to_frame` or `to_curves` gives it.
        path: the file, in a folder that exists. What was there stays until the new file is complete on disk.

    Raises:
        OSError: the file cannot be written.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    version = {_VERSION_KEY: str(schema_version).encode()}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **version}), buffer,
                   write_page_checksum=True)  # fmt: skip
    replace_file(path, buffer.getvalue())


def load(folder: str | Path) -> Run:
    """Read a run: trials.parquet, curves.parquet and environment.json.

    Args:
        folder: the run's folder; the run may still be in progress.

    Returns:
        The run.

    Raises:
        RunUnreadable: a file is missing, damaged, or of another schema version; the message says which and what.
    """
    place = Path(folder)
    if not place.is_dir():
        raise RunUnreadable(
            f"{place} is not a folder: it should be the folder of a run, with trials.parquet in it",
            code="LS-RUN-NO-RESULTS",
        )
    return Run(
        folder=place,
        trials=_read(place / "trials.parquet", SCHEMA).sort_values("number", ignore_index=True),
        curves=_read(place / "curves.parquet", CURVES_SCHEMA),
        environment=_environment(place / "environment.json"),
    )


def load_all(folders: Iterable[str | Path]) -> list[Run]:
    """Read several runs; all of their trials in one frame is `together`.

    Raises:
        RunUnreadable: as `load`, of the first that cannot be read.
    """
    return [load(folder) for folder in folders]


def together(runs: Iterable[Run]) -> pd.DataFrame:
    """The trials of several runs in one frame, each with its run.

    Args:
        runs: as `load` or `load_all` gives them.

    Returns:
        run (string: the folder's name, or the whole path where two have the same name), then the columns of `SCHEMA`,
        then further ones of any of the runs in order of appearance, missing where a run does not have them.
    """
    listed = list(runs)
    names = [run.folder.resolve().name for run in listed]
    called = [name if names.count(name) == 1 else str(run.folder) for name, run in zip(names, listed, strict=True)]
    parts = [
        run.trials.assign(run=pd.array([name] * len(run.trials), dtype="string"))
        for name, run in zip(called, listed, strict=True)
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else to_frame([]).assign(run=pd.array([], dtype="string"))
    return frame[["run", *(name for name in frame.columns if name != "run")]]


def count_states(trials: pd.DataFrame) -> str:
    """In words how many trials ended how: "24 trials: 22 completed, 1 stopped, 1 failed"."""
    total = f"{len(trials):,} trial{'' if len(trials) == 1 else 's'}"
    counts = trials["state"].value_counts() if "state" in trials.columns else {COMPLETED: len(trials)}
    parts = [f"{counts[state]:,} {state}" for state in STATES if counts.get(state)]
    return f"{total}: {', '.join(parts)}" if parts else total


def _to_frame(rows: Iterable[Mapping[str, Any]], schema: tuple[Column, ...], required: tuple[str, ...]) -> pd.DataFrame:
    """The rows with the schema's columns first, each in its dtype."""
    listed = list(rows)
    known = [column.name for column in schema]
    own = not any(row.get("backbone") is not None for row in listed)
    further = [name for name in dict.fromkeys(name for row in listed for name in row) if name not in known]
    columns: dict[str, Any] = {}
    for name, dtype in [(column.name, column.dtype) for column in schema] + [(name, "") for name in further]:
        values = [present_value(row.get(name)) for row in listed]
        columns[name] = column_values(name, values, dtype, relaxed=own and name in _RELAXED)
    frame = pd.DataFrame(columns)
    for name in required:
        if frame[name].isna().any():
            raise RecordError(
                f"{name} is missing in row {int(frame[name].isna().argmax())}; every row must have it",
                code="LS-RUN-NO-RESULTS",
            )
    return frame


def _missing(path: Path) -> RunUnreadable:
    """What to say of a file that is not there: of a run that has only begun, or of a folder that holds no run."""
    if (path.parent / "spec.toml").is_file():
        return RunUnreadable(
            f"{path.parent} has no {path.name} yet: a run writes it when its first trial has ended, and "
            f"`leni-search resume` continues one that was interrupted before",
            code="LS-RUN-NO-RESULTS",
        )
    return RunUnreadable(
        f"{path} is missing: a run folder has trials.parquet, curves.parquet and environment.json",
        code="LS-RUN-NO-RESULTS",
    )


def _read(path: Path, schema: tuple[Column, ...]) -> pd.DataFrame:
    """One parquet file in its schema."""
    if not path.is_file():
        raise _missing(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version = (file.schema_arrow.metadata or {}).get(_VERSION_KEY, b"none").decode("ascii", "replace")
            # The dtypes are ours to say; the pandas metadata is there for other readers.
            frame = file.read().to_pandas(ignore_metadata=True, types_mapper=_DTYPES.get)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise RunUnreadable(f"{path} is not a whole parquet file, write it again from study.db: {reason}") from error
    older = version.isdecimal() and 0 < int(version) < schema_version
    if version != str(schema_version) and not older:
        raise RunUnreadable(
            f"{path} has schema version {version}, this program reads version {schema_version} and older ones",
            code="LS-RUN-SCHEMA",
        )
    missing = [column.name for column in schema if column.name not in frame.columns]
    if older:  # columns that came later are missing values, but for what every row must have
        frame = frame.assign(**{name: pd.Series([pd.NA] * len(frame), dtype=object) for name in missing})
        missing = [name for name in missing if name in _REQUIRED]
    if missing:
        raise RunUnreadable(
            f"{path} lacks {', '.join(missing)}, columns of schema version {schema_version}", code="LS-RUN-SCHEMA"
        )
    own = "backbone" in frame.columns and frame["backbone"].isna().all()
    other = {name for name in _RELAXED if own and name in frame.columns and frame[name].dtype == "Float64"}
    try:
        return frame.astype({column.name: column.dtype for column in schema if column.name not in other})
    except (TypeError, ValueError) as error:
        raise RunUnreadable(f"{path} has a column that is not of its schema's type: {error}") from error


def _environment(path: Path) -> dict[str, Any]:
    """environment.json, with objectives that can be used."""
    if not path.is_file():
        raise _missing(path)
    try:
        environment = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunUnreadable(f"{path} is not whole JSON: {error}") from error
    if not isinstance(environment, dict):
        raise RunUnreadable(f"{path} must hold a JSON object, it holds {type(environment).__name__}")
    try:
        check_objectives(environment.get("objectives", DEFAULT_OBJECTIVES))
    except ObjectiveError as error:
        raise RunUnreadable(f"{path}: {error}") from error
    return environment
