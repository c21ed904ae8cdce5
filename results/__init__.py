"""Results: records of a run, their front, how good it is, and how it looks. Knows neither torch nor Ray.

run = results.load("runs/digits")
results.save(run.figure(), "front.html")
"""

from typing import TYPE_CHECKING, Any

from results.errors import ObjectiveError, RecordError, ResultsError, RunUnreadable
from results.fronts import DEFAULT_OBJECTIVES, Objectives, crowding, front, is_non_dominated, minimised, ranks
from results.indicators import hypervolume, hypervolume_curve, hypervolume_of
from results.records import SCHEMA, Run, count_states, load, schema_version, to_curves, to_frame, write
from results.tables import front_table, to_csv, to_json

if TYPE_CHECKING:
    from results.figures import front_figure, hypervolume_figure, information_figure, save
    from results.report import write_report

__all__ = [
    "DEFAULT_OBJECTIVES",
    "SCHEMA",
    "ObjectiveError",
    "Objectives",
    "RecordError",
    "ResultsError",
    "Run",
    "RunUnreadable",
    "count_states",
    "crowding",
    "front",
    "front_figure",
    "front_table",
    "hypervolume",
    "hypervolume_curve",
    "hypervolume_figure",
    "hypervolume_of",
    "information_figure",
    "is_non_dominated",
    "load",
    "minimised",
    "ranks",
    "save",
    "schema_version",
    "to_csv",
    "to_curves",
    "to_frame",
    "to_json",
    "write",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """The figures and the report, whose import takes Altair along, at their first use."""
    if name in ("front_figure", "hypervolume_figure", "information_figure", "save"):
        from results import figures

        return getattr(figures, name)
    if name == "write_report":
        from results.report import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
