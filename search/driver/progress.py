"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from results import Objectives, hypervolume_of
from results.indicators import observed_bounds
from results.names import plain_name
from results.text import readable
from search.engine.asker import Point
from search.store.outcome import Outcome
from spaces import Configuration

__all__ = ["Progress"]

PLAIN_EVERY_S = 5.0
REFRESH_PER_S = 4


class Past(Protocol):
    """What is over when a run begins or is resumed."""

    completed: list[Mapping[str, float]]
    begun: int
    waiting: list[Any]


class Progress:
    """Watches a run's trials and shows where it stands.

    Args:
        trials: how many there will be.
        epochs: of each.
        objectives: directions by name, for the hypervolume.
        console: where to; on a terminal the display is live.
        quiet: whether nothing is shown.
        verbose: whether the traceback of every trial that fails is shown.

    Use it as a context manager around the run.
    """

    def __init__(
        self,
        *,
        trials: int,
        epochs: int,
        objectives: Objectives,
        console: Console,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.trials, self.epochs, self.objectives = trials, epochs, objectives
        self.console, self.quiet, self.verbose = console, quiet, verbose
        self.states = {"completed": 0, "stopped": 0, "failed": 0}
        self.running: dict[int, tuple[Point, int]] = {}
        self.before = 0  # trials that were over before
        self.points: list[dict[str, float]] = []
        self.last_failure = ""
        self.noted: dict[str, None] = {}
        self.measured, self.volume = 0, 0.0
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

    def recall(self, searcher: Past) -> None:
        """Count what was over before this run, or this resumption of it, began."""
        self.points = [dict(values) for values in searcher.completed]
        self.before = searcher.begun - len(searcher.waiting)

    def begun(self, number: int, candidate: Point) -> None:
        """A trial begins."""
        self.running[number] = (candidate, 0)

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """A trial has come one epoch further."""
        if number in self.running:
            self.running[number] = (self.running[number][0], epoch["epoch"])

    def ended(self, number: int, candidate: Point, costs: Mapping[str, float], outcome: Outcome) -> None:
        """A trial is over."""
        self.running.pop(number, None)
        self.states[outcome.state] += 1
        if outcome.state == "completed":
            known = {**costs, **outcome.metrics}
            self.points.append({name: float(known[name]) for name in self.objectives})
        for sentence in outcome.notes:
            self.note(sentence)
        if outcome.error:
            self.last_failure = f"trial {number} failed: {outcome.error}"
        if outcome.traceback and self.verbose:
            self._say(f"trial {number} failed:\n{readable(outcome.traceback)}")
        if self.live is None and not self.quiet:
            self._print(outcome)

    def warn(self, sentence: str) -> None:
        """Say what a reader of the run should know, also where progress is not shown."""
        self._say(f"warning: {sentence}")

    def _print(self, outcome: Outcome) -> None:
        """A line now and then, and one for every failure."""
        if outcome.error:
            self._say(self.last_failure)
        if time.monotonic() - self.printed >= PLAIN_EVERY_S:
            self.printed = time.monotonic()
            self._say(self.line())

    def note(self, sentence: str) -> None:
        """Show a sentence, the first time: on a terminal above the live display."""
        if sentence not in self.noted and not self.quiet:
            self._say(f"note: {sentence}")
        self.noted[sentence] = None

    def _say(self, text: str) -> None:
        """One line as it is: a failure's reason may hold brackets, which are no markup."""
        self.console.print(Text(text), soft_wrap=True)

    @property
    def done(self) -> int:
        """Trials that are over."""
        return self.before + sum(self.states.values())

    def time_left(self) -> float:
        """Seconds that are left, from the trials (and epochs of running ones) so far; NaN before there is any."""
        behind = sum(self.states.values())
        behind += sum(min(1.0, epoch / self.epochs) for _, epoch in tuple(self.running.values()))  # type: ignore[assignment]
        elapsed = time.monotonic() - self.started
        return elapsed / behind * (self.trials - self.before - behind) if behind > 0 else math.nan

    def hypervolume(self) -> float:
        """The hypervolume of the objectives so far, on the fixed scale of `results.hypervolume_of`."""
        if not self.points:
            return 0.0
        if self.measured != len(self.points):
            frame = pd.DataFrame(self.points)
            bounds = observed_bounds(frame, objectives=self.objectives)
            self.volume = hypervolume_of(frame, objectives=self.objectives, bounds=bounds)
            self.measured = len(self.points)
        return self.volume

    def ends(self) -> dict[str, str]:
        """The best point of each objective, by the objective's name; ties broken by the others in turn."""
        if not self.points:
            return dict.fromkeys(self.objectives, "-")
        plain = {name: plain_name(name) for name in self.objectives}
        signs = {name: 1.0 if direction == "minimize" else -1.0 for name, direction in self.objectives.items()}
        ends = {}
        for name in self.objectives:
            order = [name, *(other for other in self.objectives if other != name)]
            best = min(self.points, key=lambda point: [signs[each] * point[each] for each in order])
            others = ", ".join(f"{plain[each]} {_value(each, best[each])}" for each in self.objectives if each != name)
            ends[name] = _value(name, best[name]) + (f" ({others})" if others else "")
        return ends

    def line(self) -> str:
        """Where the run stands, in one line."""
        ends = "; ".join(f"best {plain_name(name)} {text}" for name, text in self.ends().items())
        return (
            f"{self.done}/{self.trials} trials, {len(self.running)} running, {self.states['failed']} failed, "
            f"{_duration(self.time_left())} left, hypervolume {self.hypervolume():.4f}, "
            f"{ends}"
        )

    def render(self) -> Group:
        """The live display."""
        table = Table.grid(padding=(0, 2))
        table.add_row("trials", ProgressBar(self.trials, self.done, width=40), f"{self.done} of {self.trials}")
        facts = [
            ("running", f"{len(self.running)}"),
            ("failed", f"{self.states['failed']}"),
            ("time left", _duration(self.time_left())),
            ("hypervolume", f"{self.hypervolume():.4f}"),
            *((f"best {plain_name(name)}", text) for name, text in self.ends().items()),
        ]
        for name, value in facts:
            table.add_row(name, value, "")
        lines = [
            Text(f"  trial {number}: epoch {epoch} of {self.epochs}  {_short(candidate)}", style="dim")
            for number, (candidate, epoch) in sorted(self.running.items())[:8]
        ]
        failure = [Text(self.last_failure, style="red")] if self.last_failure else []
        return Group(table, *lines, *failure)


def _short(candidate: Point) -> str:
    if isinstance(candidate, Configuration):
        return readable(", ".join(f"{name}={value}" for name, value in candidate.values), 200)
    return str(candidate)


def _value(name: str, value: float) -> str:
    return f"{value:,.0f}" if name in ("params", "macs") and value >= 100 else f"{value:.4g}"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
