"""What stands behind a trial: a training of our own, or a user's function.

A user's evaluator is `module:function`, called as function(config, report), once for each seed:

    def evaluate(config: dict, report: Callable[[float], None]) -> dict: ...

`config` is the candidate's fields (`Candidate.to_dict`), or the values of a space of its own, with "seed" and "epochs";
`report(accuracy)`, called after each epoch, gives the learning curve; what is returned holds the objectives and what
else is worth keeping (`search.training.metrics`), of a network of ours "params" and "macs" where they differ from what
is known of it. RReLU and dropout in it may use torch's global generator: it is seeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch import nn

from leni.errors import EvaluationError
from search.training.data import Data
from search.training.metrics import COUNTS, Returned, number_of, read_metrics
from search.training.recipe import Recipe
from search.training.replicas import ReplicaEpoch, Replicas, deviation
from search.training.surroundings import Surroundings
from search.training.user_functions import failure_sentence, load_function
from spaces import Candidate, Configuration

__all__ = [
    "Evaluation",
    "FunctionEvaluator",
    "FunctionRun",
    "TrainingEvaluator",
    "TrainingRun",
    "failure_sentence",
    "load_function",
]

COSTS = ("params", "macs")  # known of every network of ours without its evaluation

Point = dict[str, Any]


@dataclass
class Evaluation:
    """What is known of a trial so far.

    Attributes:
        curve: an item an epoch: epoch, accuracy and loss (means over the seeds; None where there is none), and "seeds",
            a list with seed, accuracy and loss of each.
        metrics: by column of the records; "accuracies" is a list, a value a seed.
        notes: what of a function's results no record can hold, a sentence each.
    """

    curve: list[Point] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingEvaluator:
    """Trains the candidate's network with each seed; the accuracy is the last epoch's, not the best of them.

    Attributes:
        data: what is learned and measured.
        recipe: how.
        seeds: one replica each.
        device: "cpu" or "cuda".
    """

    data: Data
    recipe: Recipe
    seeds: tuple[int, ...]
    device: str = "cpu"

    def start(self, candidate: Candidate, state: Mapping[str, Any] | None = None) -> TrainingRun:
        """Begin the evaluation, or go on from a run's `state_dict`.

        Raises:
            InfeasibleWidth: as `spaces.build` does.
            EvaluationError: the state is of other seeds.
        """
        return TrainingRun(self, candidate, state)

    def evaluate(self, candidate: Candidate) -> Iterator[Evaluation]:
        """The evaluation as it grows, after every epoch."""
        return self.start(candidate)


class TrainingRun:
    """A training as an iterator: each step is an epoch, and gives the evaluation so far.

    It can be cut off between any two, and taken up again with the numbers of an uninterrupted one.

    Args:
        evaluator: data, recipe, seeds, device.
        candidate: what to train.
        state: of `state_dict`; None to begin.

    Attributes:
        evaluation: what is known so far.
        replicas: the trainings.
    """

    def __init__(
        self, evaluator: TrainingEvaluator, candidate: Candidate, state: Mapping[str, Any] | None = None
    ) -> None:
        self.data = evaluator.data
        self.replicas = Replicas(
            candidate,
            evaluator.data,
            evaluator.recipe,
            seeds=evaluator.seeds,
            device=evaluator.device,
            how=state["replicas"]["how"] if state else None,
        )
        self.evaluation = Evaluation()
        if state:
            self.replicas.load_state_dict(state["replicas"])
            self.evaluation = Evaluation(
                [{**point, "seeds": [dict(row) for row in point["seeds"]]} for point in state["curve"]],
                dict(state["metrics"]),
            )

    def __iter__(self) -> TrainingRun:
        return self

    def __next__(self) -> Evaluation:
        """Train and measure one more epoch.

        Raises:
            EvaluationError: a loss is not finite.
        """
        if self.replicas.done:
            raise StopIteration
        epoch = self.replicas.epoch()
        self.evaluation.curve.append(_point(epoch))
        self.evaluation.metrics = {
            "accuracy": epoch.accuracy,
            "accuracy_std": epoch.std,
            "accuracies": list(epoch.accuracies),
            "seeds": len(epoch.seeds),
            "epochs": epoch.epoch,
            "replicas": self.replicas.how,
        }
        if self.replicas.peak_memory is not None:
            self.evaluation.metrics["peak_memory"] = self.replicas.peak_memory
        return self.evaluation

    def test_metrics(self) -> dict[str, Any]:
        """The test split, measured now: test_accuracy (a mean), test_accuracy_std, test_accuracies (a value a seed)."""
        accuracies = self.replicas.accuracies(self.data.test)
        mean, std = fmean(accuracies), deviation(accuracies)
        return {"test_accuracy": mean, "test_accuracy_std": std, "test_accuracies": accuracies}

    def networks(self) -> list[nn.Module]:
        """The network of each seed as it is now, in the order of the seeds."""
        return self.replicas.networks()

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that the rest depends on, also before the first epoch: tensors, numbers and texts."""
        return {
            "replicas": self.replicas.state_dict(),
            "curve": [{**point, "seeds": [dict(row) for row in point["seeds"]]} for point in self.evaluation.curve],
            "metrics": dict(self.evaluation.metrics),
        }


def _point(epoch: ReplicaEpoch) -> Point:
    """An epoch as a curve has it."""
    return {"epoch": epoch.epoch, "accuracy": epoch.accuracy, "loss": epoch.loss, "seeds": epoch.rows()}


@dataclass(frozen=True)
class FunctionEvaluator:
    """Calls a user's function with each seed; a metric is the mean over them.

    Attributes:
        path: `module:function`.
        recipe: its epochs are told to the function.
        seeds: one call each.
        objectives: columns of what the function has to return, but for the costs of a network of ours.
        taken: columns of the parameters, which are not for metrics.
        surroundings: what is put back before each call; None to leave the process as it is.
    """

    path: str
    recipe: Recipe
    seeds: tuple[int, ...]
    objectives: tuple[str, ...] = ("accuracy",)
    taken: tuple[str, ...] = ()
    surroundings: Surroundings | None = None

    def start(self, candidate: Candidate | Configuration, state: Mapping[str, Any] | None = None) -> FunctionRun:
        """Begin the evaluation; a call cannot be taken up again, so any state is left unread."""
        return FunctionRun(self, candidate)

    def evaluate(self, candidate: Candidate | Configuration) -> Iterator[Evaluation]:
        """The evaluation, once, when the function has returned."""
        return self.start(candidate)


class FunctionRun:
    """A user's function as an iterator with one step: a call with each seed."""

    def __init__(self, evaluator: FunctionEvaluator, candidate: Candidate | Configuration) -> None:
        self.evaluator, self.candidate = evaluator, candidate
        self.evaluation = Evaluation()
        self.done = False

    def __iter__(self) -> FunctionRun:
        return self

    def __next__(self) -> Evaluation:
        """Call the function, to its end.

        Raises:
            EvaluationError: an objective did not come back, or no finite number.
        """
        if self.done:
            raise StopIteration
        self.done = True
        curves: dict[int, list[float]] = {}
        found = [self._call(seed, curves.setdefault(seed, [])) for seed in self.evaluator.seeds]
        self.evaluation.curve = _mean_curve(curves)
        network = isinstance(self.candidate, Candidate)
        self.evaluation.metrics = _mean_metrics(found, COUNTS if network else (), self.evaluator.path)
        self.evaluation.notes = list(dict.fromkeys(note for call in found for note in call.notes))
        return self.evaluation

    def _call(self, seed: int, curve: list[float]) -> Returned:
        path, candidate = self.evaluator.path, self.candidate
        network = isinstance(candidate, Candidate)
        values = candidate.to_dict() if isinstance(candidate, Candidate) else candidate.columns()
        needed = [name for name in self.evaluator.objectives if not (network and name in COSTS)]

        def report(accuracy: Any) -> None:
            number = number_of(accuracy)
            curve.append(math.nan if number is None or not math.isfinite(number) else float(number))

        function = load_function(path)
        moved = self.evaluator.surroundings.restore() if self.evaluator.surroundings else ""
        torch.manual_seed(seed)
        returned = function({"seed": seed, "epochs": self.evaluator.recipe.epochs, **values}, report)
        kept = read_metrics(returned, path, objectives=needed, taken=self.evaluator.taken, network=network)
        kept.notes += [f"{path}: {moved}"] if moved else []
        return kept

    def state_dict(self) -> None:
        """Nothing: it starts again."""


def _mean_metrics(found: Sequence[Returned], counts: Sequence[str], path: str) -> dict[str, Any]:
    """One call's metrics as they are; of several the means, and the deviation of the accuracy.

    Raises:
        EvaluationError: one call counted other parameters or multiply-adds than another.
    """
    if len(found) == 1:
        return {**found[0].values, **found[0].ours}
    for name in counts:
        if len({call.values.get(name) for call in found}) > 1:
            shown = ", ".join(str(call.values.get(name)) for call in found)
            raise EvaluationError(
                f"{path} must return the same metrics and counts with each seed, got {name} {shown}",
                code="LS-EVALUATION-METRICS",
            )
    names = dict.fromkeys(name for call in found for name in call.values)
    metrics: dict[str, Any] = {name: _mean([call.values.get(name) for call in found]) for name in names}
    metrics |= {"seeds": len(found), **{name: value for name, value in found[0].ours.items() if name == "epochs"}}
    if all(call.values.get("accuracy") is not None for call in found):
        accuracies = [call.values["accuracy"] for call in found]
        metrics |= {"accuracy_std": deviation(accuracies), "accuracies": accuracies}
    return metrics


def _mean(values: Sequence[Any]) -> Any:
    """The mean of numbers, None where one is missing; what all seeds agree in as it is, else a list, one a seed."""
    if all(value == values[0] and type(value) is type(values[0]) for value in values[1:]):
        return values[0]
    numbers = [math.nan if value is None else value for value in values]
    if not all(isinstance(number, (bool, int, float)) for number in numbers):
        return list(values)
    mean = sum(numbers) / len(numbers)  # fmean refuses infinities of both signs
    return None if math.isnan(mean) else mean


def _mean_curve(curves: Mapping[int, Sequence[float]]) -> list[Point]:
    """Each epoch's mean over the seeds that reported it."""
    points = []
    for epoch in range(max(map(len, curves.values()))):
        reported = {seed: curve[epoch] for seed, curve in curves.items() if len(curve) > epoch}
        rows = [{"seed": seed, "epoch": epoch + 1, "accuracy": one, "loss": None} for seed, one in reported.items()]
        accuracy = fmean(reported.values())
        points.append({"epoch": epoch + 1, "accuracy": accuracy, "loss": None, "seeds": rows})
    return points
