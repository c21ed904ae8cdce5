import dataclasses
import io
from copy import deepcopy

import pytest
import torch
from torch import nn

from leni.errors import EvaluationError
from search.training.augment import normalise
from search.training.data import Data, Part, load
from search.training.optimisers import parameter_groups
from search.training.recipe import Recipe
from search.training.schedules import learning_rate
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
    state = whole.state_dict()
    whole_rest = curve(whole)  # which must leave the state as it is
    torch.save(state, stored := io.BytesIO())
    stored.seek(0)
    resumed = Training(SMALL, data, RECIPE, seed=99)
    resumed.load_state_dict(torch.load(stored))
    assert resumed.epochs == first.epoch == 1
    assert curve(resumed) == whole_rest


def test_a_rehearsal_changes_nothing(data):
    rehearsed, other = (Training(Candidate("resnet8", (2, 4, 8), "rrelu"), data, RECIPE, seed=4) for _ in range(2))
    seconds, losses = rehearsed.rehearse()
    again = rehearsed.rehearse()[1]
    assert seconds > 0
    assert losses == again
    assert curve(rehearsed) == curve(other)


def test_training_is_one_of_torchs_own_in_float64(data):
    """Three steps of autograd, CrossEntropyLoss and SGD, written out."""
    recipe = dataclasses.replace(RECIPE, epochs=1, batch_size=50, label_smoothing=0.1, clip=0.3)
    training = Training(SMALL, data, recipe, seed=2, dtype=torch.float64)
    network = deepcopy(training.network)
    optimiser = torch.optim.SGD(parameter_groups(network, 5e-4), lr=1.0, momentum=0.9, nesterov=True)
    order = torch.randperm(160, generator=torch.Generator().manual_seed(2))
    total = 0.0
    for step, rows in enumerate(order[:150].split(50)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, 3)
        images = normalise(data.train.images[rows], data.mean, data.std).double()
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(network(images), data.train.labels[rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.3)
        optimiser.step()
        total += float(loss.detach())
    assert training.epoch().loss == pytest.approx(total / 3, abs=1e-12)
    for one, other in zip(training.network.state_dict().values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


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
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_training_on_cuda_learns(data, cuda_graph):
    recipe = dataclasses.replace(RECIPE, epochs=10, cuda_graph=cuda_graph)
    training = Training(SMALL, data, recipe, seed=0, device="cuda")
    accuracies = [accuracy for accuracy, _ in curve(training)]
    assert training.images.is_cuda
    assert max(accuracies) > 0.5


@pytest.mark.gpu
def test_a_captured_step_gives_the_numbers_of_one_that_is_not(data):
    recipe = dataclasses.replace(RECIPE, amp=False)
    shifted = dataclasses.replace(data, augmentation="crop-flip")
    losses = []
    for cuda_graph in (False, True):
        training = Training(SMALL, shifted, dataclasses.replace(recipe, cuda_graph=cuda_graph), seed=0, device="cuda")
        losses.append([loss for _, loss in curve(training)])
    assert training.take_step.graph is not None, training.take_step.reason
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.fixture
def photos(write_images) -> Data:
    """Images on disk."""
    return load("imagefolder", folder=write_images("set", {"a": 40, "b": 40}), image_size=12)


def _in_memory(data: Data) -> Data:
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return dataclasses.replace(data, **{name: Part(part.images[:], part.labels) for name, part in parts.items()})


def test_training_on_images_on_disk_gives_the_numbers_of_images_in_memory(photos):
    disk, memory = (Training(SMALL, data, RECIPE, seed=3) for data in (photos, _in_memory(photos)))
    assert curve(disk) == curve(memory)
    assert disk.accuracies(photos.test) == memory.accuracies(_in_memory(photos).test)


def test_evaluation_of_large_images_comes_in_smaller_batches(photos, monkeypatch):
    training = Training(SMALL, photos, RECIPE, seed=3)
    whole, seen, inner = training.accuracy(), [], training._prepared
    monkeypatch.setattr("search.training.train.EVALUATION_PIXELS", 5 * 12 * 12)
    monkeypatch.setattr(training, "_prepared", lambda images: (seen.append(len(images)), inner(images))[1])
    assert training.accuracy() == whole
    assert seen == [5, 5, 5, 1]


VARIANTS = [
    {"optimizer": "adamw"}, {"optimizer": "rmsprop"}, {"optimizer": "nadam"}, {"optimizer": "muon"},
    {"nesterov": False, "schedule": "linear"}, {"schedule": "step"}, {"schedule": "one-cycle"},
    {"schedule": "constant"}, {"loss": "bce", "label_smoothing": 0.1}, {"augmentation": "crop"},
    {"augmentation": "flip"},
    {"augmentation": "crop-flip"}, {"augmentation": "resized-crop"}, {"augmentation": "resized-crop-flip"},
    {"policy": "randaugment"}, {"policy": "trivialaugment"}, {"erasing": 0.5}, {"mixup": 0.4}, {"cutmix": 1.0},
    {"mixup": 0.4, "cutmix": 1.0}, {"ema": 0.9}, {"accumulate": 3},
]  # fmt: skip


@pytest.fixture(scope="module")
def few() -> Data:
    return load("digits", train_size=96)


@pytest.mark.parametrize("change", VARIANTS, ids=str)
def test_training_of_every_recipe_goes_on_with_the_numbers_of_an_uninterrupted_one(few, change):
    recipe = Recipe(epochs=3, batch_size=32, warmup=0.5, **change)
    whole, default = (
        Training(SMALL, few, recipe, seed=1),
        Training(SMALL, few, Recipe(epochs=3, batch_size=32, warmup=0.5), seed=1),
    )
    first = whole.epoch()
    torch.save(whole.state_dict(), stored := io.BytesIO())
    stored.seek(0)
    resumed = Training(SMALL, few, recipe, seed=1)
    resumed.load_state_dict(torch.load(stored, weights_only=True))
    rest = curve(whole)
    assert curve(resumed) == rest
    assert [(first.accuracy, first.loss), *rest] != curve(default)
    for one, other in zip(whole.evaluated.parameters(), resumed.evaluated.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_with_accumulation_is_one_of_whole_batches_where_no_norm_sees_the_batch(few, monkeypatch):
    def plain(candidate, *, in_channels, classes):
        return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes))

    monkeypatch.setattr("search.training.train.build", plain)
    recipe = Recipe(epochs=2, batch_size=32, mixup=0.3)
    whole = Training(SMALL, few, recipe, seed=1, dtype=torch.float64)
    parts = Training(SMALL, few, dataclasses.replace(recipe, accumulate=5), seed=1, dtype=torch.float64)
    for one, other in zip(whole, parts, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-12)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_training_with_an_average_measures_it_and_not_the_last_weights(few):
    training = Training(SMALL, few, Recipe(epochs=1, batch_size=32, ema=0.8), seed=1, dtype=torch.float64)
    expected: dict[str, torch.Tensor] = {}
    inner = training.take_step

    def step() -> None:
        inner()
        for name, value in training.network.named_parameters():
            expected[name] = (
                value.detach().clone() if name not in expected else 0.8 * expected[name] + 0.2 * value.detach()
            )

    training.take_step = step
    training.epoch()
    (network,) = training.networks()
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12)
    weights = zip(network.parameters(), training.network.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in weights)
