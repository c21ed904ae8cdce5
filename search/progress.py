"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from results import Objectives, hypervolume_of
from search.study import Outcome
from spaces import Candidate, Cost

__all__ = ["Progress"]

PLAIN_EVERY_S = 5.0
REFRESH_PER_S = 4


class Progress:
    """Watches a run's trials and shows where it stands.

    Args:
        trials: how many there will be.
        epochs: of each.
        objectives: directions by name, for the hypervolume.
        console: where to; on a terminal the display is live.
        quiet: whether nothing is shown.

    Use it as a context manager around the run.
    """

    def __init__(
        self, *, trials: int, epochs: int, objectives: Objectives, console: Console, quiet: bool = False
    ) -> None:
        self.trials, self.epochs, self.objectives = trials, epochs, objectives
        self.console, self.quiet = console, quiet
        self.states = {"completed": 0, "stopped": 0, "failed": 0}
        self.running: dict[int, tuple[Candidate, int]] = {}
        self.points: list[dict[str, float]] = []
        self.last_failure = ""
        self.started = self.printed = time.monotonic()
        live = console.is_terminal and not quiet
        self.live = (
            Live(console=console, refresh_per_second=REFRESH_PER_S, get_renderable=self.render) if live else None
        )

    def __enter__(self) -> Progress:
        self.started = self.printed = time.monotonic()
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
        elif not self.quiet:
            self._say(self.line())

    def begun(self, number: int, candidate: Candidate) -> None:
        """A trial begins."""
        self.running[number] = (candidate, 0)

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """A trial has come one epoch further."""
        if number in self.running:
            self.running[number] = (self.running[number][0], epoch["epoch"])

    def ended(self, number: int, candidate: Candidate, cost: Cost, outcome: Outcome) -> None:
        """A trial is over."""
        self.running.pop(number, None)
        self.states[outcome.state] += 1
        if outcome.state == "completed":
            known = {**vars(cost), **outcome.metrics}
            self.points.append({name: known[name] for name in ("accuracy", "params", "macs")})
        if outcome.error:
            self.last_failure = f"trial {number} failed: {outcome.error}"
        if self.live is None and not self.quiet:
            self._print(outcome)

    def _print(self, outcome: Outcome) -> None:
        """A line now and then, and one for every failure."""
        if outcome.error:
            self._say(self.last_failure)
        if time.monotonic() - self.printed >= PLAIN_EVERY_S:
            self.printed = time.monotonic()
            self._say(self.line())

    def _say(self, text: str) -> None:
        """One line as it is: a failure's reason may hold brackets, which are no markup."""
        self.console.print(Text(text), soft_wrap=True)

    @property
    def done(self) -> int:
        """Trials that are over."""
        return sum(self.states.values())

    def time_left(self) -> float:
        """Seconds that are left, from the trials (and epochs of running ones) so far; NaN before there is any."""
        behind = self.done + sum(min(1.0, epoch / self.epochs) for _, epoch in tuple(self.running.values()))
        elapsed = time.monotonic() - self.started
        return elapsed / behind * (self.trials - behind) if behind > 0 else math.nan

    def hypervolume(self) -> float:
        """Of the objectives so far, on the fixed scale of `results.hypervolume_of`."""
        return hypervolume_of(pd.DataFrame(self.points), objectives=self.objectives) if self.points else 0.0

    def ends(self) -> tuple[str, str]:
        """The front's two ends: the most accurate network, and the smallest."""
        if not self.points:
            return "-", "-"
        best = max(self.points, key=lambda point: (point["accuracy"], -point["params"]))
        smallest = min(self.points, key=lambda point: (point["params"], -point["accuracy"]))
        return _point(best), _point(smallest)

    def line(self) -> str:
        """Where the run stands, in one line."""
        best, smallest = self.ends()
        return (
            f"{self.done}/{self.trials} trials, {len(self.running)} running, {self.states['failed']} failed, "
            f"{_duration(self.time_left())} left, hypervolume {self.hypervolume():.4f}, "
            f"best {best}, smallest {smallest}"
        )

    def render(self) -> Group:
        """The live display."""
        best, smallest = self.ends()
        table = Table.grid(padding=(0, 2))
        table.add_row("trials", ProgressBar(self.trials, self.done, width=40), f"{self.done} of {self.trials}")
        facts = [
            ("running", f"{len(self.running)}"),
            ("failed", f"{self.states['failed']}"),
            ("time left", _duration(self.time_left())),
            ("hypervolume", f"{self.hypervolume():.4f}"),
            ("most accurate", best),
            ("smallest", smallest),
        ]
        for name, value in facts:
            table.add_row(name, value, "")
        lines = [
            Text(f"  trial {number}: epoch {epoch} of {self.epochs}  {_short(candidate)}", style="dim")
            for number, (candidate, epoch) in sorted(self.running.items())[:8]
        ]
        failure = [Text(self.last_failure, style="red")] if self.last_failure else []
        return Group(table, *lines, *failure)


def _short(candidate: Candidate) -> str:
    widths = "-".join(map(str, candidate.widths))
    return f"{candidate.backbone} {widths} {candidate.activation} @ {candidate.placement}"


def _point(point: Mapping[str, float]) -> str:
    return f"{point['accuracy']:.4f} at {point['params']:,} params"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
