"""What zero-cost proxies tell of the recorded trainings: python tests/benchmarks/proxies.py [NAME ...]

For each table tests/data/curves-NAME.parquet and each proxy: Spearman's rank correlation with the accuracy after the
last epoch, the same of log10 of the parameters, the partial rank correlation given the parameters, and the milliseconds
of one measurement on one thread. With --out FOLDER the tables are written there with the proxies as further columns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from search.training.data import load
from search.training.proxies import PROXIES, measure
from tests.benchmarks.record_curves import DATA, SETTINGS, candidates


def correlation(first: np.ndarray, second: np.ndarray, given: np.ndarray | None = None) -> float:
    """Spearman's rank correlation, perhaps given a third variable."""
    ranks = [rankdata(values) for values in (first, second)]
    if given is not None:
        design = np.column_stack([np.ones(len(given)), rankdata(given)])
        ranks = [values - design @ np.linalg.lstsq(design, values, rcond=None)[0] for values in ranks]
    return float(np.corrcoef(*ranks)[0, 1])


def measured(name: str) -> tuple[pd.DataFrame, dict[str, float]]:
    """A table with its proxies, and the milliseconds of each."""
    frame, setting = pd.read_parquet(DATA / f"curves-{name}.parquet"), SETTINGS[name]
    data = load(setting.data, train_size=setting.train_size)
    asked = candidates(setting, seed=0)[: len(frame)]
    columns = {proxy: np.empty(len(frame)) for proxy in PROXIES}
    spent: dict[str, list[float]] = {proxy: [] for proxy in PROXIES}
    for row, answer in enumerate(asked):
        for proxy in PROXIES:
            start = time.thread_time()
            columns[proxy][row] = measure(answer.candidate, data, [proxy])[proxy]
            spent[proxy].append(1_000 * (time.thread_time() - start))
    return frame.assign(**columns), {proxy: statistics.median(values) for proxy, values in spent.items()}


def main() -> None:
    """Print one line per table and proxy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SETTINGS))
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    print("| table | proxy | Spearman | of log10 params | given the parameters | ms |\n|---|---|---|---|---|---|")
    for name in flags.names:
        frame, prices = measured(name)
        accuracy, sizes = frame["accuracy"].to_numpy(), np.log10(frame["params"].to_numpy())
        for proxy, price in prices.items():
            values = frame[proxy].to_numpy()
            print(
                f"| {name} ({len(frame)}) | {proxy} | {correlation(values, accuracy):.2f} "
                f"| {correlation(sizes, accuracy):.2f} | {correlation(values, accuracy, sizes):.2f} | {price:.0f} |",
                flush=True,
            )
        if flags.out:
            flags.out.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(flags.out / f"curves-{name}.parquet", index=False)


if __name__ == "__main__":
    main()
