"""Names of users beside names of ours: in which column of the records a parameter, an objective or a metric stands.

A parameter or metric of an evaluator may have any name. It has the column of that name, unless the name is taken: by a
column that this program writes or adds (`RESERVED`), by one of these prefixes, or, of a parameter, by an objective, and
of a metric, by a parameter. Then its column is "param:NAME" or "metric:NAME":

    parameter state          param:state
    objective error          metric:error
    parameter size           param:size, where size is an objective too
    metric size              size

No two names share a column, and a column leads back to its name (`plain_name`). Tables, figures and reports show plain
names; only the frames of `results.load` and the parquet files have prefixes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

__all__ = [
    "METRIC",
    "PARAMETER",
    "RESERVED",
    "SCORES",
    "SHARED",
    "TRAINING",
    "column_called",
    "curve_column",
    "metric_column",
    "parameter_column",
    "plain_name",
    "training_columns",
]

PARAMETER, METRIC = "param:", "metric:"
TRAINING = "training_"
"""Prefix of the columns of a training recipe's keys, where they were searched."""

SCORES = ("top5_accuracy", "validation_loss", "balanced_accuracy", "macro_f1", "calibration_error")
"""What is measured of a training's predictions beside accuracy."""

RESERVED = frozenset(
    {
        "number", "state", "backbone", "widths", "activation", "placement", "lr_factor", "kernel_size", "transform",
        "groups", "compression", "norm", "init_std", "init_slope", "decay", "accuracy", "accuracy_std", "seeds",
        "epochs", "params", "macs", "wall_s", "device", "error", "started_at",
        "accuracies", "replicas", "frozen", "latency_ms", "peak_memory", "traceback", "candidate", *SCORES,
        "run", "why", "probability", "front", "on_front", "role", "searched", "completed", "hours", "hypervolume",
    }
)  # fmt: skip
"""Columns of the schema, further ones of ours, and those that an analysis adds to a frame."""

SHARED = frozenset({"accuracy", "params", "macs", "latency_ms", *SCORES})
"""Metrics that mean the same from an evaluator as from a training of ours, so that they share its column."""


def parameter_column(name: str, *, taken: Collection[str] = ()) -> str:
    """The column of a parameter of a user's own space.

    Args:
        name: as the space has it.
        taken: columns of the objectives.

    Example:
        >>> parameter_column("depth"), parameter_column("state"), parameter_column("size", taken={"size"})
        ('depth', 'param:state', 'param:size')
    """
    return _column(PARAMETER, name, name in RESERVED or name in taken)


def metric_column(name: str, *, taken: Collection[str] = ()) -> str:
    """The column of an objective or of another metric of an evaluator.

    Args:
        name: as the function returns it.
        taken: columns of the parameters; of an objective none but those of a network, as parameters give way to it.

    Example:
        >>> metric_column("loss"), metric_column("error"), metric_column("accuracy")
        ('loss', 'metric:error', 'accuracy')
    """
    return _column(METRIC, name, name in RESERVED - SHARED or name in taken)


def curve_column(column: str) -> str:
    """The column of the learning curves that a column of the records has, by the epoch.

    Example:
        >>> curve_column("accuracy"), curve_column("epoch")
        ('accuracy', 'metric:epoch')
    """
    return METRIC + column if column in ("seed", "seeds", "epoch") else column


def plain_name(column: str) -> str:
    """The name that a column was made from.

    Example:
        >>> plain_name("metric:error"), plain_name("depth")
        ('error', 'depth')
    """
    for prefix in (PARAMETER, METRIC):
        if column.startswith(prefix):
            return column[len(prefix) :]
    return column


def column_called(name: str, columns: Collection[str], objectives: Collection[str] = ()) -> str:
    """The column that a user means by a name: of an objective or a metric before a parameter, of a user before ours.

    Args:
        name: as a user writes it, plain or with its prefix.
        columns: that there are.
        objectives: columns of the run's objectives.

    Example:
        >>> column_called("error", ["number", "error", "metric:error"]), column_called("size", ["size"])
        ('metric:error', 'size')
    """
    places = [*(column for column in objectives if plain_name(column) == name), METRIC + name, name, PARAMETER + name]
    if name in RESERVED - SHARED:
        places = [places[0], METRIC + name, PARAMETER + name, name]
    return next((column for column in places if column in columns), name)


def _column(prefix: str, name: str, taken: bool) -> str:
    return prefix + name if taken or name.startswith((PARAMETER, METRIC)) else name


def training_columns(names: Iterable[Any]) -> tuple[str, ...]:
    """Those columns that hold keys of the training recipe.

    Example:
        >>> training_columns(["params", "training_lr", "accuracy"])
        ('training_lr',)
    """
    return tuple(str(name) for name in names if str(name).startswith(TRAINING))
