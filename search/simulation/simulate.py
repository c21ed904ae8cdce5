"""A search over a table of recorded results, on a virtual clock: any sampler, any stopper, any number of workers.

Each repeat is an Optuna study in memory. A trial begins when a worker is free; its result is one of the candidate's
seeds at random, and arrives when its epochs are over. The search is judged by the mean over the seeds of what it has
completed: hypervolume as a share of the whole table's, every objective scaled to its bounds (0 best, 1 worst), counts
by their logarithm where asked, reference 1.01.

A sampler may ask for a candidate again that it has tried. As in Optuna that is a trial like any other, with a seed
drawn anew; `distinct` says how many candidates there were. (A run of leni-search asks again instead, or trains further
seeds.) A candidate that the table does not have is answered by the nearest one that it has.
"""

from __future__ import annotations

import heapq
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from leni.errors import SpecError
from results.fronts import minimised
from results.indicators import hypervolume
from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.history import READING, key_of
from search.decide.known_cost.knowledge import Knowledge
from search.decide.samplers import sampler
from search.decide.stopping.rules import Stopper, stopper
from search.simulation.table import Row, Table

__all__ = ["LEVELS", "REFERENCE", "Judge", "Setting", "Trace", "knowledge_of_table", "mean_of", "simulate"]

Array = NDArray[np.float64]
LEVELS = (0.90, 0.95, 0.98, 0.99)
REFERENCE = 1.01
DIFFERING = 0.05  # of the candidates may have a known cost that differs between their seeds, by mistakes of a table


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        trials: to begin.
        workers: at once.
        known: objectives that the sampler and the stopper know before a trial.
        log: objectives that count by their logarithm.
        bounds: of an objective, (least, greatest) value; None for those of the table's means.
    """

    trials: int
    workers: int = 1
    known: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def check(self, table: Table) -> None:
        """Whether it can be simulated on a table.

        Raises:
            SpecError: one sentence that says what cannot be.
        """
        for name, value in (("trials", self.trials), ("workers", self.workers)):
            if value < 1:
                raise SpecError(f"{name} must be at least 1, got {value}")
        for what, names in (("known", self.known), ("log", self.log), ("bounds", self.bounds)):
            if unknown := [name for name in names if name not in table.objectives]:
                raise SpecError(f"{what} must be of the objectives {', '.join(table.objectives)}, got {unknown[0]!r}")
        for name, (low, high) in self.bounds.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise SpecError(f"bounds of {name} must be finite with least < greatest, got {low:g}:{high:g}")
        places = {name: place for place, name in enumerate(table.objectives)}
        for name in self.log:
            least = min(float(table.means()[:, places[name]].min()), *self.bounds.get(name, (math.inf,)))
            if least <= 0:
                raise SpecError(f"log needs values above 0, and {name} has {least:g}")
        for name in self.known:
            differing = sum(np.ptp(row.values[:, places[name]]) > 0 for row in table.rows)
            if differing > DIFFERING * len(table.rows):
                raise SpecError(
                    f"{name} cannot be known: its value differs between the seeds of {differing:,} of "
                    f"{len(table.rows):,} candidates"
                )


class Judge:
    """Hypervolume of completed candidates as a share of the whole table's.

    Args:
        table: with at least one candidate better than the reference.
        setting: bounds and logarithms.

    Raises:
        SpecError: no candidate lies within the bounds.
    """

    def __init__(self, table: Table, setting: Setting) -> None:
        means = table.means()
        columns, ends = [], []
        for place, name in enumerate(table.objectives):
            values = means[:, place]
            limits = np.array(setting.bounds.get(name, (values.min(), values.max())))
            if name in setting.log:
                values, limits = np.log10(values), np.log10(limits)
            columns.append(values)
            ends.append(limits)
        unit = minimised(np.column_stack(columns), table.objectives)
        sides = minimised(np.column_stack(ends), table.objectives)
        best, span = sides.min(axis=0), np.ptp(sides, axis=0)
        self.unit = (unit - best) / np.where(span > 0, span, 1.0)
        self.reference = np.full(len(table.objectives), REFERENCE)
        self.whole = hypervolume(self.unit, self.reference)
        if self.whole <= 0:
            raise SpecError("no candidate of the table lies within the bounds, so there is no hypervolume to share")
        self.front = np.zeros((0, len(table.objectives)))
        self.share = 0.0

    def add(self, row: int) -> float:
        """One more completed candidate; the share that is reached."""
        point = self.unit[row]
        if (point < self.reference).all() and not (self.front <= point).all(axis=1).any():
            self.front = np.vstack([self.front[~(point <= self.front).all(axis=1)], point])
            self.share = max(self.share, hypervolume(self.front, self.reference) / self.whole)
        return self.share


@dataclass(frozen=True)
class Trace:
    """One repeat.

    Attributes:
        shares: after each ended trial, the hypervolume's share.
        epochs: likewise, all epochs that any trial had been trained by then.
        times: likewise, the clock.
        distinct: candidates that were begun.
        stopped: trials that were stopped.
    """

    shares: Array
    epochs: NDArray[np.int64]
    times: Array
    distinct: int
    stopped: int

    def summary(self) -> dict[str, Any]:
        """As JSON has it; a level that was not reached is None."""
        first = {level: next(iter(np.flatnonzero(self.shares >= level - 1e-12)), None) for level in LEVELS}
        return {
            "trials": len(self.shares),
            "distinct": self.distinct,
            "stopped": self.stopped,
            "epochs": int(self.epochs[-1]),
            "simulated_time": float(self.times[-1]),
            "hypervolume": float(self.shares[-1]),
            "first_trial": {f"{level:.2f}": None if at is None else int(at) + 1 for level, at in first.items()},
            "first_epoch": {
                f"{level:.2f}": None if at is None else int(self.epochs[at]) for level, at in first.items()
            },
        }


def knowledge_of_table(table: Table, setting: Setting) -> Knowledge:
    """What a sampler may know: the candidates, the known objectives, and the bounds that the user gave."""
    names = list(table.objectives)
    costs = {
        names.index(name): _Column({key_of(row.parameters): float(row.values[:, names.index(name)].mean())
                                    for row in table.rows}) for name in setting.known
    }  # fmt: skip
    return Knowledge(
        costs,
        [row.parameters for row in table.rows],
        table.distributions,
        {names.index(name): limits for name, limits in setting.bounds.items()},
        [index for index in costs if names[index] in setting.log],
    )


@dataclass(frozen=True)
class _Column:
    """A column of the table as a function of parameters; NaN where the table has no such candidate."""

    values: Mapping[Any, float]

    def __call__(self, parameters: Mapping[str, Any]) -> float:
        return self.values.get(key_of(parameters), math.nan)


@dataclass
class _Running:
    """A trial on a worker."""

    trial: Trial
    row: int
    seed: int
    epoch: int = 0


def simulate(
    table: Table,
    setting: Setting,
    *,
    sampler_name: str,
    stopper_name: str = "none",
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> Trace:
    """One repeat.

    Args:
        table: of results.
        setting: what is simulated.
        sampler_name: one of `samplers.SAMPLERS`.
        stopper_name: one of `stopping.STOPPERS`; needs a table with curves, unless it is "none".
        seed: of the sampler and of the seeds that it sees.
        tick: called after each trial.

    Raises:
        SpecError: there is no sampler or stopper of the name, or the table has no curves to stop by.
    """
    return _Simulation(table, setting, sampler_name, stopper_name, seed).run(tick)


class _Simulation:
    """The clock, the study, and what runs."""

    def __init__(self, table: Table, setting: Setting, sampler_name: str, stopper_name: str, seed: int) -> None:
        self.table, self.setting = table, setting
        seeds = np.random.SeedSequence(seed).generate_state(2)
        self.generator = np.random.default_rng(seeds[1])
        chosen = sampler(sampler_name, seed=int(seeds[0] % 2**31), knowledge=knowledge_of_table(table, setting))
        self.study = optuna.create_study(
            directions=[StudyDirection[way.upper()] for way in table.objectives.values()], sampler=chosen
        )
        self.stopper = self._stopper(stopper_name)
        self.judge = Judge(table, setting)
        self.rows = {key_of(row.parameters): place for place, row in enumerate(table.rows)}
        self.nearest = _Nearest(table)
        self.places = [list(table.objectives).index(name) for name in setting.known]
        self.events: list[tuple[float, int, int]] = []
        self.running: dict[int, _Running] = {}
        self.begun = self.spent = self.stopped = 0
        self.tried: set[int] = set()
        self.log: list[tuple[float, int, float]] = []

    def _stopper(self, name: str) -> Stopper | None:
        objectives, setting = self.table.objectives, self.setting
        uncertain = [objective for objective in objectives if objective not in setting.known]
        judged = (uncertain or list(objectives))[0]
        made = stopper(
            name, epochs=self.table.epochs, costs=len(setting.known), maximise=objectives[judged] == "maximize",
            bounds=setting.bounds.get(judged),
        )  # fmt: skip
        if made is not None and not self.table.rows[0].curves:
            raise SpecError(f"stopper {name!r} needs learning curves: name their column")
        return made

    def run(self, tick: Callable[[], None]) -> Trace:
        """To the end of the last trial."""
        now = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # samplers warn of their own experimental parts
            self._fill(now)
            while self.events:
                now, _, number = heapq.heappop(self.events)
                if self._advance(number, now):
                    tick()
                    self._fill(now)
        shares, epochs, times = zip(*((share, spent, at) for share, spent, at in self.log), strict=True)
        return Trace(np.array(shares), np.array(epochs), np.array(times), len(self.tried), self.stopped)

    def _fill(self, now: float) -> None:
        """A trial for every free worker."""
        while len(self.running) < self.setting.workers and self.begun < self.setting.trials:
            trial, place = self._ask()
            row = self.table.rows[place]
            number = self.begun
            self.begun += 1
            self.tried.add(place)
            self.running[number] = _Running(trial, place, int(self.generator.integers(len(row.values))))
            if self.stopper is not None:
                self.stopper.begin(number, [self._worse(row, column) for column in self.places])
            self._schedule(number, now)

    def _worse(self, row: Row, column: int) -> float:
        """A known cost as a stopper has it: larger is worse."""
        value = float(row.values[:, column].mean())
        return -value if list(self.table.objectives.values())[column] == "maximize" else value

    def _values(self, row: Row, seed: int) -> list[float]:
        """What a seed came to; of a known cost what is known, the mean over the seeds."""
        values = [float(value) for value in row.values[seed]]
        for column in self.places:
            values[column] = float(row.values[:, column].mean())
        return values

    def _schedule(self, number: int, now: float) -> None:
        """The next event of a trial: its next epoch where a stopper looks at it, else its end."""
        live = self.running[number]
        row = self.table.rows[live.row]
        steps = 1 if self.stopper is not None else self.table.epochs
        live.epoch += steps
        heapq.heappush(self.events, (now + steps * float(row.times[live.seed]) / self.table.epochs, number, number))

    def _ask(self) -> tuple[Trial, int]:
        """A trial of the study, and the table's row that it stands for."""
        trial = self.study.ask()
        parameters = {name: trial._suggest(name, one) for name, one in self.table.distributions.items()}
        place = self.rows.get(key_of(parameters))
        if place is not None:
            return trial, place
        place = self.nearest(parameters)
        wanted = self.table.rows[place].parameters
        self.study.tell(trial, state=TrialState.FAIL)
        self.study.enqueue_trial(dict(wanted))
        trial = self.study.ask()
        for name in wanted:
            trial._suggest(name, self.table.distributions[name])
        return trial, place

    def _advance(self, number: int, now: float) -> bool:
        """One event; whether it was the trial's last."""
        live = self.running[number]
        row = self.table.rows[live.row]
        if self.stopper is None:
            self.spent += self.table.epochs
        else:
            self.spent += 1
            reading = float(row.curves[live.seed][live.epoch - 1])
            stops = self.stopper.report(number, live.epoch, reading) and live.epoch < self.table.epochs
            if not stops and live.epoch < self.table.epochs:
                self._schedule(number, now)
                return False
            if stops:
                self._end_stopped(number, live, row, reading, now)
                return True
        self.study.tell(live.trial, self._values(row, live.seed))
        if self.stopper is not None:
            self.stopper.end(number, "completed")
        self._ended(number, now, self.judge.add(live.row))
        return True

    def _end_stopped(self, number: int, live: _Running, row: Row, reading: float, now: float) -> None:
        """A stopped trial is no result; the sampler may look at its reading."""
        assert self.stopper is not None
        values = self._values(row, live.seed)
        uncertain = [place for place in range(len(values)) if place not in self.places]
        if len(uncertain) == 1 and math.isfinite(reading):
            values[uncertain[0]] = reading
            live.trial.set_user_attr(READING, values)
        self.study.tell(live.trial, state=TrialState.FAIL)
        self.stopper.end(number, "stopped")
        self.stopped += 1
        self._ended(number, now, self.judge.share)

    def _ended(self, number: int, now: float, share: float) -> None:
        del self.running[number]
        self.log.append((share, self.spent, now))


class _Nearest:
    """The row of a table whose parameters are nearest to others."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.encoder = Encoder(table.distributions)
        self.columns: Array | None = None

    def __call__(self, parameters: Mapping[str, Any]) -> int:
        """Its number; the first of equals."""
        if self.columns is None:
            self.columns = self.encoder.encode([row.parameters for row in self.table.rows])
        wanted = self.encoder.encode([parameters])[0]
        return int(np.argmin(((self.columns - wanted) ** 2).sum(axis=1)))


def mean_of(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of several repeats' summaries; a level that some repeat did not reach has none."""
    mean: dict[str, Any] = {}
    for name, value in summaries[0].items():
        if isinstance(value, Mapping):
            reached = {level: [summary[name][level] for summary in summaries] for level in value}
            mean[name] = {level: None if None in found else sum(found) / len(found) for level, found in reached.items()}
        else:
            mean[name] = sum(summary[name] for summary in summaries) / len(summaries)
    mean["reached"] = {
        level: sum(summary["first_trial"][level] is not None for summary in summaries)
        for level in summaries[0]["first_trial"]
    }
    return mean
