"""The columns of a run's records: their names, types, units and meaning, and what can become of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from results.fronts import COMPLETED

__all__ = ["CURVES_SCHEMA", "FURTHER", "SCHEMA", "STATES", "Column"]

STATES = (COMPLETED, "stopped", "failed", "extended")
"""How a trial can end. The accuracy of a stopped one is a reading at less than the full budget. A candidate that cannot
be built or is outside of the limits is never a trial, and has no record."""


@dataclass(frozen=True)
class Column:
    """One column: its name, pandas dtype (all of them can hold a missing value), unit, and meaning."""

    name: str
    dtype: str
    unit: str
    description: str


SCHEMA = (
    Column("number", "Int64", "", "the trial, counted from 0 in the order in which trials were asked for"),
    Column(
        "state",
        "string",
        "",
        "completed, stopped, failed, or extended (its seeds count in an earlier trial)",
    ),
    Column("backbone", "string", "", "the network's family and depth, resnet8"),
    Column("widths", "string", "channels", "channels of each stage, 4-8-16"),
    Column("activation", "string", "", "the activation at the sites of the placement; ReLU elsewhere"),
    Column("placement", "string", "", "which call sites have the activation"),
    Column("lr_factor", "Float64", "", "factor on the recipe's learning rate"),
    Column("kernel_size", "Int64", "pixels", "LENI: side of the transform's kernel"),
    Column("transform", "string", "", "LENI: the transform of the negative branch"),
    Column("groups", "Int64", "", "LENI: groups of the transform"),
    Column("compression", "string", "", "LENI: how two branches become one"),
    Column("norm", "string", "", "LENI: normalisation in the negative branch"),
    Column("init_std", "Float64", "", "LENI: standard deviation of the kernel's start"),
    Column("init_slope", "Float64", "", "LENI: slope of the negative branch at the start"),
    Column("decay", "boolean", "", "LENI: whether its parameters have weight decay"),
    Column("accuracy", "Float64", "fraction, 0..1", "on the validation split, mean over seeds"),
    Column("accuracy_std", "Float64", "fraction, 0..1", "standard deviation over seeds"),
    Column("seeds", "Int64", "", "seeds trained"),
    Column("epochs", "Int64", "", "epochs trained for each seed"),
    Column("params", "Int64", "", "learned parameters"),
    Column("macs", "Int64", "", "multiply-adds for one sample"),
    Column("wall_s", "Float64", "seconds", "wall time of the trial"),
    Column("device", "string", "", "what it was trained on"),
    Column("error", "string", "", "why it failed, one sentence"),
    Column("started_at", "datetime64[us, UTC]", "", "when it started"),
    Column(
        "candidate",
        "string",
        "",
        "what was tried, as a JSON object: the one source from which a trial is built again; since schema version 2",
    ),
)
"""Columns of trials.parquet. An option is missing where the activation does not have it; further columns may follow:
those of `FURTHER`, options of other activations, other objectives.

Of an evaluator there is a column for each parameter of its space and for each metric that it returned, by the user's
own names, with the prefix "param:" or "metric:" where such a name is taken (`results.names`). Its accuracy, params and
macs are in the columns above, in whatever unit it has them. A column of values of several types holds texts, and a list
or a mapping is JSON (`results.column_values`).
"""

FURTHER = (
    Column("accuracies", "string", "fractions, 0..1", "a JSON list of each seed's accuracy, in the order of the seeds"),
    Column("replicas", "string", "", "how several seeds were trained: fused, or separate and why"),
    Column("frozen", "boolean", "", "LENI: whether its transform stays as it starts"),
    Column("latency_ms", "Float64", "milliseconds", "of one sample through the network, where it is an objective"),
    Column("top5_accuracy", "Float64", "fraction, 0..1", "validation images whose class is among the 5 most probable"),
    Column("validation_loss", "Float64", "", "mean cross entropy of the validation images, at the end"),
    Column("balanced_accuracy", "Float64", "fraction, 0..1", "mean over the classes of the accuracy in each"),
    Column("macro_f1", "Float64", "fraction, 0..1", "mean over the classes of F1"),
    Column("calibration_error", "Float64", "fraction, 0..1", "expected calibration error, 15 bins"),
    Column("peak_memory", "Int64", "bytes", "most memory of a GPU that the trial held"),
    Column("traceback", "string", "", "of a failed trial, where the exception was raised, cut to 4,000 characters"),
)
"""Columns that a run of this program may have beyond `SCHEMA`."""

CURVES_SCHEMA = (
    Column("number", "Int64", "", "the trial"),
    Column("seed", "Int64", "", "the seed"),
    Column("epoch", "Int64", "", "epochs trained so far"),
    Column("accuracy", "Float64", "fraction, 0..1", "on the validation split, after this epoch"),
    Column("loss", "Float64", "", "mean training loss of this epoch"),
)
"""Columns of curves.parquet."""
