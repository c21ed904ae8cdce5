"""The activations that LENI is compared with: those that torch lacks, and rows for those that it has.

Each is exact to its paper in formula and learned parameters. Learned coefficients ask for no weight decay, as PReLU's
authors do: decay would pull them towards another activation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.registry import Activation, Option, register, register_activation

__all__ = ["PELU", "AconC", "CReLU", "DynamicReLUB", "FReLU", "MetaAconC", "RReLU", "SReLU"]


def _column(coefficient: Tensor) -> Tensor:
    """(C,) -> (C, 1, 1), which broadcasts over (N, C, H, W)."""
    return coefficient[:, None, None]


@register_activation(
    name="crelu",
    multiple=lambda: 2,
    channelled=False,
    source="Shang et al., arXiv 1603.05201",
    formula="concat[ReLU(x), ReLU(-x)]",
)
class CReLU(nn.Module):
    """Both phases, side by side: (N, C, H, W) -> (N, 2C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate ReLU(x) and ReLU(-x) along the channels."""
        return torch.cat([F.relu(x), F.relu(-x)], 1)


@register_activation(
    name="frelu",
    learned=lambda channels: 11 * channels,
    channelled=True,
    source="Ma, Zhang, Sun, arXiv 2007.11824",
    formula="max(x, BN(depthwise 3x3 (x)))",
)
class FReLU(nn.Module):
    """Funnel activation: the maximum of x and a normalised depthwise 3 x 3 convolution of it; 9C + 2C parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, H, W)."""
        return torch.maximum(x, self.norm(self.conv(x)))


@register_activation(
    name="acon_c",
    label="ACON-C",
    learned=lambda channels: 3 * channels,
    channelled=True,
    source="Ma et al., arXiv 2009.04759",
    formula="(p1 - p2) x sigmoid(b (p1 - p2) x) + p2 x",
)
class AconC(nn.Module):
    """A smooth maximum of p1 x and p2 x, whose sharpness b is learned; 3C parameters, as the authors start them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.p1 = nn.Parameter(torch.randn(channels))
        self.p2 = nn.Parameter(torch.randn(channels))
        self.beta = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, H, W)."""
        difference = _column(self.p1 - self.p2) * x
        return difference * torch.sigmoid(_column(self.beta) * difference) + _column(self.p2) * x

    def no_weight_decay(self) -> set[str]:
        """All three coefficients."""
        return {"p1", "p2", "beta"}


def _meta_acon_learned(channels: int, *, reduction: int = 16) -> int:
    hidden = max(reduction, channels // reduction)
    return 2 * channels * hidden + 3 * hidden + 5 * channels


@register_activation(
    name="meta_acon",
    label="Meta-ACON",
    learned=_meta_acon_learned,
    options=(Option("reduction", 16, kind=int, low=1),),
    channelled=True,
    source="Ma et al., arXiv 2009.04759",
    formula="ACON-C with b = sigmoid(BN(fc(BN(fc(mean over H, W of x)))))",
)
class MetaAconC(nn.Module):
    """ACON-C whose sharpness comes from the sample itself; 2Cm + 3m + 5C parameters, m = max(r, C // r), r = 16.

    Its batch norms see one value per channel and sample, so training needs two samples at least.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(reduction, channels // reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.p1 = nn.Parameter(torch.randn(channels))
        self.p2 = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, H, W)."""
        squeezed = self.norm1(self.fc1(x.mean((2, 3), keepdim=True)))
        beta = torch.sigmoid(self.norm2(self.fc2(squeezed)))
        difference = _column(self.p1 - self.p2) * x
        return difference * torch.sigmoid(beta * difference) + _column(self.p2) * x

    def no_weight_decay(self) -> set[str]:
        """The two slopes; the convolutions are weights like any other."""
        return {"p1", "p2"}


def _dynamic_relu_learned(channels: int, *, reduction: int = 8, pieces: int = 2) -> int:
    hidden = max(1, channels // reduction)
    return channels * hidden + hidden + (hidden + 1) * 2 * pieces * channels


@register_activation(
    name="dynamic_relu_b",
    label="Dynamic ReLU-B",
    learned=_dynamic_relu_learned,
    options=(Option("reduction", 8, kind=int, low=1), Option("pieces", 2, kind=int, low=1)),
    channelled=True,
    source="Chen et al., arXiv 2003.10027",
    formula="max_k(a_k x + b_k), a and b from a squeeze of x, shared over H and W",
)
class DynamicReLUB(nn.Module):
    """The maximum of k lines, whose slopes and offsets each channel takes from the sample.

    The residuals 2 sigmoid(.) - 1 are scaled by 1 for slopes and 0.5 for offsets and added to (1, 0, ...) and 0, so the
    block starts near ReLU. C = 64, R = 8, k = 2 has 2,824 parameters. C // R is 1 at the least.
    """

    def __init__(self, channels: int, *, reduction: int = 8, pieces: int = 2) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.pieces = pieces
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, 2 * pieces * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, H, W)."""
        squeezed = F.relu(self.fc1(x.mean((2, 3))))
        residual = 2 * torch.sigmoid(self.fc2(squeezed)) - 1
        slopes, offsets = residual.unflatten(1, (2, self.pieces, x.shape[1]))[..., None, None].unbind(1)
        first = torch.zeros_like(slopes)
        first[:, 0] = 1.0
        return ((first + slopes) * x[:, None] + 0.5 * offsets).amax(1)


@register_activation(
    name="pelu",
    learned=lambda channels: 2,
    source="Trottier, Giguère, Chaib-draa, arXiv 1605.09332",
    formula="(a / b) x for x >= 0, a (exp(x / b) - 1) below; a, b > 0",
)
class PELU(nn.Module):
    """ELU with two learned coefficients for the whole layer, both 1 at the start and held at 0.1 or above."""

    LEAST = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(1))
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        a, b = self._held(self.a), self._held(self.b)
        below = a * torch.expm1(torch.where(x >= 0, torch.zeros_like(x), x) / b)
        return torch.where(x >= 0, a / b * x, below)

    def _held(self, coefficient: Tensor) -> Tensor:
        """At least LEAST, and still with a gradient, so that it can come back."""
        return coefficient + (coefficient.clamp(min=self.LEAST) - coefficient).detach()

    def no_weight_decay(self) -> set[str]:
        """Both coefficients."""
        return {"a", "b"}


@register_activation(
    name="srelu",
    learned=lambda channels: 4 * channels,
    channelled=True,
    source="Jin et al., arXiv 1512.07030",
    formula="tr + ar (x - tr) for x >= tr, x between, tl + al (x - tl) for x <= tl",
)
class SReLU(nn.Module):
    """Three pieces with two learned thresholds and two learned slopes a channel; 4C parameters.

    Starts as ReLU: tl = 0, al = 0, tr = 1, ar = 1. The paper's second phase, which sets tr from the data of the first
    epochs, is left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.left_threshold = nn.Parameter(torch.zeros(channels))
        self.left_slope = nn.Parameter(torch.zeros(channels))
        self.right_threshold = nn.Parameter(torch.ones(channels))
        self.right_slope = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (N, C, H, W)."""
        left, right = _column(self.left_threshold), _column(self.right_threshold)
        lower = torch.where(x <= left, left + _column(self.left_slope) * (x - left), x)
        return torch.where(x >= right, right + _column(self.right_slope) * (x - right), lower)

    def no_weight_decay(self) -> set[str]:
        """All four coefficients."""
        return {name for name, _ in self.named_parameters()}


@register_activation(
    name="rrelu",
    source="torch.nn",
    formula="x or r x, r uniform in [1/8, 1/3] in training, its mean at evaluation",
)
class RReLU(nn.RReLU):
    """torch's own, which at evaluation says that it is a LeakyReLU: ONNX has no operator for torch's."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        if self.training:
            return super().forward(x)
        return F.leaky_relu(x, (self.lower + self.upper) / 2, inplace=self.inplace)


_TORCH_OWN = (
    ("relu", nn.ReLU, "max(x, 0)"),
    ("relu6", nn.ReLU6, "min(max(x, 0), 6)"),
    ("selu", nn.SELU, "1.0507 (x or 1.6733 (exp(x) - 1))"),
    ("gelu", nn.GELU, "x Phi(x)"),
    ("silu", nn.SiLU, "x sigmoid(x)"),
    ("mish", nn.Mish, "x tanh(softplus(x))"),
    ("hardswish", nn.Hardswish, "x min(max(x + 3, 0), 6) / 6"),
)
for _name, _class, _formula in _TORCH_OWN:
    register_activation(name=_name, source="torch.nn", formula=_formula)(_class)

register_activation(
    name="leaky_relu",
    options=(Option("negative_slope", 0.01, kind=float, structural=False),),
    source="torch.nn",
    formula="max(x, 0) + negative_slope min(x, 0)",
)(nn.LeakyReLU)

register_activation(
    name="elu",
    options=(Option("alpha", 1.0, kind=float, structural=False),),
    source="torch.nn",
    formula="x or alpha (exp(x) - 1)",
)(nn.ELU)


def _prelu(channels: int, *, per: str = "channel", init: float = 0.25) -> nn.PReLU:
    """torch's PReLU, with one slope a channel, or one for the whole layer."""
    return nn.PReLU(channels if per == "channel" else 1, init=init)


def _prelu_learned(channels: int, *, per: str = "channel", **others: object) -> int:
    return channels if per == "channel" else 1


_PRELU_OPTIONS = (
    Option("per", "channel", ("channel", "network")),
    Option("init", 0.25, kind=float, structural=False),
)
register(
    Activation(
        name="prelu",
        label="PReLU",
        factory=_prelu,
        learned=_prelu_learned,
        options={option.name: option for option in _PRELU_OPTIONS},
        channelled=True,
        source="He et al., arXiv 1502.01852; torch.nn",
        formula="max(x, 0) + a min(x, 0)",
    )
)
