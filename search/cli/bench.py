"""The benchmarks as commands: bench block, bench network, bench engine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.console import show_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["bench_app"]

bench_app = typer.Typer(
    help="Measure training steps and the engine's overhead, as ratios within one run.", no_args_is_help=True
)

Threads = Annotated[int | None, typer.Option(min=1, help="Threads of torch; unchanged if not given.")]
Seconds = Annotated[
    float, typer.Option(min=0.0, help="Seconds to measure: for each row of `block`, or for all of `network`.")
]
Device = Annotated[str, typer.Option(help="Device: cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@bench_app.command("block")
def block_command(
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,C,H,W", help="Shape of the input; may be repeated. A grid for the device if not given."
        ),
    ] = None,
    kernel_size: Annotated[int, typer.Option(help="Kernel size of LENI, odd.")] = 3,
    threads: Threads = None,
    seconds: Seconds = 1.0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Time LENI's default block, forward and backward, relative to ReLU, with PReLU and eager torch for comparison."""
    shapes = [_shape(text) for text in shape] if shape else None
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise typer.BadParameter(f"--kernel-size must be odd and at least 1, got {kernel_size}")
    from search.bench.block import bench_block

    rows = bench_block(shapes=shapes, kernel_size=kernel_size, threads=threads, seconds=seconds, device=device)
    _show(rows, ("shape", "layout", "threads", "relu_ms", "prelu", "leni", "eager", "leni/eager"), as_json)


@bench_app.command("network")
def network_command(
    model: Annotated[
        str, typer.Argument(help="A backbone (resnet8, ...), torchvision:NAME, timm:NAME or package.module:factory.")
    ] = "resnet20",
    activations: Annotated[
        str,
        typer.Option(
            help="Ways to compare, separated by commas; also syne-tune where it is installed. The first is "
            "the baseline."
        ),
    ] = ("relu,prelu,leni"),
    width: Annotated[float, typer.Option(min=0.01, help="Width of a backbone, as a fraction of its full width.")] = 1.0,
    image_size: Annotated[int, typer.Option(min=1, help="Side of the images in pixels.")] = 28,
    batch: Annotated[int, typer.Option(min=2, help="Images per step.")] = 128,
    threads: Threads = None,
    seconds: Seconds = 20.0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Time a training step of a network with each activation at every site, relative to the first activation."""
    from search.bench.network import bench_network

    names = [name.strip() for name in activations.split(",")]
    rows = bench_network(
        model, names, width=width, image_size=image_size, batch=batch, threads=threads, seconds=seconds, device=device
    )
    _show(rows, ("activation", "params", "step_ms", "ratio", "threads"), as_json)


@bench_app.command("engine")
def engine_command(
    trials: Annotated[int, typer.Option(min=20, help="Number of no-op trials for measuring the overhead.")] = 1000,
    candidates: Annotated[int, typer.Option(min=2, help="Number of networks to train in each way.")] = 16,
    seeds: Annotated[
        str, typer.Option(help="Numbers of seeds per network, separated by commas; one table for each number.")
    ] = "1,4",
    ways: Annotated[
        str,
        typer.Option(
            help="Ways to compare, separated by commas; also syne-tune where it is installed. The first is "
            "the baseline."
        ),
    ] = ("sequential,optuna-pool,ray-tune,ours"),
    workers: Annotated[int, typer.Option(min=1, help="Number of processes at the same time.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Measure the engine's overhead with no-op trials, and candidates per hour beside other ways to train them."""
    counts = [part.strip() for part in seeds.split(",")]
    if not all(re.fullmatch(r"[1-9]\d*", part, re.ASCII) for part in counts):
        raise typer.BadParameter(f"--seeds must be numbers of at least 1 with commas, got {seeds!r}")
    from search.bench.engine import SPACES, WAYS, bench_overhead, bench_throughput

    chosen = [part.strip() for part in ways.split(",")]
    if unknown := [way for way in chosen if way not in WAYS]:
        raise typer.BadParameter(f"--ways must be of {', '.join(WAYS)}, got {unknown[0]!r}")
    overhead = [bench_overhead(space, trials=trials, workers=workers) for space in SPACES]
    rows = [
        row
        for count in counts
        for row in bench_throughput(candidates=candidates, seeds=int(count), ways=chosen, workers=workers)
    ]
    if as_json:
        typer.echo(json.dumps({"overhead": overhead, "throughput": rows}))
        return
    _show(overhead, ("space", "trials", "trial_s", "rss_200", "rss_end", "growth"), False)
    _show(rows, ("way", "seeds", "seconds", "candidates_an_hour", "ratio"), False)


def _shape(text: str) -> tuple[int, int, int, int]:
    if not re.fullmatch(r"\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*){3}", text, re.ASCII):
        raise typer.BadParameter(f"--shape must be N,C,H,W, four numbers of at least 1, got {text!r}")
    n, c, h, w = (int(part) for part in text.split(","))
    return n, c, h, w


def _show(rows: Iterable[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """A table that grows as rows are measured; to a pipe, whole at the end."""
    from rich import box
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    if as_json:
        typer.echo(json.dumps(list(rows)))
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(
            name, justify="left" if name in ("layout", "activation", "way", "space") else "right", no_wrap=True
        )
    said = ""
    with Live(table, console=Console(stderr=True), transient=True):
        for row in rows:
            said = row.get("path", "")
            table.add_row(*(_cell(row[name]) for name in columns))
    show_table(table, f"path: {said}; prelu, leni and eager are times over ReLU's" if said else "")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
    return "x".join(map(str, value)) if isinstance(value, list) else f"{value:,}" if isinstance(value, int) else value
