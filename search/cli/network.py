"""Commands on one network: sites, inspect.

What is heavy (torch, torchvision) is imported when a command needs it, so that --help answers at once.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.console import show_table

if TYPE_CHECKING:
    from rich.table import Table

    from leni.call_sites import CallSite
    from leni.swapping import SwapReport
    from search.followup.inspect import Inspection
    from search.followup.trial_facts import TrialFacts

__all__ = ["inspect_command", "sites_command"]

Size = tuple[int, int, int]
MEASURES = {  # of search.inspect's records: title of a column, format of a number
    "dead": ("dead", "{:.1%}"),
    "negative_kept": ("negative kept", "{:.1%}"),
    "effective_rank": ("effective rank", "{:.1f}"),
    "entropy": ("entropy, bits", "{:.2f}"),
}

REASONS = {"reason": "left alone because", "hidden": "left alone because"}  # columns of sentences, and their titles


def sites_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="torchvision:NAME, timm:NAME or package.module:factory, perhaps with options of the factory: "
            "'timm:resnet18?drop_rate=0.1'.",
        ),
    ],
    input_size: Annotated[
        str | None,
        typer.Option(metavar="H or C,H,W", help="Input size in pixels; the network's own size if not given."),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="Show what a swap at these call sites would replace and cost; all sites if not given."),
    ] = None,
    activation: Annotated[str | None, typer.Option(help="Activation to swap in; leni if not given.")] = None,
    widths: Annotated[
        bool, typer.Option("--widths", help="Show the groups of channels that a search can narrow, and what it cannot.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object per site.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List the call sites of a network's activations, and what another activation would cost there."""
    if as_csv and as_json:
        raise typer.BadParameter("give --csv or --json, not both")
    size = _size(input_size)
    if widths:
        if placement is not None or activation is not None or input_size is not None:
            raise typer.BadParameter("--widths goes with MODEL, --json and --csv alone")
        _show_widths(model, as_json=as_json, as_csv=as_csv)
        return
    import torch

    from leni import Placement
    from leni import activation as find
    from leni.call_sites import sites
    from leni.networks import default_input_size, load_network
    from leni.swapping import swap
    from spaces.backbones.network_names import NetworkName

    wants_swap = placement is not None or activation is not None
    if wants_swap:  # a typing error is found before a network is built
        find(activation or "leni")
        Placement.parse(placement or "all")
    named = NetworkName.parse(model)
    own = default_input_size(named.source)
    shape = own if size is None else (size[0] or own[0], *size[1:])
    network = load_network(named.source, **named.arguments)
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
        show_table(table, f"{model} at {'x'.join(map(str, shape))}, {params:,} parameters: {summary}")


def _show_widths(model: str, *, as_json: bool, as_csv: bool) -> None:
    """The groups of channels of a network, and the layers that keep theirs."""
    from results.text import counted
    from spaces import backbone

    row = backbone(model)
    records = [
        {
            "name": name, "group": place + 1, "stage": row.width_stages[place], "channels": row.full_widths[place],
            "multiple_of": (row.units or [1] * len(row.full_widths))[place], "reason": "",
        }
        for place, name in enumerate(row.layers or [f"stage {stage}" for stage in row.width_stages])
    ]  # fmt: skip
    records += [
        {"name": name, "group": None, "stage": None, "channels": None, "multiple_of": None, "reason": reason}
        for name, reason in row.kept.items()
    ]
    if as_json:
        typer.echo(json.dumps(records))
    elif as_csv:
        text = io.StringIO()
        writer = csv.DictWriter(
            text, ["name", "group", "stage", "channels", "multiple_of", "reason"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(records)
        typer.echo(text.getvalue(), nl=False)
    else:
        columns = ["name", "group", "stage", "channels", "multiple_of", *(["reason"] if row.kept else [])]
        kept = f", {counted(len(row.kept), 'layer')} that cannot be narrowed" if row.kept else ""
        summary = f"{counted(len(row.full_widths), 'group')} of channels{kept}"
        show_table(_table(records, columns), f"{row.name}: {summary}")


def inspect_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    trial: Annotated[int, typer.Option(help="The trial's number, as `front` shows it.")],
    figure: Annotated[
        Path | None, typer.Option(help="Also write a figure to this .html, .png, .svg or .pdf file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train a trial's network and its ReLU baseline as in the run, and measure what their activations keep.

    Of a trial that failed, its traceback; of an evaluator's trial, its record and the end of what it printed.
    """
    from results import save
    from results.figures.theme import check_format
    from search.followup.inspect import inspect
    from search.followup.trial_facts import trial_facts

    if figure is not None:  # a typing error is found before a network is trained
        check_format(figure)
        if not figure.absolute().parent.is_dir():
            raise typer.BadParameter(f"--figure: there is no folder {figure.absolute().parent}")
    if (facts := trial_facts(folder, trial)) is not None:
        if figure is not None:
            raise typer.BadParameter(f"--figure: trial {trial} has no network to draw")
        typer.echo(json.dumps({**asdict(facts), "values": dict(facts.values)}) if as_json else _facts(facts))
        return
    found = inspect(folder, trial, quiet=quiet)
    if as_json:
        typer.echo(json.dumps(_inspected(found)))
    else:
        show_table(_inspection_table(found), _inspection_summary(found))
    if figure is not None:
        save(found.figure(), figure)


def _facts(facts: TrialFacts) -> str:
    """A trial's record as lines, then its traceback and what its function printed."""
    from results.text import readable

    width = max(map(len, facts.values), default=0)
    lines = [f"trial {facts.number} {facts.state}" + (f": {facts.error}" if facts.error else "")]
    lines += [f"  {readable(name):{width}}  {readable(str(value))}" for name, value in facts.values.items()]
    lines += ["", facts.traceback] if facts.traceback else []
    lines += ["", "output:", facts.output] if facts.output else []
    return "\n".join(lines)


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
        "hidden": site.hidden,
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
    from results.text import counted

    modules = len({site.module for site in found if not site.functional})
    functions = sum(site.functional for site in found)
    text = f"{counted(len(found), 'call site')} ({counted(modules, 'module')}"
    return f"{text}, {counted(functions, 'function call')})" if functions else f"{text})"


def _swap_summary(report: SwapReport) -> str:
    from results.text import counted

    return (
        f"{report.activation} at {len(report.replaced)} of {counted(len(report.sites), 'call site')} "
        f"(placement {report.placement}), {report.params:+,} parameters, {report.macs:+,} multiply-adds"
    )


def _site_table(records: Sequence[dict[str, Any]]) -> Table:
    columns = ["name", "kind", "channels", "dim", "size", "stage", "role"]
    if any(record["hidden"] for record in records):
        columns.append("hidden")
    return _table(records, columns)


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
    """One row per site; where it does not fit, names and reasons wrap and numbers do not."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        text = name in ("name", "kind", "was", "role", "now", *REASONS)
        wraps = name == "name" or name in REASONS
        table.add_column(
            REASONS.get(name, name), justify="left" if text else "right", no_wrap=not wraps, overflow="fold"
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
    """A header and one line per site; a size is written HxW."""
    text = io.StringIO()
    if records:
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**record, "size": "x".join(map(str, record["size"]))} for record in records)
    return text.getvalue()


def _inspected(found: Inspection) -> dict[str, Any]:
    """An inspection as JSON has it, which has no NaN."""
    rows = [asdict(row) for row in found.rows]
    return {
        "trial": found.number,
        "candidate": found.candidate.to_dict(),
        "accuracy": found.accuracy,
        "recorded_accuracy": found.recorded,
        "twin_accuracy": found.twin_accuracy,
        "device": found.device,
        "sites": [
            {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
            for row in rows
        ],
    }


def _inspection_table(found: Inspection) -> Table:
    """One line per site, with the values of the network and of its ReLU baseline in each column."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    names = list(dict.fromkeys(row.network for row in found.rows))
    by_name = {name: {row.site: row for row in found.rows if row.network == name} for name in names}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("site", overflow="fold")
    table.add_column("role", no_wrap=True)
    table.add_column("channels", justify="right", no_wrap=True)
    for title, _ in MEASURES.values():
        table.add_column(f"{title}\n{' | '.join(names)}", justify="right", no_wrap=True)
    for site, row in by_name[names[0]].items():
        beside = [by_name[name].get(site) for name in names]
        channels = dict.fromkeys(str(other.channels) for other in beside if other)
        cells = [
            " | ".join(_number(form, getattr(other, name, math.nan)) for other in beside)
            for name, (_, form) in MEASURES.items()
        ]
        table.add_row(escape(site), row.role, " | ".join(channels), *cells)
    return table


def _number(form: str, value: float) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _inspection_summary(found: Inspection) -> str:
    text = f"trial {found.number}, {found.candidate}"
    twin = "it is ReLU itself" if found.twin_accuracy is None else f"its ReLU baseline {found.twin_accuracy:.4f}"
    return f"{text}: {found.verdict}; {twin}"
