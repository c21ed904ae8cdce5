"""A search over the training recipe alone, beside Optuna's TPE on the same trainings.

    python tests/benchmarks/recipe_search.py --trials 60 --repeats 3

Six hyperparameters of one small network on digits. A training is a function of the recipe and its seed, so both
samplers meet the same accuracies. Printed are the best validation accuracy after a third, two thirds and all of the
trials, for each repeat (a sampler's seed), and the mean of the paired differences with its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
from statistics import fmean, stdev

import optuna
import torch
from scipy import stats

from leni.errors import EvaluationError
from search.driver.prepare import make_sampler, prepare
from search.engine.asker import Asker
from search.spec import Spec
from search.training.data import load
from search.training.training_run import TrainingEvaluator
from spaces import Candidate

SPACE = {
    "backbone": "resnet8", "activation": "relu", "width": 0.1875,
    "training": {
        "optimizer": ["sgd", "adamw"],
        "lr": {"low": 0.01, "high": 1.0, "log": True},
        "adamw": {"lr": {"low": 1e-4, "high": 0.1, "log": True}},
        "momentum": {"low": 0.0, "high": 0.95},
        "batch_size": [16, 32, 64],
        "label_smoothing": {"low": 0.0, "high": 0.3},
        "weight_decay": {"low": 1e-5, "high": 1e-1, "log": True},
    },
}  # fmt: skip


class Trainings:
    """Accuracies of candidates by seed 0, each trained once."""

    def __init__(self, epochs: int, train_size: int) -> None:
        self.spec = Spec(space=SPACE, epochs=epochs, train_size=train_size, references=False)
        self.data, self.known = load("digits", train_size=train_size), dict[Candidate, float]()

    def __call__(self, candidate: Candidate) -> float:
        if candidate not in self.known:
            try:
                *_, last = TrainingEvaluator(self.data, self.spec.recipe(), (0,)).evaluate(candidate)
                self.known[candidate] = last.metrics["accuracy"]
            except EvaluationError:  # the loss is not finite
                self.known[candidate] = 1 / self.data.classes
        return self.known[candidate]


def ours(trainings: Trainings, trials: int, seed: int) -> list[float]:
    """Accuracies in the order of the default sampler of leni-search."""
    spec = Spec(**{**dict(trainings.spec), "seed": seed, "trials": trials})
    prepared = prepare(spec, quiet=True)
    directions, made = list(spec.directions().values()), make_sampler(spec, prepared.known, prepared.hints)
    asker = Asker(spec.search_space(), made, directions=directions, seed=seed, check=prepared.allowed)
    found = []
    for _ in range(trials):
        asked = asker.ask()
        found.append(trainings(asked.candidate))
        asker.tell(asked, "completed", [found[-1], prepared.known(asked.candidate)["params"]])
    return found


def tpe(trainings: Trainings, trials: int, seed: int) -> list[float]:
    """Accuracies in the order of Optuna's TPE, maximising the accuracy alone."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    space, found = trainings.spec.search_space(), []
    for _ in range(trials):
        trial = study.ask()
        found.append(trainings(space.suggest(trial)))
        study.tell(trial, found[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train-size", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trainings = Trainings(given.epochs, given.train_size)
    marks = [given.trials // 3, 2 * given.trials // 3, given.trials]
    differences: dict[int, list[float]] = {mark: [] for mark in marks}
    for seed in range(given.repeats):
        runs = {way.__name__: way(trainings, given.trials, seed) for way in (ours, tpe)}
        for name, run in runs.items():
            print(seed, name, *(f"{mark}: {max(run[:mark]):.4f}" for mark in marks), flush=True)
        for mark in marks:
            differences[mark].append(max(runs["ours"][:mark]) - max(runs["tpe"][:mark]))
    for mark, values in differences.items():
        half = float("inf")
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
        print(f"{mark} trials: ours - tpe {fmean(values):+.4f} +- {half:.4f} over {len(values)} repeats", flush=True)


if __name__ == "__main__":
    main()
