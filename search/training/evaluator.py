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
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any

import torch

from leni import registry
from leni.errors import EvaluationError, SpecError
from search.training.data import Data
from search.training.recipe import Recipe
from search.training.train import Epoch, Training
from spaces import Candidate

__all__ = ["Evaluation", "FunctionEvaluator", "TrainingEvaluator", "load_function"]

COUNTS = ("params", "macs", "epochs", "seeds")
NOT_MEASURED = ("number", "state", "device", "error", "started_at")  # a record's fields that no evaluator gives


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
            EvaluationError: no accuracy came back, or something that is no finite number or that no record can hold.
        """
        evaluation = Evaluation()

        def report(accuracy: float) -> None:
            evaluation.curve.append(Epoch(len(evaluation.curve) + 1, float(accuracy), math.nan))

        config = {**candidate.to_dict(), "seed": self.seed, "epochs": self.recipe.epochs}
        torch.manual_seed(self.seed)
        metrics = load_function(self.path)(config, report)
        if not isinstance(metrics, Mapping) or "accuracy" not in metrics:
            raise EvaluationError(f"{self.path} must return a mapping with 'accuracy', got {metrics!r}")
        evaluation.metrics = _checked(metrics, self.path)
        yield evaluation


def _checked(metrics: Mapping[str, Any], path: str) -> dict[str, float]:
    """The user's metrics as plain numbers that a record can hold."""
    rows = map(registry.get, registry.names())
    taken = {*NOT_MEASURED, *(item.name for item in fields(Candidate)), *(name for row in rows for name in row.options)}
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or name in taken:
            raise EvaluationError(
                f"{path} must not return {name!r}: a metric's name is a text, and none of the trial's own"
            )
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise EvaluationError(f"{path} must return finite numbers, got {name}={value!r}")
        plain[name] = int(value) if isinstance(value, Integral) else float(value)
    if not 0 <= plain["accuracy"] <= 1:
        raise EvaluationError(f"{path} must return an accuracy in 0..1, got {plain['accuracy']}")
    for name in COUNTS:
        if not 1 <= plain.get(name, 1) < 2**63 or plain.get(name, 1) % 1:
            raise EvaluationError(f"{path} must return a whole number of at least 1 as {name}, got {plain[name]}")
    return plain


def load_function(path: str) -> Callable[..., Any]:
    """The function behind `module:function`.

    Raises:
        SpecError: the text is of another form, the module cannot be imported, or has no such function.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name) or module.startswith("."):
        raise SpecError(f"evaluator must be written module:function, got {path!r}")
    try:
        imported = importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        raise SpecError(f"evaluator {path!r}: cannot import {module}: {' '.join(str(error).split())}") from None
    function = getattr(imported, name, None)
    if function is None:
        raise SpecError(f"evaluator {path!r}: module {module} has no function {name}")
    if not callable(function):
        raise SpecError(f"evaluator {path!r}: {name} is not a function")
    return function
