"""Early stopping on recorded learning curves: python tests/benchmarks/pruning.py [TABLE ...]

For each table and pruner, over random orders of the candidates: the fraction of the attainable hypervolume (all
trainings to their end) that the completed trainings have, the epochs spent as a fraction of full training, what a
random subset of the candidates trained to their end has for as many epochs, and what the pruner says it gave away.
Hypervolume is that of the simulator: accuracy between its bounds against log10 of the parameters between the table's
least and greatest, reference 1.01. With `--bounds table` the bounds, of the judgement and of the pruner, are the
table's least and greatest final accuracy.

Beside the package's own pruners stand two rules of others, written anew here from their sources:

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
from typing import Any

import numpy as np
import pandas as pd

from results import crowding, hypervolume, ranks
from search.decide.stopping.halving import rungs
from search.decide.stopping.keep import KEEP
from search.decide.stopping.rules import PRUNERS, Pruner, pruner

DATA = Path(__file__).parents[1] / "data"
TABLES = tuple(sorted(DATA.glob("curves-*.parquet")))
MEASURED = ("params", "macs", "accuracy", "curve")
SUBSETS = 300  # random ones, for the baseline
REFERENCE = 1.01
STARTUP = 5  # completed trials before MedianPruner stops any


class MultiMetric:
    """OptunaHub's multi-metric pruner, joint mode, around MedianPruner."""

    def __init__(self) -> None:
        self.costs: dict[int, float] = {}
        self.steps: dict[int, dict[int, tuple[float, float]]] = {}
        self.ended: set[int] = set()

    def begin(self, number: int, costs: list[float], recipe: dict[str, Any]) -> None:
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

    def given_away(self) -> None:
        return None


class Moasha:
    """Syne Tune's MOASHA with true ranks."""

    def __init__(self, epochs: int) -> None:
        self.costs: dict[int, float] = {}
        self.rungs: dict[int, list[tuple[float, float]]] = {epoch: [] for epoch in rungs(epochs)}

    def begin(self, number: int, costs: list[float], recipe: dict[str, Any]) -> None:
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

    def given_away(self) -> None:
        return None


class Table:
    """Recorded curves, and what a set of completed candidates is worth."""

    def __init__(self, path: Path, bounds: tuple[float, float] | None) -> None:
        frame = pd.read_parquet(path)
        chosen = frame.drop(columns=list(MEASURED)).astype(object)
        self.recipes = [row[row.notna()].to_dict() for _, row in chosen.iterrows()]
        self.params = frame["params"].to_numpy(dtype=float)
        self.curves = np.array(frame["curve"].tolist(), dtype=float)
        finals = self.curves[:, -1]
        self.bounds = least, greatest = bounds or (float(finals.min()), float(finals.max()))
        sizes = np.log10(self.params)
        self.unit = np.column_stack(
            [(greatest - finals) / (greatest - least), (sizes - sizes.min()) / np.ptp(sizes)],
        )
        self.whole = self.volume(np.arange(len(finals)))

    def volume(self, rows: np.ndarray) -> float:
        return hypervolume(self.unit[rows], np.full(2, REFERENCE))

    def subset(self, share: float) -> float:
        """Fraction of the hypervolume that a random share of the trainings has, in the mean."""
        rows, count = len(self.params), max(1, round(share * len(self.params)))
        subsets = (np.random.default_rng(seed).permutation(rows)[:count] for seed in range(SUBSETS))
        return float(np.mean([self.volume(subset) for subset in subsets])) / self.whole

    def run(self, judge: Pruner | None, order: np.ndarray, workers: int) -> tuple[float, float]:
        """Fraction of the hypervolume and of the epochs; workers take one epoch each in turn."""
        waiting, live, done, spent = list(order[::-1]), [], [], 0
        while waiting or live:
            while waiting and len(live) < workers:
                row = waiting.pop()
                live.append((row, 0))
                if judge is not None:
                    judge.begin(int(row), [float(self.params[row])], self.recipes[row])
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


def pruners(epochs: int, bounds: tuple[float, float], keep: float) -> dict[str, Callable[[], Pruner | None]]:
    """By the name that the table of figures has."""
    own = {name: partial(pruner, name, epochs=epochs, bounds=bounds, keep=keep) for name in PRUNERS}
    return {**own, "multi-metric": MultiMetric, "moasha": partial(Moasha, epochs)}


def figures(table: Table, make: Callable[[], Pruner | None], flags: argparse.Namespace) -> str:
    """One line of the printed table, after its name."""
    shares, epochs, said = [], [], []
    for seed in range(flags.orders):
        judge = make()
        share, spent = table.run(judge, np.random.default_rng(seed).permutation(len(table.params)), flags.workers)
        shares.append(share)
        epochs.append(spent)
        said.append(None if judge is None else judge.given_away())
    estimate = "" if None in said else f"{np.mean(said):.2%}"
    return (
        f"{np.mean(shares):.2%} | {np.min(shares):.2%} | {np.mean(epochs):.1%} | {np.max(epochs):.1%} "
        f"| {table.subset(float(np.mean(epochs))):.2%} | {estimate} |"
    )


def main() -> None:
    """Print one line per table, bounds and pruner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path, default=TABLES)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=float, default=KEEP)
    parser.add_argument("--pruner", default="", help="names, with commas; all if not given")
    parser.add_argument(
        "--bounds",
        default="0:1,table",
        help="of the accuracy, LEAST:GREATEST, or 'table' for its own, with commas",
    )
    flags = parser.parse_args()
    print("| table | accuracy | pruner | kept, mean | worst | epochs, mean | most | random subset | estimate |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in flags.tables:
        for text in flags.bounds.split(","):
            low, _, high = text.partition(":")
            table = Table(path, None if text == "table" else (float(low), float(high)))
            name = path.stem.removeprefix("curves-")
            for each, make in pruners(table.curves.shape[1], table.bounds, flags.keep).items():
                if not flags.pruner or each in flags.pruner.split(","):
                    line = figures(table, make, flags)
                    print(f"| {name} ({len(table.params)}) | {text} | {each} | {line}", flush=True)


if __name__ == "__main__":
    main()
