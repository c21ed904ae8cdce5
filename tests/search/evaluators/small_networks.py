"""Networks as users write them, small: what `module:factory` names in tests of the search."""

import torch
import torch.nn.functional as F
from torch import nn


def plain(channels: int = 3) -> nn.Module:
    """Modules alone; no argument for the classes, of which it gives seven."""
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 40, 3, 2, 1), nn.SiLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 7),
    )  # fmt: skip


class Block(nn.Module):
    """One ReLU module called twice, and a residual sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.act(self.bn1(self.conv1(x)))
        return self.act(self.bn2(self.conv2(y)) + x)


class Residual(nn.Module):
    """A functional call, then blocks; the images' channels and the classes are arguments."""

    def __init__(self, in_channels: int = 3, num_classes: int = 5, width: int = 16, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        return self.head(F.relu(self.down(x)).mean((2, 3)))


class Twice(nn.Module):
    """One convolution called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, padding=1)
        self.a, self.b, self.head = nn.ReLU(), nn.ReLU(), nn.Linear(12, 4)

    def forward(self, x):
        x = self.b(self.shared(self.a(self.shared(self.first(x)))))
        return self.head(x.mean((2, 3)))


class Auxiliary(Residual):
    """A second output in training."""

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        logits = self.head(F.relu(self.down(x)).mean((2, 3)))
        return (logits, logits) if self.training else logits


class DictOutput(Residual):
    """A mapping instead of logits."""

    def forward(self, x):
        return {"logits": super().forward(x)}


class TwoInputs(Residual):
    """Needs a second input."""

    def forward(self, x, scale):
        return super().forward(x) * scale


def by_class(act_layer: str = "SiLU", in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """The activation is a class, as timm's `act_layer`."""
    kind = getattr(nn, act_layer)
    return nn.Sequential(
        nn.Conv2d(in_channels, 16, 3), kind(), nn.Conv2d(16, 16, 3, groups=16), kind(), nn.Conv2d(16, 32, 1), kind(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes),
    )  # fmt: skip


def normalised(in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """Weights that are computed from others."""
    network = plain(in_channels)
    network[3] = nn.utils.parametrizations.weight_norm(network[3])
    network[7] = nn.Linear(40, num_classes)
    return network


def half_precision(in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """Weights in bfloat16."""
    return Residual(in_channels, num_classes).to(torch.bfloat16)


def lazy(in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """Parameters without a shape."""
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(4))


def scripted(in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """A network that torch.jit has compiled."""
    return torch.jit.trace(plain(in_channels).eval(), torch.zeros(1, in_channels, 8, 8))


def linear(num_classes: int = 4) -> nn.Module:
    """Nothing that could be searched."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, num_classes))


def without_sites(in_channels: int = 3, num_classes: int = 4) -> nn.Module:
    """Widths, and no activation at a feature map."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 12, 3), nn.MaxPool2d(2), nn.Conv2d(12, 20, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(20, num_classes),
    )  # fmt: skip
