"""A spec's data set, with a bar while its images are decoded."""

from __future__ import annotations

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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("images"))
    task: TaskID | None = None
    with Progress(
        *columns, TimeRemainingColumn(), console=console or Console(stderr=True), disable=quiet, transient=True
    ) as bars:

        def show(done: int, total: int) -> None:
            nonlocal task
            if task is None and done < total:  # decoded before, mostly: then there is nothing to show
                task = bars.add_task("decoding", total=total)
            if task is not None:
                bars.update(task, completed=done)

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
