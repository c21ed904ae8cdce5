"""Parameters and multiply-adds as polynomials of the widths, against the networks built at these widths."""

import random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from leni.widths.counting import Polynomial, Sizes, macs_polynomial, params_polynomial
from leni.widths.groups import channel_groups
from leni.widths.sizes import Size


class Branches(nn.Module):
    """A concatenation of unequal branches, a depthwise and a grouped convolution, a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(3, 20, 1)
        self.norm, self.depthwise = nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, groups=32, bias=False)
        self.grouped, self.head = nn.Conv2d(32, 24, 1, groups=4), nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.norm(torch.cat([self.a(x), self.b(x)], 1)))
        return self.head(self.grouped(x).mean((2, 3)))


@pytest.mark.parametrize("seed", range(4))
def test_polynomials_equal_the_network_built_at_the_widths(seed):
    example = torch.empty(1, 3, 9, 7)
    groups = channel_groups(Branches(), example)
    sizes = Sizes(groups)
    params, macs = params_polynomial(groups, sizes), macs_polynomial(groups.flows[0], sizes)
    generator = random.Random(seed)
    widths = [group.parts * generator.randint(1, group.channels // group.parts) for group in groups.groups]
    network = groups.build(widths).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example)
    assert params.at(sizes.values(widths)) == sum(parameter.numel() for parameter in network.parameters())
    assert macs.at(sizes.values(widths)) == counter.get_total_flops() // 2


def test_polynomial_merges_terms_and_takes_fractions_of_sizes():
    groups = channel_groups(Branches(), torch.empty(1, 3, 9, 7))
    sizes, free = Sizes(groups), groups.free
    first = groups.equations.one(free[0])
    half = first.times(2).plus(Size.of(6))
    found = Polynomial(sizes, [(3, [first, half]), (2, [half, first]), (7, [])])
    widths = [group.channels for group in groups.groups]
    assert found.at(sizes.values(widths)) == 5 * widths[0] * (2 * widths[0] + 6) + 7
