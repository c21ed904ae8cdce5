import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import NetworkError
from leni.widths.groups import channel_groups

EXAMPLE = torch.empty(1, 3, 8, 8)


def convolution(inputs: int, outputs: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, **options)


class Mixed(nn.Module):
    """A residual sum, a concatenation, a split, a gate, depthwise, and a head beside the main output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = convolution(3, 8), convolution(8, 8), convolution(8, 4)
        self.depth, self.gate, self.up = convolution(12, 12, groups=12), convolution(12, 6), convolution(6, 12)
        self.mix, self.head, self.aux = convolution(6, 10), nn.Linear(10, 5), nn.Linear(10, 3)
        self.norm = nn.BatchNorm2d(12)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.relu(self.stem(x))
        x = torch.cat([x + self.a(x), self.b(x)], 1)
        x = self.norm(self.depth(x))
        x = x * torch.sigmoid(self.up(F.relu(self.gate(x.mean((2, 3), keepdim=True)))))
        left, right = x.chunk(2, 1)
        x = self.mix(left - right).flatten(2).mean(2)
        return {"main": self.head(x), "aux": self.aux(x)}


def test_groups_of_sums_concatenations_gates_and_depthwise_layers() -> None:
    groups = channel_groups(Mixed(), EXAMPLE)

    assert {group.layers[:2]: (group.channels, group.parts) for group in groups.groups} == {
        ("stem", "a"): (8, 2),
        ("b", "depth"): (4, 2),
        ("gate",): (6, 1),
        ("mix",): (10, 1),
    }
    assert groups.kept == dict.fromkeys(("head", "aux"), "it is an output of the network")


@pytest.mark.parametrize("widths", [(2, 2, 1, 1), (6, 4, 5, 3), (8, 4, 6, 10)])
def test_built_network_has_the_widths_and_runs_in_both_modes(widths: tuple[int, ...]) -> None:
    groups = channel_groups(Mixed(), EXAMPLE)
    order = {group.name: width for group, width in zip(groups.groups, widths, strict=True)}

    network = groups.build(widths)

    assert network.a.out_channels == order["stem"]
    assert network.depth.groups == network.norm.num_features == order["stem"] + order["b"]
    for mode in (True, False):
        out = network.train(mode)(torch.randn(3, 3, 8, 8))
        assert [out["main"].shape, out["aux"].shape] == [(3, 5), (3, 3)]


def test_build_leaves_the_network_and_keeps_first_channels() -> None:
    network = Mixed()
    groups = channel_groups(network, EXAMPLE)

    smaller = groups.build([group.parts for group in groups.groups])

    assert network.a.weight.shape == (8, 8, 1, 1)
    assert torch.equal(smaller.a.weight, network.a.weight[:2, :2])


def test_build_refuses_widths_that_are_none() -> None:
    groups = channel_groups(Mixed(), EXAMPLE)
    with pytest.raises(NetworkError, match="4 groups of channels, got 1 widths"):
        groups.build([8])
    with pytest.raises(NetworkError, match="stem must have a positive multiple of 2 channels, got 3"):
        groups.build([3, 4, 6, 10])


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias)


class Written(nn.Module):
    """Keeps numbers of channels in attributes and in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = Standardised(3, 12, 1), convolution(4, 6), convolution(6, 4)
        self.width, self.scale = 4, nn.Parameter(torch.ones(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        one, two, three = torch.split(self.a(x), self.width, 1)
        x = self.c(self.b(one + two * three) * self.scale)
        return x * torch.ones(1, 4, 1, 1).mean() + torch.arange(4).view(1, 4, 1, 1)


def test_groups_follow_split_sizes_kept_in_attributes_and_computed_weights() -> None:
    groups = channel_groups(Written(), EXAMPLE)
    network = groups.build([group.parts * 2 for group in groups.groups])

    assert [(group.name, group.channels, group.parts) for group in groups.groups] == [("a", 4, 1), ("b", 6, 1)]
    assert (network.width, network.a.out_channels, network.scale.shape) == (2, 6, (2, 1, 1))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 4, 8, 8)
    assert list(groups.kept) == ["c"]


class Fixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = convolution(3, 8), convolution(8, 6), convolution(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x = x.reshape(x.shape[0], 8, *x.shape[2:])
        return self.c(torch.relu(self.b(x)))


def test_numbers_in_the_code_keep_the_channels_that_they_are_of() -> None:
    groups = channel_groups(Fixed(), EXAMPLE)

    assert [group.name for group in groups.groups] == ["b"]
    assert "reshape in the network itself is written for as many channels as it has" in groups.kept["a"]
    assert groups.build([2])(torch.randn(1, 3, 8, 8)).shape == (1, 5, 8, 8)


def test_groups_leave_computed_weights_and_recurrent_layers() -> None:
    network = nn.Sequential(convolution(3, 8), nn.ReLU(), convolution(8, 8), nn.Flatten(2), nn.LSTM(64, 4))
    nn.utils.parametrizations.weight_norm(network[0])

    groups = channel_groups(network, EXAMPLE)

    assert groups.groups == ()
    assert "0 (Conv2d) is not followed" in groups.kept.values() or "4 (LSTM) is not followed" in groups.kept["2"]
