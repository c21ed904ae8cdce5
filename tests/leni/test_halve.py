import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.halve import Producer, halve, producer_of
from leni.tracing import trace


def params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def found(network: nn.Module) -> Producer | str:
    """What is before the last activation of a network of 3x5x4 images."""
    record = trace(network, torch.empty(1, 3, 5, 4))
    return producer_of(network, record, record.calls[-1])


@pytest.mark.parametrize(("bias", "affine"), [(True, True), (False, True), (True, False)])
def test_producer_counts_what_halving_saves(bias: bool, affine: bool) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 6, 3, bias=bias), nn.BatchNorm2d(6, affine=affine), nn.ReLU())
    before = params(layers)

    producer = found(layers)

    assert isinstance(producer, Producer)
    assert (producer.convolution, producer.norm) == ("0", "1")
    halve(layers, producer)
    assert producer.params == before - params(layers)
    assert producer.macs == 3 * 3 * 3 * 3 * (3 * 2)  # 3 of 6 filters of 3x3x3, at 3x2 positions


def test_halve_keeps_the_first_filters_and_channels() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()).eval()
    norm = layers[1]
    for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
        tensor.uniform_(0.5, 2)
    norm.weight.requires_grad_(False)
    whole, images = copy.deepcopy(layers), torch.randn(2, 3, 5, 4)

    halve(layers, Producer("0", "1", 0, 0))

    torch.testing.assert_close(layers(images), whole(images)[:, :3])
    assert (layers[0].out_channels, norm.num_features) == (3, 3)
    assert not norm.weight.requires_grad
    assert norm.bias.requires_grad
    assert layers.train()(images).shape == (2, 3, 3, 2)


class Read(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(x) + x


class Again(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :, 1:]).sum((2, 3), keepdim=True) + F.relu(self.conv(x))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU()), "5 channels, which cannot be halved"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.ReLU()), "no convolution comes before it"),
        (
            nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 6, 1, groups=2), nn.ReLU()),
            r"1, .*2 groups of an odd number of filters",
        ),
        (Read(), "conv, the convolution before it, feeds more than this site"),
        (Again(), "conv, the convolution before it, feeds more than this site"),
    ],
)
def test_producer_that_cannot_be_halved_is_a_sentence(network: nn.Module, reason: str) -> None:
    sentence = found(network)

    assert isinstance(sentence, str)
    assert re.search(reason, sentence)


def test_producer_without_norm_is_the_convolution_alone() -> None:
    assert found(nn.Sequential(nn.Conv2d(3, 4, (1, 2), stride=2), nn.ReLU())) == Producer("0", "", 14, 2 * 6 * 3 * 2)


class NormAct(nn.BatchNorm2d):
    """A batch norm of a class of its own, which ends in its activation, as timm's."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training)
        return self.act(self.drop(x))


class Standardised(nn.Conv2d):
    """A convolution of a class of its own, whose weight is computed for each filter."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        self.gain = nn.Parameter(torch.linspace(1, 2, outputs).reshape(-1, 1, 1, 1))
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        weight = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True)
        return F.conv2d(x, weight.reshape_as(self.weight) * self.gain * self.scale, self.bias, padding=1)


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        (nn.Sequential(nn.Conv2d(4, 12, 1, groups=2), nn.BatchNorm2d(12), nn.ReLU()), [0, 1, 2, 6, 7, 8]),
        (nn.Sequential(nn.Conv2d(4, 8, 1, groups=4), nn.ReLU()), [0, 2, 4, 6]),
        (nn.Sequential(Standardised(4, 6), nn.Dropout(), NormAct(6)), [0, 1, 2]),
    ],
)
def test_halve_keeps_half_of_each_group_and_reads_layers_of_other_classes(layers: nn.Module, kept: list[int]) -> None:
    record = trace(layers, torch.empty(1, 4, 5, 4))
    producer = producer_of(layers, record, record.calls[-1])
    assert isinstance(producer, Producer)
    whole, images, before = copy.deepcopy(layers).eval(), torch.randn(2, 4, 5, 4), params(layers)

    halve(layers, producer)

    torch.testing.assert_close(layers.eval()(images), whole(images)[:, kept])
    assert before - params(layers) == producer.params
