"""How well classes are predicted, beside accuracy: summed batch by batch, so that a part of any size fits.

The formulas are those of scikit-learn and torchmetrics. torchmetrics itself is used in tests alone: importing it takes
every worker longer than a training of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["SCORES", "ClassScores", "mean_scores"]

SCORES = {
    "top5_accuracy": "maximize",
    "validation_loss": "minimize",
    "balanced_accuracy": "maximize",
    "macro_f1": "maximize",
    "calibration_error": "minimize",
}
"""The scores by their column in the records, with the direction in which they are better."""

BINS = 15  # of the calibration error, Guo et al. (1706.04599)


class ClassScores:
    """Sums over the images of a part, for one network.

    Args:
        classes: how many.
        device: where the logits are.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self.classes = classes
        self.confusion = torch.zeros(classes * classes, dtype=torch.int64, device=device)  # true class times predicted
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.among_five = torch.zeros((), dtype=torch.int64, device=device)
        self.bins = torch.zeros(3, BINS, dtype=torch.float64, device=device)  # images, right ones, confidence
        self.edges = torch.linspace(0, 1, BINS + 1, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            logits: (N, classes).
            labels: (N,).
        """
        confidence, predicted = logits.float().softmax(1).max(1)
        right = predicted == labels
        self.confusion += torch.bincount(labels * self.classes + predicted, minlength=self.classes**2)
        self.loss += F.cross_entropy(logits.double(), labels, reduction="sum")
        self.among_five += (logits.topk(min(5, self.classes), dim=1).indices == labels[:, None]).sum()
        places = (torch.bucketize(confidence, self.edges, right=True) - 1).clamp(max=BINS - 1)
        for row, values in zip(self.bins, (torch.ones_like(confidence), right, confidence), strict=True):
            row.index_add_(0, places, values.double())

    def result(self) -> dict[str, float]:
        """The scores of all images counted.

        top5_accuracy: fraction of images whose class is among the five most probable. validation_loss: mean cross
        entropy. balanced_accuracy: mean over the classes that occur of the fraction that is right. macro_f1: mean F1
        over the classes that occur or were predicted. calibration_error: expected calibration error, 15 bins, the mean
        distance of confidence and accuracy.
        """
        confusion = self.confusion.view(self.classes, self.classes).double()
        right, true, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        count = float(true.sum())
        recall = (right / true)[true > 0].mean()
        f1 = (2 * right / (true + predicted))[true + predicted > 0].mean()
        return {
            "top5_accuracy": float(self.among_five) / count,
            "validation_loss": float(self.loss) / count,
            "balanced_accuracy": float(recall),
            "macro_f1": float(f1),
            "calibration_error": float((self.bins[1] - self.bins[2]).abs().sum()) / count,
        }


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over several networks."""
    return {name: fmean(each[name] for each in scores) for name in scores[0]}
