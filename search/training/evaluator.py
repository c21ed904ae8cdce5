"""What stands behind a trial: a training of our own, or a user's function.

A user's evaluator is `module:function`, called as function(config, report):

    def evaluate(config: dict, report: Callable[[float], None]) -> dict: ...

`config` is the candidate's fields (`Candidate.to_dict`) with "seed" and "epochs"; `report(accuracy)`, called after each
epoch, gives the learning curve; what is returned holds "accuracy", and may hold "params" and "macs" where they differ
from those of the candidate's own network. RReLU and dropout in it may use torch's global generator: it is seeded.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from leni.errors import EvaluationError, SpecError
from search.training.data import Data
from search.training.recipe import Recipe
from search.training.train import Epoch, Training
from spaces import Candidate

__all__ = ["Evaluation", "FunctionEvaluator", "TrainingEvaluator", "load_function"]


@dataclass
class Evaluation:
    """What is known of a trial so far: its learning curve, and its metrics once it is done."""

    curve: list[Epoch] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingEvaluator:
    """Trains the candidate's network; the accuracy is the last epoch's, not the best of them."""

    data: Data
    recipe: Recipe
    seed: int
    device: str

    def evaluate(self, candidate: Candidate) -> Iterator[Evaluation]:
        """The evaluation as it grows, after every epoch."""
        evaluation = Evaluation()
        for epoch in Training(candidate, self.data, self.recipe, seed=self.seed, device=self.device):
            evaluation.curve.append(epoch)
            evaluation.metrics = {"accuracy": epoch.accuracy}
            yield evaluation


@dataclass(frozen=True)
class FunctionEvaluator:
    """Calls a user's function."""

    path: str
    recipe: Recipe
    seed: int

    def evaluate(self, candidate: Candidate) -> Iterator[Evaluation]:
        """The evaluation, once, when the function has returned.

        Raises:
            EvaluationError: it returned no finite accuracy.
        """
        evaluation = Evaluation()

        def report(accuracy: float) -> None:
            evaluation.curve.append(Epoch(len(evaluation.curve) + 1, float(accuracy), math.nan))

        config = {**candidate.to_dict(), "seed": self.seed, "epochs": self.recipe.epochs}
        torch.manual_seed(self.seed)
        metrics = load_function(self.path)(config, report)
        if not isinstance(metrics, Mapping) or "accuracy" not in metrics:
            raise EvaluationError(f"{self.path} must return a mapping with 'accuracy', got {metrics!r}")
        for name, value in metrics.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise EvaluationError(f"{self.path} must return finite numbers, got {name}={value!r}")
        evaluation.metrics = dict(metrics)
        yield evaluation


def load_function(path: str) -> Callable[..., Any]:
    """The function behind `module:function`.

    Raises:
        SpecError: the text is of another form, the module cannot be imported, or has no such function.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise SpecError(f"evaluator must be written module:function, got {path!r}")
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SpecError(f"evaluator {path!r}: cannot import {module}: {error}") from None
    except AttributeError:
        raise SpecError(f"evaluator {path!r}: module {module} has no function {name}") from None
    if not callable(function):
        raise SpecError(f"evaluator {path!r}: {name} is not a function")
    return function
