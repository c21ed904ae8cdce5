"""Costs without a network: equal to the network's own parameters and to torch's counter, and nothing allocated."""

import doctest
import importlib
import random
from dataclasses import replace
from functools import cache

import optuna
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from leni import registry
from leni.errors import CandidateError
from spaces import PRESETS, Candidate, Cost, build, cost, space
from spaces.costs import _count

SHAPE = (3, 8, 8)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def structure(candidate):
    """The candidate without what should cost nothing; written out here, and not asked of the registry."""
    free = {"init_std", "init_slope", "decay", "negative_slope", "alpha", "init"}
    kept = {name: value for name, value in candidate.options if name not in free}
    return replace(candidate, lr_factor=1.0, options=tuple(kept.items()))


def counted(candidate, shape=SHAPE, classes=10):
    """What a real network on the CPU says of itself."""
    network = build(candidate, in_channels=shape[0], classes=classes).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, *shape))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return Cost(sum(parameter.numel() for parameter in network.parameters()), flops // 2)


@cache
def measured(candidate):
    """`counted` of a structure, or None where it cannot be built."""
    try:
        return counted(candidate)
    except CandidateError:
        return None


def costed(candidate):
    try:
        return cost(candidate, input_shape=SHAPE, classes=10)
    except CandidateError:
        return None


EVERY = pytest.param(None, marks=pytest.mark.exhaustive)


@pytest.mark.parametrize("number", [60, EVERY])
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "full"])
def test_cost_of_listed_candidates_is_that_of_their_networks(name, number):
    listed = list(space(name).candidates())
    assert len({structure(candidate) for candidate in listed}) < len(listed) / 3
    for candidate in listed if number is None else random.Random(5).sample(listed, number):
        expected = measured(structure(candidate))
        assert expected is not None
        assert costed(candidate) == expected, candidate


@pytest.mark.parametrize("number", [40, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_cost_of_drawn_candidates_is_that_of_their_networks_or_both_refuse(number):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    drawn = [space("full").suggest(study.ask()) for _ in range(number)]
    refused = 0
    for candidate in drawn:
        expected = measured(structure(candidate))
        assert costed(candidate) == expected, candidate
        refused += expected is None
    assert 0 < refused < number / 2


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 9, 5)], ids=str)
@pytest.mark.parametrize("backbone", ["resnet8", "vgg16_bn"])
def test_cost_follows_the_image_and_the_classes(shape, backbone):
    widths = (4, 6, 8) if backbone == "resnet8" else (4, 6, 8, 10, 12)
    for activation in ("leni", "meta_acon", "dynamic_relu_b"):
        candidate = Candidate(backbone, widths, activation)
        assert cost(candidate, input_shape=shape, classes=7) == counted(candidate, shape, 7)


@pytest.mark.parametrize(
    ("activation", "first", "second"),
    [
        ("leni", {"init_std": 0.0, "decay": True}, {"init_std": 0.7, "init_slope": -1.0}),
        ("leni", {"norm": "batch", "init_std": 0.0}, {"norm": "batch", "init_std": 0.1}),
        ("prelu", {"init": 0.0}, {"init": 1.0}),
        ("elu", {"alpha": 2.0}, {}),
    ],
    ids=str,
)
def test_start_decay_and_rate_cost_nothing(activation, first, second):
    one = Candidate("resnet8", (4, 8, 16), activation, "all", first, 0.3)
    other = Candidate("resnet8", (4, 8, 16), activation, "all", second, 3.0)
    assert one != other
    assert counted(one) == counted(other) == costed(one) == costed(other)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 5}, {"transform": "dense"}, {"norm": "batch"}, {"compression": "dense"}], ids=str
)
def test_structural_options_cost_something(options):
    plain = Candidate("resnet8", (4, 8, 16), "leni")
    assert costed(replace(plain, options=tuple(options.items()))).params > costed(plain).params


def resnet_params(blocks, widths, channels, classes):
    """Closed form: convolutions without bias, a batch norm behind each, a linear head."""
    total, before = 9 * channels * widths[0] + 2 * widths[0], widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            total += 9 * before * width + 9 * width * width + 4 * width
            if before != width or (stage > 0 and block == 0):
                total += before * width + 2 * width
            before = width
    return total + before * classes + classes


@pytest.mark.parametrize("activation", [name for name in registry.names() if name not in ("crelu", "meta_acon")])
def test_cost_allocates_nothing(activation):
    wide = (200_000,) * 3
    found = cost(Candidate("resnet8", wide, activation), input_shape=(3, 32, 32), classes=10)
    learned = registry.get(activation).learned(200_000, **registry.get(activation).check({}))
    assert found.params == resnet_params(1, wide, 3, 10) + 7 * learned > 10**12


@pytest.mark.parametrize("transform", ["dense", "grouped"])
def test_cost_of_dense_blocks_allocates_nothing(transform):
    options = {"transform": transform, "compression": "dense", "norm": "batch"}
    found = cost(Candidate("resnet8", (200_000,) * 3, "leni", "all", options), input_shape=(3, 32, 32), classes=10)
    area = 200_000**2
    site = 9 * area // (4 if transform == "grouped" else 1) + 2 * area + 2 * 200_000
    assert found.params == resnet_params(1, (200_000,) * 3, 3, 10) + 7 * site


@pytest.mark.parametrize("activation", ["relu", "leni", "acon_c", "frelu"])
def test_cost_leaves_the_random_state_alone(activation):
    _count.cache_clear()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    costed(Candidate("resnet8", (4, 8, 16), activation))
    assert _count.cache_info().misses == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_device() == torch.device("cpu")


def test_cost_leaves_the_random_state_alone_whatever_an_activation_does(monkeypatch):
    def factory(channels):
        torch.rand(5, device="cpu")
        return nn.ReLU()

    registry.names()
    monkeypatch.setattr(registry, "_ROWS", dict(registry._ROWS))
    registry.register(registry.Activation("drawing", "Drawing", factory))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert costed(Candidate("resnet8", (4, 8, 16), "drawing")) == costed(Candidate("resnet8", (4, 8, 16), "relu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_cost_takes_a_shape_as_a_list_too():
    candidate = Candidate("resnet8", (4, 8, 16), "relu")
    assert cost(candidate, input_shape=[3, 8, 8], classes=10) == costed(candidate)


def test_examples_in_the_docstrings_are_true():
    ran = doctest.testmod(importlib.import_module("spaces.costs"))
    assert ran.attempted > 0
    assert ran.failed == 0
