"""A spec's data set, with a bar while its images are decoded."""

from __future__ import annotations

from contextlib import ExitStack

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from search.spec import Spec
from search.training.data import Data, load

__all__ = ["spec_data"]


def spec_data(spec: Spec, *, console: Console | None = None, quiet: bool = False) -> Data:
    """The data set of a spec.

    Args:
        spec: of a training.
        console: where the bar goes; None for standard error.
        quiet: whether none is shown.

    Raises:
        DataError: it is missing or broken.
    """
    with ExitStack() as stack:
        bar: tuple[Progress, TaskID] | None = None

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and not quiet:  # mostly, all were decoded before
                bars = stack.enter_context(_bars(console))
                bar = bars, bars.add_task("decoding", total=total)
            if bar is not None:
                bar[0].update(bar[1], completed=done)

        return load(
            spec.data,
            folder=spec.data_folder,
            download=spec.download,
            seed=spec.split_seed,
            train_size=spec.train_size,
            image_size=spec.image_size,
            skip_broken=spec.skip_broken,
            progress=show,
        )


def _bars(console: Console | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("images"))
    return Progress(*columns, TimeRemainingColumn(), console=console or Console(stderr=True), transient=True)
