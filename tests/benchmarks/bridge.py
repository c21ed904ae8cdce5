"""The engine beside plain Optuna on known problems: python tests/benchmarks/bridge.py [--workers 8] [--trials 200]

For ZDT1, ZDT2, DTLZ2 and a space of mixed, conditional parameters, mean hypervolume over the seeds: plain Optuna's ask
and tell one after the other; with as many trials asked for ahead as there are workers; and the engine. With one worker
all are the same trial for trial, which tests/search/test_plugins.py holds; with more, a sampler knows less at each ask.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1] / "search"
sys.path[:0] = [str(TESTS), str(TESTS / "evaluators")]

import test_plugins as plugins  # noqa: E402

from results.indicators import hypervolume  # noqa: E402
from search.execute.cluster import started  # noqa: E402

REFERENCE = {"zdt1": [1.1, 8.0], "zdt2": [1.1, 8.0], "dtlz2": [2.5, 2.5], "mixed": [3.0, 8.0]}


def main() -> None:
    """Print a line a problem."""
    parser = argparse.ArgumentParser(description="The engine beside plain Optuna.")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print("| problem | one by one | in flight | engine | over the first | over the second |\n|---|---|---|---|---|---|")
    with started(None):
        for name, reference in REFERENCE.items():
            compare(name, reference, given)


def compare(name: str, reference: list[float], given: argparse.Namespace) -> None:
    """The three ways on one problem."""
    found = []
    for seed in range(given.seeds):
        one, ahead = (plugins.plain(name, given.trials, given.sampler, seed, at_once) for at_once in (1, given.workers))
        with tempfile.TemporaryDirectory() as folder:
            run = plugins.ours(
                name, given.trials, given.workers, Path(folder, "run"), sampler=given.sampler, seed=seed,
                duplicates="allow", cpus_per_trial=0.25,
            )  # fmt: skip
        values = (one, ahead, run.trials[["f1", "f2"]].astype(float))
        found.append([hypervolume(each, reference) for each in values])
    one, ahead, engine = map(statistics.fmean, zip(*found, strict=True))
    print(
        f"| {name} | {one:.4f} | {ahead:.4f} | {engine:.4f} | {engine / one:.4f} | {engine / ahead:.4f} |", flush=True
    )


if __name__ == "__main__":
    main()
