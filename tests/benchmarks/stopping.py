"""Early stopping on recorded learning curves: python tests/benchmarks/stopping.py

For each table and stopper, over random orders of the candidates and one worker: the share of the attainable hypervolume
(all trainings to their end) that the completed trainings have, and the epochs spent as a share of full training.
Hypervolume is that of the simulator: accuracy between its bounds against log10 of the parameters between the table's
least and greatest, reference 1.01.

Beside the package's own stoppers stand two rules of others, written anew here from their sources:

- multi-metric: OptunaHub's pruner of that name in its joint mode around Optuna's MedianPruner with its defaults, which
  ranks all trials of an epoch by dominance over (accuracy, parameters) and stops one whose best rank so far is above
  the median rank of the ended trials at this epoch. Source: optuna/optunahub-registry, package/pruners/
  multi_metric_pruner, 04716e9; the package itself is fetched from GitHub when it is used.
- moasha: Syne Tune's MOASHA with its defaults (rungs at 1, 3, 9, ...), corrected: its priority is the place by true
  non-dominated rank, then crowding, where the original takes a sorted list of indices for places.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from results import crowding, hypervolume, ranks
from search.decide.stopping.halving import rungs
from search.decide.stopping.rules import STOPPERS, Stopper, stopper

DATA = Path(__file__).parents[1] / "data"
TABLES = (DATA / "curves-digits.parquet", DATA / "curves-fashion-mnist.parquet")
REFERENCE = 1.01
STARTUP = 5  # completed trials before MedianPruner stops any


class MultiMetric:
    """OptunaHub's multi-metric pruner, joint mode, around MedianPruner."""

    def __init__(self) -> None:
        self.costs: dict[int, float] = {}
        self.steps: dict[int, dict[int, tuple[float, float]]] = {}
        self.ended: set[int] = set()

    def begin(self, number: int, costs: list[float]) -> None:
        self.costs[number] = costs[0]

    def report(self, number: int, epoch: int, value: float) -> bool:
        self.steps.setdefault(epoch, {})[number] = (-value, self.costs[number])
        if len(self.ended) < STARTUP:
            return False
        best, others = math.inf, np.empty(0)
        for step in range(1, epoch + 1):
            numbers, rows = zip(*self.steps[step].items(), strict=True)
            found = ranks(np.array(rows))
            best = min(best, float(found[numbers.index(number)]))
            others = found[[place for place, other in enumerate(numbers) if other in self.ended]]
        return bool(len(others)) and best > float(np.median(others))

    def end(self, number: int, state: str) -> None:
        self.ended.add(number)


class Moasha:
    """Syne Tune's MOASHA with true ranks."""

    def __init__(self, epochs: int) -> None:
        self.costs: dict[int, float] = {}
        self.rungs: dict[int, list[tuple[float, float]]] = {epoch: [] for epoch in rungs(epochs)}

    def begin(self, number: int, costs: list[float]) -> None:
        self.costs[number] = costs[0]

    def report(self, number: int, epoch: int, value: float) -> bool:
        if epoch not in self.rungs:
            return False
        self.rungs[epoch].append((-value, self.costs[number]))
        rows = np.array(self.rungs[epoch])
        levels = ranks(rows)
        order = np.lexsort([-crowding(rows, levels), levels])
        return bool(np.flatnonzero(order == len(rows) - 1)[0] >= len(rows) / 3)

    def end(self, number: int, state: str) -> None:
        pass


class Table:
    """Recorded curves, and what a set of completed candidates is worth."""

    def __init__(self, path: Path, bounds: tuple[float, float] | None) -> None:
        frame = pd.read_parquet(path)
        self.params = frame["params"].to_numpy(dtype=float)
        self.curves = np.array(frame["curve"].tolist(), dtype=float)
        finals = self.curves[:, -1]
        least, greatest = bounds or (finals.min(), finals.max())
        sizes = np.log10(self.params)
        self.unit = np.column_stack(
            [(greatest - finals) / (greatest - least), (sizes - sizes.min()) / np.ptp(sizes)],
        )
        self.whole = self.volume(np.arange(len(finals)))

    def volume(self, rows: np.ndarray) -> float:
        return hypervolume(self.unit[rows], np.full(2, REFERENCE))

    def run(self, judge: Stopper | None, order: np.ndarray, workers: int) -> tuple[float, float]:
        """Share of the hypervolume and of the epochs; workers take one epoch each in turn."""
        waiting, live, done, spent = list(order[::-1]), [], [], 0
        while waiting or live:
            while waiting and len(live) < workers:
                live.append((waiting.pop(), 0))
                if judge is not None:
                    judge.begin(int(live[-1][0]), [float(self.params[live[-1][0]])])
            running = []
            for row, epoch in live:
                spent += 1
                stop = judge is not None and judge.report(int(row), epoch + 1, float(self.curves[row, epoch]))
                finished = epoch + 1 == self.curves.shape[1]
                if finished:
                    done.append(row)
                if judge is not None and (finished or stop):
                    judge.end(int(row), "completed" if finished else "stopped")
                if not finished and not stop:
                    running.append((row, epoch + 1))
            live = running
        return self.volume(np.array(done)) / self.whole, spent / self.curves.size


def stoppers(epochs: int, bounds: tuple[float, float] | None) -> dict[str, Callable[[], Stopper | None]]:
    """By the name that the table of figures has."""
    own = {name: partial(stopper, name, epochs=epochs, bounds=bounds) for name in STOPPERS}
    return {**own, "multi-metric": MultiMetric, "moasha": partial(Moasha, epochs)}


def main() -> None:
    """Print one line a table and stopper."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path, default=TABLES)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--bounds", default="0:1", help="of the accuracy, LEAST:GREATEST, or 'table' for the table's own"
    )
    flags = parser.parse_args()
    bounds = None if flags.bounds == "table" else tuple(map(float, flags.bounds.split(":")))
    print("| table | stopper | hypervolume, mean | worst | epochs, mean | most |\n|---|---|---|---|---|---|")
    for path in flags.tables:
        table = Table(path, bounds)
        orders = [np.random.default_rng(seed).permutation(len(table.params)) for seed in range(flags.orders)]
        for name, make in stoppers(table.curves.shape[1], bounds).items():
            shares, epochs = np.array([table.run(make(), order, flags.workers) for order in orders]).T
            print(
                f"| {path.stem} ({len(table.params)}) | {name} | {shares.mean():.2%} | {shares.min():.2%} "
                f"| {epochs.mean():.1%} | {epochs.max():.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
