"""A search over a table of recorded results, on a virtual clock: any sampler, any pruner, any number of workers.

The loop is the engine's (`search.engine.core`), the one that Ray drives in a run: candidates, duplicates, early
stopping, and what the sampler is told are the same; only a training is replaced by its recorded result, and the time it
took by an event. A trial's result is one of the candidate's seeds at random. The search is judged by the mean over the
seeds of what it has completed: hypervolume as a fraction of the whole table's, every objective scaled to its bounds (0
best, 1 worst), counts by their logarithm where asked, reference 1.01.

A candidate that the table does not have is answered by the nearest one that it has (`table_space`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leni.errors import SpecError
from results.fronts import minimised
from results.indicators import hypervolume
from search.decide.known_cost.estimates import Estimate
from search.decide.known_cost.hints import Hint
from search.decide.known_cost.history import key_of
from search.decide.known_cost.knowledge import COUNTED, LISTED, Knowledge
from search.decide.samplers import sampler
from search.decide.stopping.keep import KEEP
from search.decide.stopping.roles import Roles
from search.decide.stopping.rules import Pruner, pruner
from search.engine.asker import Asker
from search.engine.budget import Budget
from search.engine.core import Engine, Task
from search.simulation.table import Row, Table
from search.simulation.table_space import TableSpace
from spaces import Configuration

__all__ = ["LEVELS", "REFERENCE", "Judge", "Setting", "Trace", "knowledge_of_table", "mean_of", "simulate"]

Array = NDArray[np.float64]
LEVELS = (0.90, 0.95, 0.98, 0.99)
REFERENCE = 1.01
DUPLICATES = ("skip", "reseed", "allow")
DIFFERING = 0.05  # of the candidates may have a known cost that differs between their seeds, by mistakes of a table


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        trials: to begin.
        workers: at once.
        known: objectives that the sampler and the pruner know before a trial.
        log: objectives that count by their logarithm.
        bounds: of an objective, (least, greatest) value; those of the table's means where there are none.
        duplicates: what becomes of a candidate that the sampler asks for again, as in a run: "skip", "reseed", "allow".
        keep: fraction of the hypervolume that the pruner learned is to keep.
        earlier: tables of earlier searches over the same parameters on other data, with their name; of their objectives
            the one that is first of those not known here counts.
    """

    trials: int
    workers: int = 1
    known: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    duplicates: str = "skip"
    keep: float = KEEP
    earlier: Mapping[str, Table] = field(default_factory=dict)

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
        if (table.proxies or self.earlier) and len(self.known) == len(table.objectives):
            raise SpecError("proxies and earlier searches tell of an objective that is not known before a trial")
        for name, (low, high) in self.bounds.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise SpecError(f"bounds of {name} must be finite with least < greatest, got {low:g}:{high:g}")
        if self.duplicates not in DUPLICATES:
            raise SpecError(f"duplicates must be one of {', '.join(DUPLICATES)}, got {self.duplicates!r}")
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
    """Hypervolume of completed candidates as a fraction of the whole table's.

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
            raise SpecError(
                "no candidate of the table lies within the bounds, so there is no hypervolume to compare with"
            )
        self.front = np.zeros((0, len(table.objectives)))
        self.share = 0.0

    def add(self, row: int) -> float:
        """One more completed candidate; the fraction of the hypervolume that is reached."""
        point = self.unit[row]
        if (point < self.reference).all() and not (self.front <= point).all(axis=1).any():
            self.front = np.vstack([self.front[~(point <= self.front).all(axis=1)], point])
            self.share = max(self.share, hypervolume(self.front, self.reference) / self.whole)
        return self.share


@dataclass(frozen=True)
class Trace:
    """One repeat.

    Attributes:
        shares: after each ended trial, the fraction of the table's hypervolume.
        epochs: likewise, all epochs that any trial had been trained by then.
        times: likewise, the clock.
        distinct: candidates that were begun.
        stopped: trials that were stopped.
        given_away: fraction of the hypervolume that they were worth by the pruner's estimate; None without one.
    """

    shares: Array
    epochs: NDArray[np.int64]
    times: Array
    distinct: int
    stopped: int
    given_away: float | None = None

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
            "given_away": self.given_away,
            "first_trial": {f"{level:.2f}": None if at is None else int(at) + 1 for level, at in first.items()},
            "first_epoch": {
                f"{level:.2f}": None if at is None else int(self.epochs[at]) for level, at in first.items()
            },
        }


def knowledge_of_table(table: Table, setting: Setting) -> Knowledge:
    """What a sampler may know of a table: what an engine's sampler knows of a space (`knowledge_of`)."""
    space, names = TableSpace(table), list(table.objectives)
    points = {point: (space.parameters(point) or ({}, {}))[0] for point in space.candidates()}
    costs = {
        names.index(name): _Column({key_of(parameters): _cost(table, name, space.rows_of[point])
                                    for point, parameters in points.items()}) for name in setting.known
    }  # fmt: skip
    return Knowledge(
        costs,
        list(points.values()) if len(points) <= LISTED else None,
        {name: found for name, one in space.dimensions().items() if (found := one.distribution()) is not None},
        {names.index(name): limits for name, limits in setting.bounds.items()},
        [index for index in costs if names[index] in setting.log] if setting.log else None,
        hints_of_table(table, setting),
        COUNTED,
    )


def uncertain(table: Table, setting: Setting) -> str:
    """The objective that has a curve, and that hints tell of: as in a run, see `Roles.of`."""
    return next(iter(Roles.of(table.objectives, known=setting.known, measured="accuracy").measured))


def hints_of_table(table: Table, setting: Setting) -> list[Hint]:
    """What the table's proxies and earlier searches tell of candidates before a trial."""
    name = uncertain(table, setting)
    index, direction = list(table.objectives).index(name), table.objectives[name]
    hints = []
    for place, (proxy, better) in enumerate(table.proxies.items()):
        sign = 1.0 if better == direction else -1.0
        column = _Column({key_of(row.parameters): sign * float(row.proxies[place]) for row in table.rows})
        hints.append(Hint(proxy, index, column.of))
    for label, other in setting.earlier.items():
        values = other.means()[:, list(other.objectives).index(name)]
        hints.append(Hint(label, index, Estimate(other.distributions, partial(_results, other, values))))
    return hints


def _results(table: Table, values: Array) -> tuple[list[Mapping[str, Any]], Array]:
    """Candidates of a table with a value of each."""
    return [row.parameters for row in table.rows], values


def _cost(table: Table, name: str, row: int) -> float:
    """A known cost of a row: the mean over its seeds."""
    return float(table.rows[row].values[:, list(table.objectives).index(name)].mean())


@dataclass(frozen=True)
class _Column:
    """A column of the table as a function of parameters; NaN where the table has no such candidate."""

    values: Mapping[Any, float]

    def __call__(self, parameters: Mapping[str, Any]) -> float:
        return self.values.get(key_of(parameters), math.nan)

    def of(self, candidates: Sequence[Mapping[str, Any]]) -> Array:
        """(n,)."""
        return np.array([self(parameters) for parameters in candidates])


class _Numbers:
    """A ledger that numbers the trials and keeps nothing else."""

    def __init__(self, objectives: Mapping[str, str]) -> None:
        self.objectives, self.count = dict(objectives), 0

    def begin(self, *_: Any, **__: Any) -> int:
        """The next number."""
        self.count += 1
        return self.count - 1

    def suggested(self, *_: Any) -> None:
        """Nothing: the candidates of a table declare no parameters while they run."""

    def end(self, number: int, outcome: Any) -> None:
        """Nothing to keep."""


@dataclass
class _Running:
    """A trial on a worker."""

    row: int
    seed: int
    epoch: int = 0


def simulate(
    table: Table,
    setting: Setting,
    *,
    sampler_name: str,
    pruner_name: str = "none",
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> Trace:
    """One repeat.

    Args:
        table: of results.
        setting: what is simulated.
        sampler_name: one of `samplers.SAMPLERS`.
        pruner_name: one of the pruners; needs a table with curves, unless it is "none".
        seed: of the sampler, as `leni-search run --seed` gives it, and of the seeds that trials are answered by.
        tick: called after each trial.

    Raises:
        SpecError: there is no sampler or pruner of the name, or the table has no curves to stop by.
    """
    return _Simulation(table, setting, sampler_name, pruner_name, seed).run(tick)


class _Simulation:
    """The clock, and what runs."""

    def __init__(self, table: Table, setting: Setting, sampler_name: str, pruner_name: str, seed: int) -> None:
        self.table, self.setting, self.space = table, setting, TableSpace(table)
        self.generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        self.curve = uncertain(table, setting)
        asker = Asker(
            self.space,
            sampler(sampler_name, seed=seed % 2**31, knowledge=knowledge_of_table(table, setting)),
            directions=list(table.objectives.values()),
            seed=seed,
            check=self._costs,
            duplicates=setting.duplicates,
        )
        self.engine = Engine(
            asker, _Numbers(table.objectives), costs=self._costs, budget=Budget(setting.trials), slots=setting.workers,
            pruner=self._pruner(pruner_name), curve=self.curve,
        )  # fmt: skip
        self.judge = Judge(table, setting)
        self.events: list[tuple[float, int]] = []
        self.running: dict[int, _Running] = {}
        self.spent = self.stopped = 0
        self.tried: set[int] = set()
        self.log: list[tuple[float, int, float]] = []

    def _costs(self, candidate: Configuration) -> dict[str, float]:
        row = self.space.rows_of[candidate]
        return {name: _cost(self.table, name, row) for name in self.setting.known}

    def _pruner(self, name: str) -> Pruner | None:
        roles = Roles.of(self.table.objectives, known=self.setting.known, measured=self.curve)
        made = pruner(
            name, epochs=self.table.epochs, costs=len(roles.known), others=len(roles.others), maximise=roles.maximise,
            bounds=self.setting.bounds.get(self.curve), keep=self.setting.keep,
        )  # fmt: skip
        if made is not None and not self.table.rows[0].curves:
            raise SpecError(f"pruner {name!r} needs learning curves: name their column")
        return made

    def run(self, tick: Callable[[], None]) -> Trace:
        """To the end of the last trial."""
        now = 0.0
        self._fill(now)
        while self.events:
            now, number = heapq.heappop(self.events)
            if self._advance(number, now):
                tick()
                self._fill(now)
        shares, epochs, times = zip(*((share, spent, at) for share, spent, at in self.log), strict=True)
        given_away = None if self.engine.pruner is None else self.engine.pruner.given_away()
        return Trace(np.array(shares), np.array(epochs), np.array(times), len(self.tried), self.stopped, given_away)

    def _fill(self, now: float) -> None:
        """A trial for every free worker."""
        while (task := self.engine.next(now)) is not None:
            row = self._row(task)
            self.tried.add(row)
            self.running[task.number] = _Running(row, int(self.generator.integers(len(self.table.rows[row].values))))
            self._schedule(task.number, now)

    def _row(self, task: Task) -> int:
        candidate = task.asked.candidate
        assert isinstance(candidate, Configuration)
        return self.space.rows_of[candidate]

    def _schedule(self, number: int, now: float) -> None:
        """The next event of a trial: its next epoch where a pruner looks at it, else its end."""
        live = self.running[number]
        row = self.table.rows[live.row]
        steps = 1 if self.engine.pruner is not None else self.table.epochs
        live.epoch += steps
        heapq.heappush(self.events, (now + steps * float(row.times[live.seed]) / self.table.epochs, number))

    def _advance(self, number: int, now: float) -> bool:
        """One event; whether it was the trial's last."""
        live = self.running[number]
        row, last = self.table.rows[live.row], live.epoch >= self.table.epochs
        if self.engine.pruner is None:
            self.spent += self.table.epochs
        else:
            self.spent += 1
            point = {"epoch": live.epoch, self.engine.curve: float(row.curves[live.seed][live.epoch - 1])}
            stops = self.engine.report(number, [point], done=last)
            if not stops and not last:
                self._schedule(number, now)
                return False
            if stops:
                self.engine.stop(number, now)
                self.stopped += 1
                self._ended(number, now, self.judge.share)
                return True
        self.engine.complete(number, self._metrics(row, live.seed), now)
        self._ended(number, now, self.judge.add(live.row))
        return True

    def _metrics(self, row: Row, seed: int) -> dict[str, float]:
        """What a seed came to, of the objectives that are not known before."""
        names = list(self.table.objectives)
        return {name: float(row.values[seed, names.index(name)]) for name in names if name not in self.setting.known}

    def _ended(self, number: int, now: float, share: float) -> None:
        del self.running[number]
        self.log.append((share, self.spent, now))


def mean_of(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of several repeats' summaries; a level that some repeat did not reach has none."""
    mean: dict[str, Any] = {}
    for name, value in summaries[0].items():
        if isinstance(value, Mapping):
            reached = {level: [summary[name][level] for summary in summaries] for level in value}
            mean[name] = {level: None if None in each else sum(each) / len(each) for level, each in reached.items()}
        else:
            found = [summary[name] for summary in summaries]
            mean[name] = None if None in found else sum(found) / len(found)
    mean["reached"] = {
        level: sum(summary["first_trial"][level] is not None for summary in summaries)
        for level in summaries[0]["first_trial"]
    }
    return mean
