import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.widths.groups import Groups, channel_groups

EXAMPLE = torch.empty(1, 3, 6, 4)


def built(network: nn.Module, factor: int = 1) -> tuple[dict[str, tuple[int, int]], Groups]:
    """Groups as {name: (channels, parts)}; the network is built at `factor` times the parts and run in both modes."""
    groups = channel_groups(network, EXAMPLE)
    smaller = groups.build([group.parts * factor for group in groups.groups])
    images = torch.randn(2, 3, 6, 4)
    for mode in (True, False):
        assert smaller.train(mode)(images).shape == network.train(mode)(images).shape
    return {group.name: (group.channels, group.parts) for group in groups.groups}, groups


class Standardised(nn.Conv2d):
    """As timm's: each filter is standardised, and has a gain."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, groups=groups)
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        weight = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, weight=self.gain.view(-1), training=True
        ).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, padding=self.padding, groups=self.groups)


@pytest.mark.parametrize(
    ("inner", "groups", "wanted"),
    [(18, 3, {"0": (12, 3), "1": (18, 3)}), (24, 12, {"0": (12, 1)}), (10, 1, {"0": (12, 1), "1": (10, 1)})],
)
def test_standardised_convolutions_have_groups_as_others(inner: int, groups: int, wanted: object) -> None:
    layers = nn.Sequential(Standardised(3, 12, 1), Standardised(12, inner, groups), nn.Conv2d(inner, 4, 1))

    assert built(layers)[0] == wanted


class Blur(nn.Module):
    """Anti-aliasing: the same filter for each channel, counted in an attribute or taken from the input."""

    def __init__(self, channels: int | None) -> None:
        super().__init__()
        self.channels = channels
        filters = torch.ones(1, 1, 3, 3) / 9
        self.register_buffer("filters", filters if channels is None else filters.repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        channels = self.channels or x.shape[1]
        filters = self.filters.expand(channels, 1, 3, 3) if self.channels is None else self.filters
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), filters, stride=2, groups=channels)


@pytest.mark.parametrize("channels", [None, 10])
def test_blur_pools_follow_the_channels(channels: int | None) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 10, 1), Blur(channels), nn.Conv2d(10, 4, 1))

    wanted, groups = built(layers, 7)

    assert wanted == {"0": (10, 1)}
    assert groups.build([7])[1].channels == (None if channels is None else 7)


class Eca(nn.Module):
    """A gate from a convolution along the channels, and a mask of new numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.head = nn.Conv2d(3, 9, 1), nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(9, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        gate = torch.sigmoid(self.gate(x.mean((2, 3)).view(x.shape[0], 1, -1))).view(x.shape[0], -1, 1, 1)
        return self.head(x * gate.expand_as(x) * x.new_empty((x.shape[0], 1, 1, 1)).fill_(0.5))


def test_gate_along_the_channels_does_not_keep_them() -> None:
    wanted, groups = built(Eca(), 5)

    assert wanted == {"stem": (9, 1)}
    assert groups.kept == {"gate": "it has one channel", "head": "it is an output of the network"}


class Normed(nn.Module):
    """Functional norms: of the layer's own parameters, in groups, and over the last dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Conv2d(3, 12, 1), nn.Linear(12, 10), nn.Linear(10, 4)
        self.weight, self.shift = nn.Parameter(torch.ones(12)), nn.Parameter(torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.group_norm(self.stem(x), 4, self.weight)
        x = self.mix(x.permute(0, 2, 3, 1)) + self.shift
        return self.head(torch.einsum("nhwc,nhwc->nhc", x, x))


def test_group_norm_as_a_function_keeps_its_groups() -> None:
    assert built(Normed())[0] == {"stem": (12, 4), "mix": (10, 1)}
