"""Commands on one network: sites.

What is heavy (torch, torchvision) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from leni.sites import CallSite
    from leni.swap import SwapReport

__all__ = ["sites_command"]

Size = tuple[int, int, int]
UNBOUNDED = 10_000  # columns, wider than any table here


def sites_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="torchvision:NAME, timm:NAME or package.module:factory.")
    ],
    input_size: Annotated[
        str | None, typer.Option(metavar="H or C,H,W", help="Pixels; the network's own size if not given.")
    ] = None,
    placement: Annotated[
        str | None, typer.Option(help="Show what a swap at these sites would replace and cost; all if not given.")
    ] = None,
    activation: Annotated[str | None, typer.Option(help="The activation to swap in; leni if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a site.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """The places where a network calls an activation, and what another activation there would cost."""
    if as_csv and as_json:
        raise typer.BadParameter("give --csv or --json, not both")
    size = _size(input_size)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a user's network is looked for here, as `python -m` would
    import torch

    from leni import Placement
    from leni import activation as find
    from leni.networks import default_input_size, load_network
    from leni.sites import sites
    from leni.swap import swap

    wants_swap = placement is not None or activation is not None
    if wants_swap:  # a typing error is found before a network is built
        find(activation or "leni")
        Placement.parse(placement or "all")
    own = default_input_size(model)
    shape = own if size is None else (size[0] or own[0], *size[1:])
    network = load_network(model)
    # Zeros, since the few networks whose forward pass depends on values run on them.
    example = torch.zeros(1, *shape)
    if wants_swap:
        report = swap(network, activation or "leni", placement or "all", example_input=example).report
        records = _swapped(report)
        table, summary = _swap_table(records), _swap_summary(report)
    else:
        found = sites(network, example)
        records = [_record(site) for site in found]
        table, summary = _site_table(records), _site_summary(found)
    if as_json:
        typer.echo(json.dumps(records))
    elif as_csv:
        typer.echo(_csv(records), nl=False)
    else:
        params = sum(parameter.numel() for parameter in network.parameters())
        _show(table, f"{model} at {'x'.join(map(str, shape))}, {params:,} parameters: {summary}")


def _size(text: str | None) -> Size | None:
    """(C, H, W) of an option; C is 0 where the network's own is meant."""
    if text is None:
        return None
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*,\s*\d+\s*)?", text, re.ASCII):
        raise typer.BadParameter(f"--input-size must be H or C,H,W in pixels, for example 96 or 3,96,128, got {text!r}")
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise typer.BadParameter(f"--input-size must have no number below 1, got {text!r}")
    return (0, numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


def _record(site: CallSite) -> dict[str, Any]:
    return {
        "name": site.name,
        "kind": site.kind,
        "channels": site.channels,
        "dim": site.channel_dim,
        "size": list(site.spatial),
        "stage": site.stage,
        "role": site.role,
        "module": site.module,
        "functional": site.functional,
    }


def _swapped(report: SwapReport) -> list[dict[str, Any]]:
    return [
        {
            **_record(row.site),
            "activation": report.activation if row.replaced else row.site.kind,
            "replaced": row.replaced,
            "params": row.params,
            "macs": row.macs,
            "reason": row.reason,
        }
        for row in report.sites
    ]


def _site_summary(found: Sequence[CallSite]) -> str:
    modules = len({site.module for site in found if not site.functional})
    functions = sum(site.functional for site in found)
    text = f"{_count(len(found), 'call site')} ({_count(modules, 'module')}"
    return f"{text}, {_count(functions, 'function call')})" if functions else f"{text})"


def _swap_summary(report: SwapReport) -> str:
    return (
        f"{report.activation} at {len(report.replaced)} of {_count(len(report.sites), 'call site')} "
        f"(placement {report.placement}), {report.params:+,} parameters, {report.macs:+,} multiply-adds"
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _site_table(records: Sequence[dict[str, Any]]) -> Table:
    return _table(records, ("name", "kind", "channels", "dim", "size", "stage", "role"))


def _swap_table(records: Sequence[dict[str, Any]]) -> Table:
    shown = [{**record, "now": record["activation"], "was": record["kind"]} for record in records]
    for record in shown:
        if not record["replaced"]:
            record.update(now="", params=None, macs=None)
    columns = ["name", "was", "channels", "dim", "size", "stage", "role", "now", "params", "macs"]
    if any(record["reason"] for record in shown):
        columns.append("reason")
    return _table(shown, columns)


def _table(records: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    """A row a site; where it does not fit, names and reasons wrap and numbers do not."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        text = name in ("name", "kind", "was", "role", "now", "reason")
        title = "left alone because" if name == "reason" else name
        table.add_column(
            title, justify="left" if text else "right", no_wrap=name not in ("name", "reason"), overflow="fold"
        )
    for record in records:
        table.add_row(*(escape(_cell(name, record[name])) for name in columns))
    return table


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "size":
        return "x".join(map(str, value)) or "1"
    return f"{value:+,}" if name in ("params", "macs") else str(value)


def _csv(records: Sequence[dict[str, Any]]) -> str:
    """A header and a line a site; a size is written HxW."""
    text = io.StringIO()
    if records:
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**record, "size": "x".join(map(str, record["size"]))} for record in records)
    return text.getvalue()


def _show(table: Table, summary: str) -> None:
    """Print to a terminal as wide as it is; to a pipe or file, a line a site, however wide."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=UNBOUNDED)
        console = Console(width=console.measure(table, options=wide).maximum)
    if table.row_count:
        console.print(table)
    console.print(summary, highlight=False, markup=False, soft_wrap=True)
