"""A table on a terminal as wide as it is; in a pipe or a file whole, one line per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["show_table"]

UNBOUNDED = 10_000  # columns, wider than any table here


def show_table(table: Table, summary: str = "") -> None:
    """Print a table and a sentence below it."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=UNBOUNDED)
        console = Console(width=max(1, console.measure(table, options=wide).maximum))
    if table.row_count:
        console.print(table)
    if summary:
        console.print(summary, highlight=False, markup=False, soft_wrap=True)
