"""Fresh networks cut to other widths: what is kept, and with which variance."""

import math

import pytest
import torch
from torch import nn

from leni.errors import NetworkError
from leni.widths.groups import channel_groups
from leni.widths.resizing import keep_variance, resize


def convolutions(channels: int = 3, classes: int = 6) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 96, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, classes),
    )  # fmt: skip


def test_resize_keeps_the_first_entries_and_what_no_width_decides():
    groups = channel_groups(convolutions(), torch.empty(1, 3, 12, 12))
    network = convolutions(channels=1, classes=4)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    resize(groups, network, groups.values([5, 7]))
    assert torch.equal(network[3].weight, before[4][:7, :5])
    assert torch.equal(network[7].weight, before[6][:, :7])
    assert (network[0].in_channels, network[0].out_channels, network[7].out_features) == (1, 5, 4)
    assert network(torch.zeros(2, 1, 12, 12)).shape == (2, 4)


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        (lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"), math.sqrt(2 / (24 * 9))),
        (lambda weight: nn.init.kaiming_normal_(weight, mode="fan_in"), math.sqrt(2 / (16 * 9))),
        (lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5)), math.sqrt(1 / (3 * 16 * 9))),
        (lambda weight: nn.init.normal_(weight, 0.0, 0.005), 0.005),
    ],
)
def test_variance_follows_the_rule_that_the_weights_were_drawn_by(init, expected):
    torch.manual_seed(2)
    groups = channel_groups(convolutions(), torch.empty(1, 3, 12, 12))
    network = convolutions()
    init(network[3].weight)
    keep_variance(resize(groups, network, groups.values([16, 24])))
    assert float(network[3].weight.detach().std()) == pytest.approx(expected, rel=0.05)


def test_network_of_another_structure_is_refused():
    groups = channel_groups(convolutions(), torch.empty(1, 3, 12, 12))
    cut = nn.Sequential(nn.Conv2d(3, 9, 3))
    for other, sentence in [(convolutions()[:4], "has no module 7"), (cut, r"0\.weight has")]:
        with pytest.raises(NetworkError, match=sentence):
            resize(groups, other, groups.values([5, 7]))
