"""What the engine costs, side by side in one run: python tests/benchmarks/overhead.py

Two ratios, both after start-up (from the beginning of the first evaluation to the end of the last trial), one trial a
core: 24 evaluations that keep one core busy for a second, over the ideal time; and 24 digits candidates, 8 epochs, over
the same trainings in a plain process pool. And a time: what a report costs the function that makes it, of 1,000 reports
with a millisecond of sleep before each, beyond the same sleeps without reports, while a pruner judges them.
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import optuna
import torch

import search
from search.training.data import load
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate

TRIALS = 24
WORKERS = 2
RECIPE = Recipe(epochs=8, batch_size=32, lr=0.05)


def one_second(config, report):
    """One second of one core."""
    end = time.process_time() + 1.0
    while time.process_time() < end:
        pass
    return {"accuracy": 0.5}


def reporting(config, report):
    """Milliseconds that one of 1,000 reports costs."""
    began = time.perf_counter()
    for _ in range(1000):
        time.sleep(0.001)
    slept = time.perf_counter()
    for index in range(1000):
        time.sleep(0.001)
        report({"loss": 1 / (index + 1), "rate": 0.1})
    ended = time.perf_counter()
    return {"loss": 0.0, "each_ms": (ended - slept) - (slept - began)}  # seconds of 1,000 are milliseconds of one


def reported(folder: Path) -> float:
    """The median of a few trials' milliseconds."""
    run = search.run(
        evaluator="overhead:reporting", space={"parameters": {"x": [1, 2, 3, 4, 5]}}, trials=5, workers=1, epochs=2000,
        objectives=["loss:min", "each_ms:min"], pruner="halving", out=folder, quiet=True,
    )  # fmt: skip
    return float(run.trials["each_ms"].median())


def searched(folder: Path, **keys: object) -> tuple[float, list[Candidate]]:
    """Seconds from the first evaluation's beginning to the last trial's end, and the candidates."""
    search.run(trials=TRIALS, workers=WORKERS, out=folder, quiet=True, **keys)
    study = optuna.load_study(study_name="leni-search", storage=f"sqlite:///{folder / 'study.db'}")
    ends = [trial.datetime_complete.timestamp() for trial in study.trials]
    began = [
        end - trial.user_attrs["result"]["metrics"]["wall_s"] for end, trial in zip(ends, study.trials, strict=True)
    ]
    return max(ends) - min(began), [Candidate.from_dict(trial.user_attrs["candidate"]) for trial in study.trials]


def prepare() -> None:
    """A worker of the pool: one thread, the data in memory."""
    global data
    torch.set_num_threads(1)
    data = load("digits")


def train(candidate: Candidate) -> float:
    """One training, as a trial does it."""
    return [epoch.accuracy for epoch in Training(candidate, data, RECIPE, seed=0)][-1]


def pooled(candidates: list[Candidate]) -> float:
    """Seconds for the same trainings in a process pool that is already up."""
    with multiprocessing.get_context("spawn").Pool(WORKERS, prepare) as pool:
        pool.map(len, ["up"] * WORKERS, chunksize=1)
        time.sleep(8)
        started = time.monotonic()
        pool.map(train, candidates, chunksize=1)
        return time.monotonic() - started


def main() -> None:
    """Print both ratios."""
    sys.path.insert(0, str(Path(__file__).parent))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        elapsed, _ = searched(Path(folder, "busy"), evaluator="overhead:one_second")
        print(f"one-second trials: {elapsed:.2f} s, {elapsed / (TRIALS / WORKERS):.3f} times the ideal")
        print(f"a report: {reported(Path(folder, 'reports')):.3f} ms")
        elapsed, candidates = searched(Path(folder, "digits"), epochs=RECIPE.epochs)
        pool = pooled(candidates)
        print(f"digits: {elapsed:.2f} s, process pool {pool:.2f} s, {elapsed / pool:.3f} times the pool")


if __name__ == "__main__":
    main()
