import pytest
import torch
from torch import nn

from search.training.losses import sample_losses


def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    return (
        logits,
        torch.tensor([3, 0, 1, 1, 2, 3, 0]),
        torch.rand(7, 4, generator=generator, dtype=torch.float64).softmax(1),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_each_image_has_the_mean_of_torchs(smoothing):
    logits, labels, shares = case()
    torchs = nn.CrossEntropyLoss(label_smoothing=smoothing)
    for targets in (labels, shares):
        found = sample_losses(logits, targets, "cross-entropy", label_smoothing=smoothing)
        assert found.shape == (7,)
        torch.testing.assert_close(found.mean(), torchs(logits, targets))


def test_bce_is_the_mean_over_classes_of_the_binary_losses():
    logits, labels, shares = case()
    log_p, log_q = logits.sigmoid().log(), (-logits).sigmoid().log()
    hot = torch.eye(4, dtype=torch.float64)[labels]
    for targets, wanted in ((labels, hot), (shares, shares)):
        smooth = 0.9 * wanted + 0.025
        expected = -(smooth * log_p + (1 - smooth) * log_q).mean(1)
        torch.testing.assert_close(sample_losses(logits, targets, "bce", label_smoothing=0.1), expected)
    torch.testing.assert_close(sample_losses(logits, labels, "bce").mean(), nn.BCEWithLogitsLoss()(logits, hot))
