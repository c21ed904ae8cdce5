import pytest
import torch
from torch import Tensor, nn

from leni.widths.groups import channel_groups

EXAMPLE = torch.empty(1, 3, 6, 4)


def found(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Groups as {name: (channels, parts)}; the network is built with the fewest channels and run in both modes."""
    groups = channel_groups(network, EXAMPLE)
    smaller = groups.build([group.parts for group in groups.groups])
    images = torch.randn(2, 3, 6, 4)
    for mode in (True, False):
        assert smaller.train(mode)(images).shape == network.train(mode)(images).shape
    return {group.name: (group.channels, group.parts) for group in groups.groups}


class Attention(nn.Module):
    """torch's attention with its residual sum, on tokens."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 15, 1), nn.Linear(15, 4)
        self.attention = nn.MultiheadAttention(15, 3, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).permute(*((0, 2, 1) if self.batch_first else (2, 0, 1)))
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head(tokens + attended).mean(int(self.batch_first))


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_takes_its_tokens_width_in_heads(batch_first: bool) -> None:
    network = Attention(batch_first=batch_first)

    assert found(network) == {"stem": (15, 3)}
    attention = channel_groups(network, EXAMPLE).build([6]).attention
    assert (attention.embed_dim, attention.head_dim, attention.in_proj_weight.shape) == (6, 2, (18, 6))


def test_attention_to_values_of_other_widths_is_kept_with_its_reason() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries, self.keys = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 6, 1)
            self.attention, self.head = nn.MultiheadAttention(8, 2, kdim=6, vdim=6), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            q, k = self.queries(x).flatten(2).permute(2, 0, 1), self.keys(x).flatten(2).permute(2, 0, 1)
            return self.head(self.attention(q, k, k)[0]).mean(0)

    groups = channel_groups(Cross(), EXAMPLE)

    assert groups.groups == ()
    assert groups.kept["queries"] == "attention (MultiheadAttention) is not followed"


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ([nn.Conv2d(3, 24, 1), nn.PixelShuffle(2), nn.Conv2d(6, 5, 1)], {"0": (6, 1)}),
        ([nn.Conv2d(3, 5, 1), nn.PixelUnshuffle(2), nn.Conv2d(20, 4, 1)], {"0": (5, 1)}),
        ([nn.Conv2d(3, 12, 1), nn.GroupNorm(4, 12), nn.Conv2d(12, 5, 1)], {"0": (12, 4)}),
        ([nn.Conv2d(3, 7, 1), nn.BatchNorm2d(7), nn.PReLU(7), nn.MaxPool2d(2), nn.Conv2d(7, 5, 1)], {"0": (7, 1)}),
        ([nn.Conv2d(3, 7, 1), nn.ConvTranspose2d(7, 9, 2, 2), nn.Conv2d(9, 5, 1)], {"0": (7, 1), "1": (9, 1)}),
        ([nn.Conv2d(3, 10, 1), nn.Conv2d(10, 30, 3, groups=10), nn.Conv2d(30, 5, 1)], {"0": (10, 1)}),
        ([nn.Conv2d(3, 10, 1), nn.Conv2d(10, 15, 3, groups=5), nn.Conv2d(15, 5, 1)], {"0": (10, 5), "1": (15, 5)}),
        ([nn.Conv2d(3, 9, 1), nn.Flatten(), nn.Linear(216, 11), nn.Linear(11, 5)], {"0": (9, 1), "2": (11, 1)}),
        ([nn.Conv2d(3, 6, 1), nn.LayerNorm((6, 6, 4)), nn.Conv2d(6, 5, 1)], {"0": (6, 1)}),
    ],
)
def test_layers_of_torch_have_the_groups_of_their_definition(layers: list[nn.Module], wanted: object) -> None:
    assert found(nn.Sequential(*layers)) == wanted
