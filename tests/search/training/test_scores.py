import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from search.objectives import OBJECTIVES
from search.training.scores import SCORES, ClassScores, mean_scores


def case(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions that are often right, and one class that neither occurs nor is predicted."""
    generator = torch.Generator().manual_seed(classes)
    labels = torch.randint(0, classes - 1, (53,), generator=generator)
    logits = torch.randn(53, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(40), labels[:40]] += 2.0
    logits[:, classes - 1] = -9.0
    return logits, labels


@pytest.mark.parametrize("classes", [3, 8])
def test_scores_are_those_of_scikit_learn_and_torchmetrics(classes):
    logits, labels = case(classes)
    scores = ClassScores(classes, torch.device("cpu"))
    for part, wanted in zip(logits.split(20), labels.split(20), strict=True):
        scores.add(part, wanted)
    found, predicted, probabilities = scores.result(), logits.argmax(1), logits.softmax(1)
    every = range(classes)
    assert found.keys() == SCORES.keys()
    assert found["top5_accuracy"] == pytest.approx(
        metrics.top_k_accuracy_score(labels, logits, k=min(5, classes - 1), labels=every) if classes > 5 else 1.0
    )
    assert found["validation_loss"] == pytest.approx(metrics.log_loss(labels, probabilities, labels=every))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro", zero_division=0))
    torchs = multiclass_calibration_error(probabilities.float(), labels, num_classes=classes, n_bins=15, norm="l1")
    assert found["calibration_error"] == pytest.approx(float(torchs), abs=1e-6)


def test_scores_of_several_networks_are_averaged():
    assert mean_scores([{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 0.0}]) == {"a": 1.5, "b": 1.5}


def test_every_score_is_an_objective_in_its_direction():
    assert {name: OBJECTIVES[name] for name in SCORES} == SCORES
