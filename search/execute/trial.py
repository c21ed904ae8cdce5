"""The trial's actor: it evaluates one candidate after another, and says what came of each.

An actor is reused, so that torch is imported and the data are mapped once a slot. The data set lies in Ray's object
store, once a node; every actor reads the same memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ray import tune

from search.training.data import Data
from search.training.evaluator import Evaluation, FunctionEvaluator, TrainingEvaluator
from search.training.recipe import Recipe
from spaces import Candidate

__all__ = ["TrialActor", "TrialSettings"]

SLICE_S = 1.0  # of training between two reports: each costs a round trip to the driver


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a run have in common.

    Attributes:
        recipe: how networks are trained.
        seed: of initialisation, order and augmentation, the same for every candidate, so that differences are paired.
        threads: torch's, as many as the CPUs that a trial was given.
        gpu: whether a trial was given a share of a GPU.
        evaluator: a user's `module:function`, None to train.
        import_path: the driver's sys.path, where a user's module is found; Ray itself passes only parts of it on.
    """

    recipe: Recipe
    seed: int
    threads: int
    gpu: bool
    evaluator: str | None = None
    import_path: tuple[str, ...] = ()


class TrialActor(tune.Trainable):
    """One slot of the search; `config` has the trial's number and its candidate as a mapping."""

    def setup(
        self, config: dict[str, Any], *, settings: TrialSettings, arrays: Mapping[str, Any] | None = None
    ) -> None:
        """Get ready for the first candidate.

        Args:
            config: "number" and "candidate".
            settings: what all trials have in common.
            arrays: the data set as `Data.to_arrays` gives it; None where a user's function evaluates.
        """
        torch.set_num_threads(settings.threads)
        sys.path.extend(path for path in settings.import_path if path not in sys.path)
        device = "cuda" if settings.gpu and torch.cuda.is_available() else "cpu"
        self.evaluator: TrainingEvaluator | FunctionEvaluator
        if arrays is None:
            self.evaluator = FunctionEvaluator(str(settings.evaluator), settings.recipe, settings.seed)
        else:
            self.evaluator = TrainingEvaluator(Data.from_arrays(arrays), settings.recipe, settings.seed, device)
        self.device = device
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next candidate."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self.evaluations: Iterator[Evaluation] = self.evaluator.evaluate(Candidate.from_dict(config["candidate"]))
        self.evaluation = Evaluation()
        self.reported = 0
        self.worked_s = 0.0

    def step(self) -> dict[str, Any]:
        """Evaluate for about a second, or to the end.

        Returns:
            "curve": new points of the learning curve; "done"; and with it "metrics" as pairs (Tune flattens mappings),
            or "error" with the reason why there are none. A failure of the evaluation is a result, not a crash: the
            actor lives on.
        """
        started = time.monotonic()
        done, error = False, ""
        try:
            while True:
                following = next(self.evaluations, None)
                done = following is None
                self.evaluation = following or self.evaluation
                if done or time.monotonic() - started >= SLICE_S:
                    break
        except Exception as failure:  # noqa: BLE001 - whatever a network or a user's function raises fails its trial alone
            done, error = True, _sentence(failure)
        self.worked_s += time.monotonic() - started
        curve = [vars(point) for point in self.evaluation.curve[self.reported :]]
        self.reported = len(self.evaluation.curve)
        report: dict[str, Any] = {"curve": curve, "done": done}
        if done:
            report |= {"error": error} if error else {"metrics": list(self._metrics().items())}
        return report

    def _metrics(self) -> dict[str, Any]:
        """The record's measured fields."""
        return {
            "accuracy_std": 0.0,
            "seeds": 1,
            "epochs": len(self.evaluation.curve),
            "wall_s": self.worked_s,
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu",
            **self.evaluation.metrics,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing is kept: a trial that is cut off is not taken up again."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing was kept."""


def _sentence(failure: Exception) -> str:
    """The failure in one line."""
    text = " ".join(str(failure).split()) or "no message"
    return f"{type(failure).__name__}: {text}"[:500]
