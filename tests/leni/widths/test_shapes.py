import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.widths.groups import channel_groups

EXAMPLE = torch.empty(1, 3, 6, 4)


def found(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Channels and parts of each group; the network is built with the fewest channels and run in both modes."""
    groups = channel_groups(network, EXAMPLE)
    smaller = groups.build([group.parts for group in groups.groups])
    images = torch.randn(2, 3, 6, 4)
    for mode in (True, False):
        assert smaller.train(mode)(images).shape == network.train(mode)(images).shape
    return {group.name: (group.channels, group.parts) for group in groups.groups}


class Heads(nn.Module):
    """Self-attention on 24 tokens; the numbers of a head are an attribute, or computed from the input's channels."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.stem, self.qkv, self.proj = nn.Conv2d(3, 20, 1), nn.Linear(20, 60), nn.Linear(20, 7)
        self.heads, self.way = 4, way
        if way == "attribute":
            self.head_dim, self.inner = 5, 20

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.attend(self.stem(x).flatten(2).transpose(1, 2)))

    def attend(self, x: Tensor) -> Tensor:
        n, tokens, channels = x.shape
        size = {"attribute": getattr(self, "head_dim", 0), "inferred": -1, "input": channels // self.heads}[self.way]
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x.reshape(n, tokens, self.inner if self.way == "attribute" else -1)


@pytest.mark.parametrize(("way"), ["attribute", "inferred"])
def test_heads_of_their_own_size_are_narrowed_beside_the_tokens(way: str) -> None:
    assert found(Heads(way)) == {"stem": (20, 1), "qkv": (20, 4)}  # a third of its 60


class Tokens(nn.Module):
    """Attention whose heads share the channels of what the module is called with, as ViT's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.attention, self.proj = nn.Conv2d(3, 20, 1), Heads("input"), nn.Linear(20, 7)
        self.attention.forward = self.attention.attend  # type: ignore[method-assign]
        del self.attention.stem, self.attention.proj

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.attention(self.stem(x).flatten(2).transpose(1, 2)))


def test_heads_that_share_the_tokens_channels_go_with_them() -> None:
    assert found(Tokens()) == {"stem": (20, 4)}


class Pieces(nn.Module):
    """Splits 12 channels in 6, 4 and 2, which an attribute says, and joins them in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.head = (nn.Conv2d(*sizes, 1) for sizes in ((3, 12), (6, 6), (4, 8), (16, 5)))
        self.sizes = [6, 4, 2]

    def forward(self, x: Tensor) -> Tensor:
        one, two, three = torch.split(self.stem(x), self.sizes, 1)
        return self.head(torch.cat([self.b(two), three, self.a(one)], 1))


def test_unequal_pieces_stay_the_fractions_that_they_are() -> None:
    network = Pieces()

    assert found(network) == {"stem": (4, 2), "b": (8, 1), "a": (6, 1)}  # its piece of 4
    assert channel_groups(network, EXAMPLE).build([2, 8, 6]).sizes == [3, 2, 1]


class Sum(nn.Module):
    """Splits a concatenation of 9 and 4 channels where it was joined."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 9, 1), nn.Conv2d(3, 4, 1)
        self.c, self.d = nn.Conv2d(9, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, two = torch.cat([self.a(x), self.b(x)], 1).split([self.a.out_channels, self.b.out_channels], 1)
        return self.c(one) * self.d(two)


def test_concatenation_that_is_split_again_gives_its_members() -> None:
    assert found(Sum()) == {"a": (9, 1), "b": (4, 1)}


class Sliced(nn.Module):
    """Works on a third of 9 channels, in the middle, and leaves the others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.own, self.head = nn.Conv2d(3, 9, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(9, 5, 1)
        self.begin, self.end = 3, 6

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        own = self.own(x[:, self.begin : self.end])
        return self.head(torch.cat([x[:, : self.begin], own, x[:, self.end :]], 1))


def test_slices_stay_the_fractions_that_they_are() -> None:
    network = Sliced()

    assert found(network) == {"stem": (3, 1), "own": (3, 1)}
    smaller = channel_groups(network, EXAMPLE).build([2, 3])
    assert (smaller.begin, smaller.end, smaller.own.in_channels) == (2, 4, 2)


class Literal(nn.Module):
    """Numbers in the code: the slice that is `b`'s input never changes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Conv2d(3, 10, 1), nn.Conv2d(10, 5, 1), nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.a(x) + self.b(x[:, :4])


def test_slice_of_a_number_in_the_code_keeps_the_channels() -> None:
    groups = channel_groups(Literal(), EXAMPLE)

    assert groups.groups == ()
    assert "written for as many channels" in groups.kept["stem"]


class Shuffled(nn.Module):
    """Channel shuffle of two groups, and a scale whose shape is an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 14, 1), nn.Conv2d(14, 5, 1)
        self.scale, self.shape = nn.Parameter(torch.ones(14)), (14, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) * self.scale.view(self.shape)
        n, c, h, w = x.shape
        return self.head(x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))


def test_shuffled_channels_stay_even_and_shapes_in_attributes_follow() -> None:
    network = Shuffled()

    assert found(network) == {"stem": (14, 2)}
    assert channel_groups(network, EXAMPLE).build([6]).shape == (6, 1, 1)
