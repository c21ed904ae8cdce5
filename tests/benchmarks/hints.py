"""What hints are worth to the known-cost sampler: python tests/benchmarks/hints.py --macro FILE

Searches over NAS-Bench-Macro (its JSON file) with many workers. Half of a training's time is the same for all, and the
other half is in proportion to the parameters, with a deviation of 10 %; the clock counts mean trainings. The rows are

    none     no hint
    proxy    a column that ranks the networks with the Spearman correlation --spearman: the accuracy's normal scores and
             noise
    earlier  an earlier search that tried --earlier random networks and found that column as their accuracy
    noise    a column that has nothing to do with the accuracy

Each repeat has columns of its own. For each level of the hypervolume the table has the trials and the clock, means over
the repeats that reached it, and how many did.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata, spearmanr

from search.simulation.simulate import LEVELS, Setting, Trace, simulate
from search.simulation.table import Table
from tests.benchmarks.samplers import bounds, macro

Array = NDArray[np.float64]
KINDS = ("none", "proxy", "earlier", "noise")


def timed(table: Table) -> Table:
    """The table with durations."""
    generator, mean = np.random.default_rng(7), table.means()[:, 1].mean()
    rows = [
        replace(
            row,
            times=(0.5 + 0.5 * row.values[:, 1] / mean) * np.exp(0.1 * generator.standard_normal(len(row.values))),
        )
        for row in table.rows
    ]
    return replace(table, rows=rows)


def correlated(values: Array, wanted: float, generator: np.random.Generator) -> Array:
    """A column whose rank correlation with values (n,) is the one that is wanted."""
    scores = ndtri((rankdata(values) - 0.5) / len(values))
    noise, low, high = generator.standard_normal(len(values)), 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if spearmanr(scores + middle * noise, values).statistic > wanted else (low, middle)
    return np.asarray(scores + low * noise)


def hinted(table: Table, setting: Setting, kind: str, seed: int, flags: argparse.Namespace) -> tuple[Table, Setting]:
    """The table and the setting of one repeat."""
    generator = np.random.default_rng([11, seed])
    if kind == "none":
        return table, setting
    column = correlated(table.means()[:, 0], flags.spearman if kind != "noise" else 0.0, generator)
    if kind == "noise":
        column = generator.standard_normal(len(column))
    if kind == "earlier":
        tried = generator.choice(len(column), flags.earlier, replace=False)
        rows = [replace(table.rows[row], values=np.array([[column[row], 0.0]])) for row in tried]
        return table, replace(setting, earlier={"earlier": replace(table, rows=rows)})
    rows = [replace(row, proxies=np.array([value])) for row, value in zip(table.rows, column, strict=True)]
    return replace(table, rows=rows, proxies={"proxy": "maximize"}), setting


def cells(traces: list[Trace]) -> list[str]:
    """Trials and clock to each level."""
    found = []
    for level in LEVELS:
        first = [next(iter(np.flatnonzero(trace.shares >= level)), None) for trace in traces]
        reached = [
            (place + 1, trace.times[place]) for place, trace in zip(first, traces, strict=True) if place is not None
        ]
        trials, clock = np.mean(reached, axis=0) if reached else (np.nan, np.nan)
        found.append(f"{trials:.0f} / {clock:.2f} ({len(reached)})")
    return found


def main() -> None:
    """Print one line per kind of hint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--macro", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=128)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--spearman", type=float, default=0.6)
    parser.add_argument("--earlier", type=int, default=300)
    parser.add_argument("--kinds", default=",".join(KINDS))
    flags = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = timed(macro(flags.macro))
    limits = {"accuracy": bounds("macro", table)}
    setting = Setting(flags.trials, flags.workers, ("params",), ("params",), limits)
    print(f"| hint | {' | '.join(f'to {level:.2f}' for level in LEVELS)} |\n{'|---' * (len(LEVELS) + 1)}|", flush=True)
    for kind in flags.kinds.split(","):
        traces = [
            simulate(*hinted(table, setting, kind, seed, flags), sampler_name="known-cost", seed=seed)
            for seed in range(flags.repeats)
        ]
        print(f"| {kind} | {' | '.join(cells(traces))} |", flush=True)


if __name__ == "__main__":
    main()
