"""What stands behind a trial: a training of our own, or a user's function.

A user's evaluator is `module:function`, called as function(config, report), once for each seed:

    def evaluate(config: dict, report: Callable[[float], None]) -> dict: ...

`config` is the candidate's fields (`Candidate.to_dict`), or the values of a space of its own, with "seed" and "epochs";
`report(accuracy)`, called after each epoch, gives the learning curve; what is returned holds the objectives, and may
hold "params" and "macs" where they differ from those of the candidate's own network. RReLU and dropout in it may use
torch's global generator: it is seeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from statistics import fmean
from typing import Any

import torch
from torch import nn

from leni import registry
from leni.errors import EvaluationError, SpecError
from leni.user_modules import hidden_file, import_user_module
from search.training.data import Data
from search.training.recipe import Recipe
from search.training.replicas import ReplicaEpoch, Replicas, deviation
from spaces import Candidate, Configuration

__all__ = ["Evaluation", "FunctionEvaluator", "FunctionRun", "TrainingEvaluator", "TrainingRun", "load_function"]

COSTS = ("params", "macs")  # known of every network of ours without its evaluation
COUNTS = (*COSTS, "epochs", "seeds")
NOT_MEASURED = ("number", "state", "device", "error", "started_at")  # a record's fields that no evaluator gives

Point = dict[str, Any]


@dataclass
class Evaluation:
    """What is known of a trial so far.

    Attributes:
        curve: an item an epoch: epoch, accuracy and loss (means over the seeds; None where there is none), and "seeds",
            a list with seed, accuracy and loss of each.
        metrics: as a record has them; "accuracies" is a list, a value a seed.
    """

    curve: list[Point] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)


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
        objectives: what the function has to return, but for the costs of a network of ours.
    """

    path: str
    recipe: Recipe
    seeds: tuple[int, ...]
    objectives: tuple[str, ...] = ("accuracy",)

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
            EvaluationError: an objective did not come back, or something that is no finite number or that no record can
                hold.
        """
        if self.done:
            raise StopIteration
        self.done = True
        curves: dict[int, list[float]] = {}
        found = [self._call(seed, curves.setdefault(seed, [])) for seed in self.evaluator.seeds]
        self.evaluation.curve = _mean_curve(curves)
        self.evaluation.metrics = _mean_metrics(found, self.evaluator.path)
        return self.evaluation

    def _call(self, seed: int, curve: list[float]) -> dict[str, float]:
        path, candidate = self.evaluator.path, self.candidate
        values = candidate.to_dict() if isinstance(candidate, Candidate) else candidate.columns()
        costs = COSTS if isinstance(candidate, Candidate) else ()
        needed = [name for name in self.evaluator.objectives if name not in costs]

        def report(accuracy: float) -> None:
            curve.append(float(accuracy))

        torch.manual_seed(seed)
        metrics = load_function(path)({"seed": seed, "epochs": self.evaluator.recipe.epochs, **values}, report)
        for name in needed:
            if not isinstance(metrics, Mapping) or name not in metrics:
                raise EvaluationError(f"{path} must return a mapping with {name!r}, got {metrics!r}")
        return _checked(metrics, path, _taken(candidate))

    def state_dict(self) -> None:
        """Nothing: it starts again."""


def _taken(candidate: Candidate | Configuration) -> set[str]:
    """The names in a record that are not for metrics."""
    names = {*NOT_MEASURED, *candidate.columns()}
    if isinstance(candidate, Candidate):
        rows = map(registry.get, registry.names())
        names |= {*(item.name for item in fields(Candidate)), *(name for row in rows for name in row.options)}
    return names


def _checked(metrics: Mapping[str, Any], path: str, taken: set[str]) -> dict[str, float]:
    """The user's metrics as plain numbers that a record can hold."""
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or name in taken:
            raise EvaluationError(
                f"{path} must not return {name!r}: a metric's name is a text, and none of the trial's own"
            )
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise EvaluationError(f"{path} must return finite numbers, got {name}={value!r}")
        plain[name] = int(value) if isinstance(value, Integral) else float(value)
    if not 0 <= plain.get("accuracy", 0) <= 1:
        raise EvaluationError(f"{path} must return an accuracy in 0..1, got {plain['accuracy']}")
    for name in COUNTS:
        if not 1 <= plain.get(name, 1) < 2**63 or plain.get(name, 1) % 1:
            raise EvaluationError(f"{path} must return a whole number of at least 1 as {name}, got {plain[name]}")
    return plain


def _mean_metrics(found: Sequence[dict[str, float]], path: str) -> dict[str, Any]:
    """One call's metrics as they are; of several the means, and the deviation of the accuracy.

    Raises:
        EvaluationError: one call gave other metrics than another, or another count.
    """
    first = found[0]
    if len(found) == 1:
        return dict(first)
    for other in found[1:]:
        if other.keys() != first.keys() or any(other[name] != first[name] for name in COUNTS if name in first):
            raise EvaluationError(f"{path} must return the same metrics and counts with each seed, got {found!r}")
    metrics: dict[str, Any] = {
        name: value if name in COUNTS else fmean(call[name] for call in found) for name, value in first.items()
    }
    metrics.setdefault("seeds", len(found))
    if "accuracy" in first:
        accuracies = [call["accuracy"] for call in found]
        metrics |= {"accuracy_std": deviation(accuracies), "accuracies": accuracies}
    return metrics


def _mean_curve(curves: Mapping[int, Sequence[float]]) -> list[Point]:
    """Each epoch's mean over the seeds that reported it."""
    points = []
    for epoch in range(max(map(len, curves.values()))):
        reported = {seed: curve[epoch] for seed, curve in curves.items() if len(curve) > epoch}
        rows = [{"seed": seed, "epoch": epoch + 1, "accuracy": one, "loss": None} for seed, one in reported.items()]
        accuracy = fmean(reported.values())
        points.append({"epoch": epoch + 1, "accuracy": accuracy, "loss": None, "seeds": rows})
    return points


def load_function(path: str) -> Callable[..., Any]:
    """The function behind `module:function`.

    Raises:
        SpecError: the text is of another form, the module cannot be imported, or has no such function.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name) or module.startswith("."):
        raise SpecError(f"evaluator must be written module:function, got {path!r}")
    try:
        imported = import_user_module(module)
    except (ImportError, SyntaxError) as error:
        hidden = hidden_file(error.name) if isinstance(error, ImportError) and error.name else None
        hint = f"; an installed module hides {hidden}, which another name would mend" if hidden else ""
        raise SpecError(f"evaluator {path!r}: cannot import {module}: {' '.join(str(error).split())}{hint}") from None
    function = getattr(imported, name, None)
    if function is None:
        raise SpecError(f"evaluator {path!r}: module {module} has no function {name}")
    if not callable(function):
        raise SpecError(f"evaluator {path!r}: {name} is not a function")
    return function
