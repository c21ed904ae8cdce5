"""Our own training of a candidate, all seeds at once, an epoch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import nn

from search.training.data import Data
from search.training.evaluation import Evaluation, Point
from search.training.recipe import Recipe
from search.training.replicas import ReplicaEpoch, Replicas, deviation
from search.training.scores import mean_scores
from spaces import Candidate

__all__ = ["TrainingEvaluator", "TrainingRun"]


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
        """Begin the evaluation, or continue from a run's `state_dict`.

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
        self.start: dict[str, float] = {}
        if evaluator.recipe.weights and not state:
            self.start = {"start_accuracy": fmean(self.replicas.accuracies(self.data.validation))}
        if state:
            self.start = {name: value for name, value in state["metrics"].items() if name == "start_accuracy"}
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
            **self.start,
        }
        if epoch.epoch == self.replicas.recipe.epochs:
            self.evaluation.metrics |= mean_scores(self.replicas.scores())
        if self.replicas.peak_memory is not None:
            self.evaluation.metrics["peak_memory"] = self.replicas.peak_memory
        return self.evaluation

    def advance(self, seconds: float) -> bool:
        """Train for a while: one epoch at least, and no further one once the time is over.

        Returns:
            Whether the training is over.

        Raises:
            EvaluationError: a loss is not finite.
        """
        end = time.monotonic() + seconds
        while next(self, None) is not None:
            if time.monotonic() >= end:
                return False
        return True

    def test_metrics(self) -> dict[str, Any]:
        """The test split, measured now: test_accuracy (a mean), test_accuracy_std, test_accuracies (one per seed)."""
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
