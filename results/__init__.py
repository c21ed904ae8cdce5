"""Results: records of a run, their front, how good it is, and how it looks. Knows neither torch nor Ray.

run = results.load("runs/digits")
results.save(run.figure(), "front.html")
"""

from typing import TYPE_CHECKING, Any

from results.analyses.attainment import attained, attainment
from results.analyses.confidence import confidence, drawn_fronts, spread_known
from results.analyses.growth import growth, hypervolume_cost
from results.analyses.shortlist import shortlist
from results.errors import ObjectiveError, RecordError, ResultsError, RunUnreadable
from results.fronts import (
    DEFAULT_OBJECTIVES,
    Objectives,
    crowding,
    front,
    is_non_dominated,
    minimised,
    ranks,
    wanted_and_costs,
)
from results.indicators import hypervolume, hypervolume_curve, hypervolume_of
from results.runs import (
    FURTHER,
    SCHEMA,
    Front,
    Run,
    count_states,
    load,
    load_all,
    schema_version,
    to_curves,
    to_frame,
    together,
    write,
)
from results.tables.formats import check_table, front_columns, front_table, save_table, to_csv, to_json, to_latex
from results.user_view import user_view

if TYPE_CHECKING:
    from results.analyses.comparison import Comparison, compare, epsilon
    from results.figures import check_format, front_figure, hypervolume_figure, information_figure, save
    from results.report.page import write_report

__all__ = [
    "DEFAULT_OBJECTIVES",
    "FURTHER",
    "SCHEMA",
    "Comparison",
    "Front",
    "ObjectiveError",
    "Objectives",
    "RecordError",
    "ResultsError",
    "Run",
    "RunUnreadable",
    "attained",
    "attainment",
    "check_format",
    "check_table",
    "compare",
    "confidence",
    "count_states",
    "crowding",
    "drawn_fronts",
    "epsilon",
    "front",
    "front_columns",
    "front_figure",
    "front_table",
    "growth",
    "hypervolume",
    "hypervolume_cost",
    "hypervolume_curve",
    "hypervolume_figure",
    "hypervolume_of",
    "information_figure",
    "is_non_dominated",
    "load",
    "load_all",
    "minimised",
    "ranks",
    "save",
    "save_table",
    "schema_version",
    "shortlist",
    "spread_known",
    "to_csv",
    "to_curves",
    "to_frame",
    "to_json",
    "to_latex",
    "together",
    "user_view",
    "wanted_and_costs",
    "write",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """What takes Altair, or scipy's statistics, along: at its first use."""
    if name in ("check_format", "front_figure", "hypervolume_figure", "information_figure", "save"):
        from results import figures

        return getattr(figures, name)
    if name in ("Comparison", "compare", "epsilon"):
        from results.analyses import comparison

        return getattr(comparison, name)
    if name == "write_report":
        from results.report.page import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
