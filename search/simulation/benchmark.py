"""Several samplers and pruners on one table, each repeated with other seeds, in as many processes as are given."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd

from leni.errors import SpecError
from search.decide.quiet import without_optunas_lines
from search.decide.samplers import sampler
from search.decide.stopping.rules import pruner
from search.simulation.simulate import Judge, Setting, Trace, mean_of, simulate
from search.simulation.table import Table

__all__ = ["Compared", "compare"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Compared:
    """One sampler with one pruner.

    Attributes:
        sampler: its name.
        pruner: its name.
        traces: one a repeat.
    """

    sampler: str
    pruner: str
    traces: Sequence[Trace]

    def to_dict(self) -> dict[str, Any]:
        """The mean and every repeat, as JSON has them."""
        repeats = [trace.summary() for trace in self.traces]
        return {"mean": mean_of(repeats), "repeats": repeats}

    def frame(self, *, name: str, steps: str) -> pd.DataFrame:
        """A row for each ended trial of each repeat, as `results.figures.simulation` draws them.

        Args:
            name: of this search in the figure.
            steps: "trials" or "epochs".
        """
        parts = [
            pd.DataFrame(
                {
                    "search": name,
                    "repeat": number,
                    "step": np.arange(1, len(trace.shares) + 1) if steps == "trials" else trace.epochs,
                    "share": trace.shares,
                }
            )
            for number, trace in enumerate(self.traces)
        ]
        return pd.concat(parts, ignore_index=True)


def compare(
    table: Table,
    setting: Setting,
    *,
    samplers: Sequence[str],
    pruners: Sequence[str],
    repeats: int,
    seed: int,
    jobs: int = 1,
    done: Callable[[], None] = lambda: None,
) -> list[Compared]:
    """Every sampler with every pruner.

    Args:
        table: of results.
        setting: what is simulated.
        samplers: names.
        pruners: names.
        repeats: of each, with the seeds that follow `seed`, the same ones for every sampler.
        seed: of the first.
        jobs: processes; the result does not depend on them.
        done: called after each repeat.

    Raises:
        SpecError: a name, a number or the setting is not possible on this table; before anything is simulated.
    """
    for name, value in (("repeats", repeats), ("jobs", jobs)):
        if value < 1:
            raise SpecError(f"{name} must be at least 1, got {value}")
    setting.check(table)
    Judge(table, setting)
    for name in samplers:
        sampler(name, seed=0)
    for name in pruners:
        if pruner(name, epochs=table.epochs, costs=len(setting.known), keep=setting.keep) and not table.rows[0].curves:
            raise SpecError(f"pruner {name!r} needs learning curves: name their column with curve")
    pairs = [(one, other) for one in samplers for other in pruners]
    tasks = [(one, other, number) for one, other in pairs for number in range(repeats)]
    keys = [{"sampler_name": one, "pruner_name": other, "seed": seed + number} for one, other, number in tasks]
    found = _run(table, setting, keys, min(jobs, len(keys)), done)
    return [
        Compared(one, other, found[place * repeats : (place + 1) * repeats]) for place, (one, other) in enumerate(pairs)
    ]


def _run(
    table: Table, setting: Setting, keys: Sequence[Mapping[str, Any]], jobs: int, done: Callable[[], None]
) -> list[Trace]:
    """Every repeat, in the order of `keys`."""
    if jobs == 1:
        found = []
        with without_optunas_lines():
            for key in keys:
                found.append(simulate(table, setting, **key))
                done()
        return found
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(jobs, context, _prepare, (table, setting)) as pool:
        futures = [pool.submit(_repeat, key) for key in keys]
        waiting: set[Future[Trace]] = set(futures)
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    future.result()
                    done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


_shared: dict[str, Any] = {}


def _prepare(table: Table, setting: Setting) -> None:
    """A process of the pool gets the table once."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _shared.update(table=table, setting=setting)


def _repeat(key: Mapping[str, Any]) -> Trace:
    return simulate(_shared["table"], _shared["setting"], **key)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that begin within this block compute with one thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
