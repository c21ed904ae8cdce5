"""The training loss of each image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["sample_losses"]


def sample_losses(logits: Tensor, targets: Tensor, kind: str, *, label_smoothing: float = 0.0) -> Tensor:
    """The loss of each image, (N,).

    Args:
        logits: (N, classes).
        targets: (N,) classes, or (N, classes) probabilities.
        kind: "cross-entropy", or "bce": the mean over the classes of each class's binary cross-entropy.
        label_smoothing: fraction of each target that is spread evenly over all classes.

    Source: torch's cross_entropy and binary_cross_entropy_with_logits; the latter as Wightman et al. (2110.00476,
    section 2.2) train with it.
    """
    if kind == "cross-entropy":
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    classes = logits.shape[1]
    wanted = targets if targets.dim() == 2 else F.one_hot(targets, classes).to(logits.dtype)
    wanted = wanted * (1 - label_smoothing) + label_smoothing / classes
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
