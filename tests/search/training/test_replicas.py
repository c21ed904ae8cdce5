import dataclasses
import io
import math
import statistics

import pytest
import torch
from torch import nn

from leni import registry
from leni.errors import EvaluationError, SpecError
from search.training.data import Data, load
from search.training.recipe import Recipe
from search.training.replicas import FUSED, ReplicaEpoch, Replicas
from search.training.train import Lockstep, Training
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 6), "leni")
SEEDS = (3, 0, 7)
RECIPE = Recipe(epochs=2, batch_size=32, lr=0.05)
SHORT = Recipe(epochs=1, batch_size=33, lr=0.1, label_smoothing=0.1, clip=0.5)  # three steps an epoch
FACTORS, DECAYS = (1.0, 0.5, 2.0), (0.0, 1e-2, 5e-4)
LENI_FORMS = [
    {"transform": "grouped", "groups": 2, "kernel_size": 5},
    {"transform": "dense", "compression": "dense", "norm": "batch"},
    {"transform": "scale", "norm": "batch", "decay": True},
    {"compression": "none"},
]
CANDIDATES = [
    *(Candidate("resnet8", (2, 4, 6), name, "stem+inner") for name in registry.names() if name != "rrelu"),
    *(Candidate("resnet8", (2, 4, 6), "leni", "stem+inner", tuple(form.items())) for form in LENI_FORMS),
    Candidate("resnet8", (2, 4, 6), "prelu", "all", (("per", "network"),), lr_factor=0.7),
    Candidate("resnet20", (1, 3, 2), "leni"),
    Candidate("vgg16_bn", (2, 4, 6, 8, 4), "frelu"),
]


@pytest.fixture(scope="module")
def data() -> Data:
    digits = load("digits", train_size=100)
    few = {"validation": dataclasses.replace(digits.validation, images=digits.validation.images[:90])}
    few["validation"] = dataclasses.replace(few["validation"], labels=digits.validation.labels[:90])
    return dataclasses.replace(digits, augmentation="crop-flip", **few)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def separately(candidate: Candidate, data: Data, index: int) -> Training:
    """The training that a replica with its own rate and decay has to equal."""
    candidate = dataclasses.replace(candidate, lr_factor=candidate.lr_factor * FACTORS[index])
    recipe = dataclasses.replace(SHORT, weight_decay=DECAYS[index])
    return Training(candidate, data, recipe, seed=SEEDS[index], dtype=torch.float64)


def farthest(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of two networks' parameters and buffers."""
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return max(float((a - b).abs().max()) for (name, a), (_, b) in pairs)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: f"{c.backbone}-{c.activation}")
def test_fused_replicas_equal_separate_trainings_in_float64(data, candidate):
    fused = Replicas(
        candidate, data, SHORT, seeds=SEEDS, dtype=torch.float64, lr_factors=FACTORS, weight_decays=DECAYS, how=FUSED
    )
    epoch = fused.epoch()
    assert len(fused.parts) == 1
    for index, network in enumerate(fused.networks()):
        alone = separately(candidate, data, index)
        expected = alone.epoch()
        assert epoch.losses[index] == pytest.approx(expected.loss, abs=1e-12)
        assert epoch.accuracies[index] == expected.accuracy
        assert farthest(network, alone.network) < 1e-12


FUSING = [
    {"optimizer": "adamw", "loss": "bce", "mixup": 0.3}, {"optimizer": "rmsprop", "ema": 0.7},
    {"optimizer": "nadam", "clip": 0.5, "accumulate": 2},
    {"nesterov": False, "policy": "trivialaugment", "cutmix": 1.0},
    {"augmentation": "resized-crop-flip", "erasing": 0.5, "schedule": "one-cycle"},
]  # fmt: skip


@pytest.mark.parametrize("change", FUSING, ids=str)
def test_fused_replicas_of_every_recipe_equal_separate_trainings(data, change):
    recipe = Recipe(epochs=1, batch_size=33, **change)
    fused, alone = (
        Replicas(SMALL, data, recipe, seeds=SEEDS, dtype=torch.float64, how=how)
        for how in (FUSED, "separate: asked for")
    )
    for one, other in zip(fused.epoch().losses, alone.epoch().losses, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    for one, other in zip(fused.networks(), alone.networks(), strict=True):
        assert farthest(one, other) < 1e-8


def test_replicas_with_muon_are_trained_one_after_another_and_say_why(data):
    assert Replicas(SMALL, data, Recipe(optimizer="muon"), seeds=SEEDS).how.startswith(
        "separate: muon works in bfloat16"
    )


def test_fused_replicas_equal_separate_trainings_in_float32_but_for_rounding(data):
    fused = Replicas(SMALL, data, SHORT, seeds=SEEDS, how=FUSED)
    epoch = fused.epoch()
    for seed, network, loss in zip(SEEDS, fused.networks(), epoch.losses, strict=True):
        alone = Training(SMALL, data, SHORT, seed=seed)
        assert loss == pytest.approx(alone.epoch().loss, abs=1e-5)
        assert farthest(network, alone.network) < 1e-4


@pytest.mark.parametrize("how", ["separate: it was asked for", None])
def test_one_seed_and_separate_replicas_are_trainings_to_the_bit(data, how):
    seeds = SEEDS if how else SEEDS[:1]
    replicas = Replicas(SMALL, data, RECIPE, seeds=seeds, how=how)
    trainings = [Training(SMALL, data, RECIPE, seed=seed) for seed in seeds]
    for epoch in replicas:
        expected = [training.epoch() for training in trainings]
        assert epoch.accuracies == tuple(one.accuracy for one in expected)
        assert epoch.losses == tuple(one.loss for one in expected)
    assert replicas.done
    assert farthest(replicas.networks()[0], trainings[0].network) == 0


def test_an_epoch_has_mean_deviation_and_a_row_a_seed():
    epoch = ReplicaEpoch.of(4, (8, 2, 5), (0.5, 0.9, 0.1), (3.0, 1.0, 2.0))
    assert (epoch.accuracy, epoch.loss) == (pytest.approx(0.5), 2.0)
    assert epoch.std == pytest.approx(statistics.stdev([0.5, 0.9, 0.1])) == pytest.approx(0.4)
    assert epoch.rows()[1] == {"seed": 2, "epoch": 4, "accuracy": 0.9, "loss": 1.0}
    assert ReplicaEpoch.of(1, (8,), (0.3,), (1.0,)).std == 0.0


def slower(factor: float):
    """A rehearsal whose times are made up: so many times a step of one seed a fused one takes."""
    rehearse = Lockstep.rehearse

    def timed(self: Lockstep) -> tuple[float, list[float]]:
        return (1.0 if self.count == 1 else factor), rehearse(self)[1]

    return timed


@pytest.mark.parametrize(("factor", "start"), [(2.9, "fused"), (3.1, "separate: a fused step takes longer than 3")])
def test_replicas_are_fused_where_that_is_measured_to_pay(data, monkeypatch, factor, start):
    monkeypatch.setattr(Lockstep, "rehearse", slower(factor))
    replicas = Replicas(SMALL, data, RECIPE, seeds=SEEDS)
    assert replicas.how.startswith(start)
    assert [part.count for part in replicas.parts] == ([3] if start == "fused" else [1, 1, 1])


def test_measuring_leaves_no_trace_in_the_numbers(data):
    chosen = Replicas(SMALL, data, RECIPE, seeds=SEEDS)
    told = Replicas(SMALL, data, RECIPE, seeds=SEEDS, how=chosen.how)
    assert list(chosen) == list(told)


class Drawing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) * torch.rand_like(x)


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) if x.sum() > 0 else x


class Unbatched(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) * torch.histc(x.detach(), 3).mean()


class Batched(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.softmax(x, 1)


WAYS = [
    (Drawing, "separate: vmap: called random operation"),
    (Branching, "separate: vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow"),
    (Unbatched, "separate: There is a performance drop because we have not yet implemented the batching rule"),
    (Batched, "fused"),
]


@pytest.mark.parametrize(("kind", "start"), WAYS)
def test_an_activation_that_cannot_be_batched_is_trained_seed_by_seed_and_says_why(data, monkeypatch, kind, start):
    row = registry.Activation("users_own", "", lambda channels: kind())
    monkeypatch.setitem(registry._ROWS, "users_own", row)
    monkeypatch.setattr(Lockstep, "rehearse", slower(1.0))
    candidate = Candidate("resnet8", (2, 2, 2), "users_own")
    replicas = Replicas(candidate, data, SHORT, seeds=SEEDS)
    assert replicas.how.startswith(start)
    assert "\n" not in replicas.how
    alone = Training(candidate, data, SHORT, seed=SEEDS[1]).epoch()
    assert replicas.epoch().losses[1] == pytest.approx(alone.loss, rel=1e-4)


def test_rrelu_draws_from_the_global_generator_so_its_seeds_are_trained_one_by_one(data):
    replicas = Replicas(Candidate("resnet8", (2, 2, 2), "rrelu"), data, SHORT, seeds=(5, 6))
    assert replicas.how.startswith("separate: vmap")
    assert replicas.epoch().losses[1] == Training(replicas.candidate, data, SHORT, seed=6).epoch().loss


@pytest.mark.parametrize("how", [FUSED, "separate: it was asked for"])
def test_replicas_taken_up_again_give_the_numbers_of_uninterrupted_ones(data, how):
    recipe = dataclasses.replace(RECIPE, epochs=3)
    whole = Replicas(SMALL, data, recipe, seeds=SEEDS, how=how)
    whole.epoch()
    torch.save(whole.state_dict(), stored := io.BytesIO())
    stored.seek(0)
    rest = list(whole)
    resumed = Replicas(SMALL, data, recipe, seeds=SEEDS)  # which may have chosen otherwise
    resumed.load_state_dict(torch.load(stored))
    assert (resumed.how, resumed.epochs) == (how, 1)
    assert list(resumed) == rest


def test_a_state_of_other_seeds_is_refused(data):
    state = Replicas(SMALL, data, RECIPE, seeds=(1, 2), how=FUSED).state_dict()
    with pytest.raises(EvaluationError, match=r"seeds \[1, 2\], not of seeds \[2, 1\]"):
        Replicas(SMALL, data, RECIPE, seeds=(2, 1), how=FUSED).load_state_dict(state)


@pytest.mark.parametrize("how", [FUSED, "separate: it was asked for"])
def test_a_loss_that_is_not_finite_names_its_seed(data, how):
    replicas = Replicas(SMALL, data, RECIPE, seeds=SEEDS, lr_factors=(1.0, 1e30, 1.0), how=how)
    with pytest.raises(EvaluationError, match=r"training loss became (nan|inf) in epoch 1 \(seed 0\)"):
        list(replicas)


def test_a_replica_that_goes_to_infinity_leaves_the_others_alone(data):
    fused = Lockstep(
        SMALL, Replicas(SMALL, data, SHORT, seeds=(1,)).resident, SHORT, seeds=SEEDS, lr_factors=(1, 1e30, 1)
    )
    with pytest.raises(EvaluationError):
        fused.run_epoch()
    losses = (fused.total / fused.steps_per_epoch).tolist()
    assert not math.isfinite(losses[1])
    for index in (0, 2):
        alone = Training(SMALL, data, SHORT, seed=SEEDS[index]).epoch()
        assert losses[index] == pytest.approx(alone.loss, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seeds": ()}, "seeds must be at least one"),
        ({"seeds": (4, 2, 4)}, "each of them once"),
        ({"seeds": (1, 2), "lr_factors": (1.0,)}, "lr_factors must be 2"),
        ({"seeds": (1,), "weight_decays": ()}, "weight_decays must be 1"),
    ],
)
def test_replicas_refuse_what_does_not_fit_together(data, arguments, words):
    with pytest.raises(SpecError, match=words):
        Replicas(SMALL, data, RECIPE, **arguments)


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_replicas_on_cuda_learn_and_tell_their_memory(data, cuda_graph):
    recipe = dataclasses.replace(RECIPE, epochs=20, cuda_graph=cuda_graph)
    replicas = Replicas(SMALL, dataclasses.replace(data, augmentation="none"), recipe, seeds=SEEDS, device="cuda")
    assert replicas.how == FUSED
    assert max(epoch.accuracy for epoch in replicas) > 0.4
    assert replicas.peak_memory > 0
