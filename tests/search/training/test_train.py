import dataclasses

import pytest
import torch

from leni.errors import EvaluationError
from search.training.data import Data, load
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 8), "leni")
RECIPE = Recipe(epochs=3, batch_size=32, lr=0.05)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits", train_size=160)


def curve(training: Training) -> list[tuple[float, float]]:
    return [(epoch.accuracy, epoch.loss) for epoch in training]


def test_training_is_a_function_of_its_seed(data):
    one, again, other = (curve(Training(SMALL, data, RECIPE, seed=seed)) for seed in (5, 5, 6))
    assert one == again
    assert one != other


def test_training_learns(data):
    losses = [loss for _, loss in curve(Training(SMALL, data, dataclasses.replace(RECIPE, epochs=6), seed=0))]
    assert losses[-1] < 0.8 * losses[0]


def test_training_taken_up_again_gives_the_numbers_of_an_uninterrupted_one(data):
    whole = Training(SMALL, data, RECIPE, seed=1)
    first = whole.epoch()
    state = {
        key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in whole.state_dict().items()
    }
    stored = torch.save(state, buffer := __import__("io").BytesIO()) or buffer
    stored.seek(0)
    resumed = Training(SMALL, data, RECIPE, seed=99)
    resumed.load_state_dict(torch.load(stored))
    assert resumed.epochs == first.epoch == 1
    assert curve(resumed) == curve(whole)


def test_training_never_reads_the_test_part(data):
    class Poison:
        def __getattr__(self, name: str):
            raise AssertionError(f"the test part was asked for {name}")

    spared = dataclasses.replace(data, test=Poison())
    assert len(curve(Training(SMALL, spared, RECIPE, seed=0))) == 3


def test_a_loss_that_is_not_finite_ends_the_training(data):
    training = Training(SMALL, data, dataclasses.replace(RECIPE, lr=1e30), seed=0)
    with pytest.raises(EvaluationError, match="training loss became"):
        curve(training)


def test_accuracy_is_the_share_of_the_validation_part_that_is_right(data):
    training = Training(SMALL, data, RECIPE, seed=0)
    training.epoch()
    training.network.eval()
    right = 0
    mean, std = torch.tensor(data.mean).view(-1, 1, 1), torch.tensor(data.std).view(-1, 1, 1)
    for image, label in zip(data.validation.images, data.validation.labels, strict=True):
        logits = training.network(((image / 255 - mean) / std)[None])
        right += int(logits.argmax() == label)
    assert training.accuracy() == pytest.approx(right / len(data.validation.labels), abs=0.006)


@pytest.mark.parametrize("change", [{"label_smoothing": 0.3}, {"clip": 0.01}, {"weight_decay": 0.1}, {"momentum": 0.0}])
def test_each_part_of_the_recipe_changes_the_training(data, change):
    plain = curve(Training(SMALL, data, RECIPE, seed=0))
    assert curve(Training(SMALL, data, dataclasses.replace(RECIPE, **change), seed=0)) != plain


def test_lr_factor_scales_the_learning_rate(data):
    scaled = curve(Training(dataclasses.replace(SMALL, lr_factor=3.0), data, RECIPE, seed=0))
    assert scaled == curve(Training(SMALL, data, dataclasses.replace(RECIPE, lr=0.15), seed=0))


def test_a_training_part_smaller_than_a_batch_is_one_batch(data):
    training = Training(SMALL, data, dataclasses.replace(RECIPE, batch_size=1000), seed=0)
    assert (training.batch, training.steps_per_epoch) == (160, 1)


@pytest.mark.gpu
def test_training_on_cuda_learns(data):
    training = Training(SMALL, data, dataclasses.replace(RECIPE, epochs=10), seed=0, device="cuda")
    accuracies = [accuracy for accuracy, _ in curve(training)]
    assert training.images.is_cuda
    assert max(accuracies) > 0.5
