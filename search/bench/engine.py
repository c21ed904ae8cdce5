"""The engine beside other ways to do the same trainings, and by itself on trials of nothing.

The same candidates, data, recipe and training code for all; candidates an hour, as ratios. Each way counts from its
first training's beginning to the last one's end, so that nobody pays for starting up.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch

from search.decide.quiet import without_optunas_lines
from search.decide.samplers import sampler
from search.driver.run_search import run
from search.engine.asker import Asker
from search.store.sqlite import open_storage, read_only
from search.training.data import Data, load
from search.training.recipe import Recipe
from search.training.timing import torch_threads
from search.training.training_run import TrainingEvaluator
from spaces import Candidate
from spaces import space as preset

__all__ = ["SPACES", "bench_overhead", "bench_throughput", "nothing", "train"]

WAYS = ("sequential", "optuna-pool", "ray-tune", "syne-tune", "ours")
RECIPE = Recipe(epochs=8, batch_size=32, lr=0.05)
NARROW = {"width": [0.1875, 0.25, 0.375]}  # of channel-compensation


SIX = {"name": "six numbers", "parameters": {f"x{index}": {"low": 0.0, "high": 1.0} for index in range(6)}}
SPACES: Mapping[str, Mapping[str, Any]] = {
    "six numbers": {"space": SIX, "objectives": ("accuracy:max", "size:min")},
    "full": {"space": "full"},
}


def nothing(config: Mapping[str, Any], report: Callable[[float], None]) -> dict[str, float]:
    """An evaluation of nothing."""
    if "x0" in config:
        return {"accuracy": config["x0"], "size": config["x1"]}
    return {"accuracy": config["lr_factor"] / (1 + sum(config["widths"]))}


def bench_overhead(space: str = "six numbers", *, trials: int = 1000, workers: int | None = None) -> dict[str, Any]:
    """No-op trials, study and records included.

    Args:
        space: of `SPACES`: "six numbers", or "full", whose networks are counted besides, though never trained.
        trials: how many.
        workers: at once; None for as many as there are CPUs.

    Returns:
        space; trials; trial_s: seconds a trial, after starting up; rss_200, rss_end: the driver's memory when 200
        trials are over and when all are, before the run's files and figures are made, bytes; growth: their ratio.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        watch = _Watch(folder / "study.db")
        with watch:
            run(
                trials=trials, workers=workers, out=folder, quiet=True, evaluator="search.bench.engine:nothing",
                sampler="random", references=False, **SPACES[space],
            )  # fmt: skip
    early, late = watch.memory_at(min(200, trials // 2)), watch.memory_at(trials)
    return {
        "space": space,
        "trials": trials,
        "trial_s": watch.seconds_a_trial(),
        "rss_200": early,
        "rss_end": late,
        "growth": late / early,
    }


class _Watch:
    """Reads, twice a second, how many trials are over and how much memory this process has."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.seen: list[tuple[float, int, int]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(0.5):
            try:
                with read_only(self.database, timeout=1) as connection:
                    count = connection.execute("select count(*) from trials where state != 'RUNNING'").fetchone()[0]
            except sqlite3.Error:
                continue
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen.append((time.monotonic(), count, pages * os.sysconf("SC_PAGE_SIZE")))

    def memory_at(self, trials: int) -> int:
        return next((memory for _, count, memory in self.seen if count >= trials), self.seen[-1][2])

    def seconds_a_trial(self) -> float:
        """Between the first look with a trial that is over and the first with all of them."""
        begun = next(row for row in self.seen if row[1] > 0)
        last = next(row for row in self.seen if row[1] == self.seen[-1][1])
        return (last[0] - begun[0]) / max(1, last[1] - begun[1])


def bench_throughput(
    *, candidates: int = 16, seeds: int = 1, ways: Sequence[str] = WAYS, workers: int = 2
) -> Iterator[dict[str, Any]]:
    """Trainings of narrow networks on digits, done in one way after the other.

    Args:
        candidates: how many networks.
        seeds: of each.
        ways: of `WAYS`.
        workers: processes at once, but for "sequential", which has torch use all of them as threads.

    Yields:
        way, seeds, seconds, candidates_an_hour, and over the first way's: ratio.
    """
    chosen = _candidates(candidates)
    first: float | None = None
    for way in ways:
        seconds = _DOERS[way](chosen, tuple(range(seeds)), workers)
        first = first or seconds
        yield {
            "way": way, "seeds": seeds, "seconds": seconds, "candidates_an_hour": 3600 * candidates / seconds,
            "ratio": first / seconds,
        }  # fmt: skip


def _candidates(count: int) -> list[Candidate]:
    with without_optunas_lines():
        asker = Asker(
            preset("channel-compensation").fix(NARROW), sampler("random", seed=0), directions=["maximize"], seed=0,
            check=lambda _: None,
        )  # fmt: skip
        found = [asked.candidate for _ in range(count) if (asked := asker.ask()) is not None]
    return [candidate for candidate in found if isinstance(candidate, Candidate)]


def train(data: Data, candidate: Candidate, seeds: tuple[int, ...]) -> float:
    """One candidate as anybody would: one seed after the other."""
    accuracies = []
    for seed in seeds:
        for evaluation in TrainingEvaluator(data, RECIPE, (seed,)).evaluate(candidate):
            accuracy = evaluation.metrics["accuracy"]
        accuracies.append(accuracy)
    return sum(accuracies) / len(accuracies)


def _sequential(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int) -> float:
    data = load("digits")
    with torch_threads(workers):
        train(data, candidates[0], seeds[:1])
        started = time.monotonic()
        for candidate in candidates:
            train(data, candidate, seeds)
        return time.monotonic() - started


def _prepare() -> None:
    """A worker of the pool: one thread, the data in memory, the kernel loaded."""
    torch.set_num_threads(1)
    _prepare.data = load("digits")  # type: ignore[attr-defined]
    train(_prepare.data, Candidate("resnet8", (3, 6, 12), "leni"), (0,))  # type: ignore[attr-defined]


def _pool_task(task: tuple[Candidate, tuple[int, ...]]) -> float:
    return train(_prepare.data, *task)  # type: ignore[attr-defined]


def _optuna_pool(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int) -> float:
    """Optuna's ask and tell around a pool of processes, its study in SQLite."""
    with (
        without_optunas_lines(),
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(workers, _prepare) as pool,
    ):
        study = optuna.create_study(storage=open_storage(Path(folder, "study.db")), directions=["maximize", "minimize"])
        pool.map(len, [""] * 4 * workers, chunksize=1)
        time.sleep(1)
        pool.map(_pool_task, [(candidates[0], seeds[:1])] * workers, chunksize=1)
        started = time.monotonic()
        trials = [study.ask() for _ in candidates]
        results = pool.imap(_pool_task, [(candidate, seeds) for candidate in candidates], chunksize=1)
        for trial, accuracy in zip(trials, results, strict=True):
            study.tell(trial, [accuracy, 1.0])
        return time.monotonic() - started


def _ray_tune(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int) -> float:
    """Ray Tune as its documentation writes it, with OptunaSearch over the list of candidates."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    from search.execute.cluster import started as ray_started

    texts = [candidate.to_json() for candidate in candidates]

    def trainable(config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        began = time.time()
        data = ray.get(reference)
        accuracy = train(data, Candidate.from_json(config["candidate"]), seeds)
        tune.report({"accuracy": accuracy, "began": began, "ended": time.time()})

    with tempfile.TemporaryDirectory() as folder, ray_started(None):
        reference = ray.put(load("digits"))
        search = OptunaSearch(
            {"candidate": optuna.distributions.CategoricalDistribution(texts)}, metric="accuracy", mode="max",
            points_to_evaluate=[{"candidate": text} for text in texts],
        )  # fmt: skip
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(search_alg=search, num_samples=len(texts), max_concurrent_trials=workers),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        found = [result.metrics for result in tuner.fit()]
    return max(one["ended"] for one in found) - min(one["began"] for one in found)


def _syne_tune(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int) -> float:
    from search.bench.syne_tune_way import syne_tune

    with tempfile.TemporaryDirectory() as folder:
        return syne_tune(candidates, seeds, workers, folder=Path(folder))


def _ours(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int) -> float:
    with tempfile.TemporaryDirectory() as place:
        listed, folder = Path(place, "candidates.json"), Path(place, "run")
        listed.write_text(json.dumps([candidate.to_dict() for candidate in candidates]))
        finished = run(
            data="digits", enqueue=listed, references=False, trials=len(candidates), seeds=len(seeds),
            epochs=RECIPE.epochs, pruner="none", workers=workers, quiet=True, out=folder,
        )  # fmt: skip
        study = optuna.load_study(study_name="leni-search", storage=open_storage(folder / "study.db"))
        ends = [trial.datetime_complete.timestamp() for trial in study.trials if trial.datetime_complete]
        walls = finished.trials.sort_values("number")["wall_s"].to_numpy(float)
    return max(ends) - min(end - wall for end, wall in zip(ends, walls, strict=True))


_DOERS: Mapping[str, Callable[[Sequence[Candidate], tuple[int, ...], int], float]] = {
    "sequential": _sequential,
    "optuna-pool": _optuna_pool,
    "ray-tune": _ray_tune,
    "syne-tune": _syne_tune,
    "ours": _ours,
}
