"""LENI: an activation that keeps, and learns to transform, the negative phase that ReLU cuts off.

    y = compress(concat[ReLU(x), T(min(x, 0))])          default: y = w1 * ReLU(x) + K (depthwise *) min(x, 0)

**This structure is this project's interpretation.** LENI is described in Cai, Peng, Shen, arXiv 2306.10536 (2023); its
predecessor, the reborn mechanism, in Cai, Huang, Peng, arXiv 2106.07026 (2021). Neither paper's body nor any code of
theirs could be had. From the abstract: the negative phase is reconstructed instead of cut off, the activation layers of
any CNN are replaced, the extra parameters are negligible, and channels are compensated. Ours: what T is, what
compresses, and how both start; so these are options here and dimensions of the search space, not constants.

At x = 0 exactly, zero belongs to the negative branch: d min(x, 0)/dx = 1, d ReLU(x)/dx = 0, as in torch's PReLU. A dead
channel that sits on zero gets its gradient through K. All forms and all kernels agree on it.
"""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import ActivationError, ShapeError
from leni.kernels import leni_forward
from leni.kernels.reference import negative_part
from leni.registry import Activation, Option, register

__all__ = ["COMPRESSIONS", "LENI", "NORMS", "TRANSFORMS"]

TRANSFORMS = ("depthwise", "scale", "grouped", "dense")
COMPRESSIONS = ("grouped", "dense", "none")
NORMS = ("none", "batch")
torch.fx.wrap("leni_forward")  # torch.fx's tracing takes each as one node
torch.fx.wrap("_check_shape")

HIDDEN_STD = 0.01  # of K behind a norm whose weight is 0; any size will do, the norm divides by it


class LENI(nn.Module):
    """LENI block, (N, C, H, W) -> (N, C, H, W), or -> (N, 2C, H, W) without compression.

    The default form, depthwise with grouped compression, is y = w1 * ReLU(x) + K (depthwise *) min(x, 0) with
    C + k*k*C learned parameters, 10 C at k = 3: the grouped compression takes one positive and one negative map to one,
    and its negative weight is absorbed by K.

    Args:
        channels: C, channels of the input.
        kernel_size: k of the transform, odd; the padding is k // 2. `transform="scale"` has no use for it.
        transform: T. "depthwise": k x k, one filter a channel. "scale": one factor a channel. "grouped": k x k in
            `groups` groups. "dense": k x k over all channels.
        groups: groups of `transform="grouped"`, a divisor of C; None takes 4, or the largest divisor of C below it.
        compression: "grouped": two maps to one, channel by channel. "dense": a 1x1 convolution 2C -> C without bias
            that starts as [I | I]. "none": concat[ReLU(x), T(min(x, 0))] leaves with 2C channels.
        norm: "batch" puts a BatchNorm2d behind T. It would blow a small start up to unit variance, so its weight starts
            at `init_std` (or at |init_slope| where that is larger) and not at 1. Where both are 0 that weight is 0 and
            K is not: zero behind zero would never learn.
        init_std: standard deviation that K starts with, about the mean 0.
        init_slope: added to K's centre (its diagonal, for grouped and dense transforms): the block starts near
            a PReLU of that slope. With `init_std=0`: 0 is ReLU, -1 is |x|, 1 the identity.
        decay: whether K, w1 and the norm ask for weight decay; see `no_weight_decay`.
        frozen: whether K stays as it starts: no gradient reaches it, and it asks for no weight decay. For ablations:
            what is left of the block when its transform does not learn. It is counted as if it did.
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        ActivationError: an option has a value that it cannot have.

    Source: our interpretation of arXiv 2306.10536, see the head of this file.

    Example:
        >>> LENI(16)(torch.zeros(2, 16, 8, 8)).shape
        torch.Size([2, 16, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        transform: str = "depthwise",
        groups: int | None = None,
        compression: str = "grouped",
        norm: str = "none",
        init_std: float = 0.01,
        init_slope: float = 0.0,
        decay: bool = False,
        frozen: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_choice("transform", transform, TRANSFORMS)
        _check_choice("compression", compression, COMPRESSIONS)
        _check_choice("norm", norm, NORMS)
        if channels < 1:
            raise ActivationError(f"LENI: `channels` must be at least 1, got {channels}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ActivationError(f"LENI: `kernel_size` must be odd and at least 1, got {kernel_size}")
        if init_std < 0:
            raise ActivationError(f"LENI: `init_std` must not be negative, got {init_std}")
        self.channels = channels
        self.kernel_size = 1 if transform == "scale" else kernel_size
        self.transform = transform
        self.groups = transform_groups(channels, transform=transform, groups=groups)
        self.compression = compression
        self.norm_kind = norm
        self.init_std = init_std
        self.init_slope = init_slope
        self.decay = decay
        self.frozen = frozen
        self.out_channels = 2 * channels if compression == "none" else channels

        shape = (channels, channels // self.groups, self.kernel_size, self.kernel_size)
        self.kernel = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.register_parameter("weight", None)
        if compression == "grouped":
            self.weight = nn.Parameter(torch.empty(channels, device=device, dtype=dtype))
        elif compression == "dense":
            self.weight = nn.Parameter(torch.empty((channels, 2 * channels, 1, 1), device=device, dtype=dtype))
        self.norm = nn.BatchNorm2d(channels, device=device, dtype=dtype) if norm == "batch" else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start K at N(0, init_std) with init_slope on its centre, w1 at 1, a dense compression at [I | I]."""
        if self.kernel.is_meta:
            return  # nothing to fill, and slow to pretend: spaces.cost counts networks by the thousand
        hidden = self.norm is not None and self.init_std == 0 and self.init_slope == 0
        self.kernel.normal_(0.0, HIDDEN_STD if hidden else self.init_std)
        rows = torch.arange(self.channels, device=self.kernel.device)
        centre = self.kernel_size // 2
        self.kernel[rows, rows % self.kernel.shape[1], centre, centre] += self.init_slope
        if self.compression == "grouped":
            self.weight.fill_(1.0)
        elif self.compression == "dense":
            self.weight.zero_()
            self.weight[rows, rows] = 1.0
            self.weight[rows, rows + self.channels] = 1.0
        if self.norm is not None:
            self.norm.reset_parameters()
            self.norm.weight.fill_(max(self.init_std, abs(self.init_slope)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: (N, C, H, W).

        Returns:
            (N, C, H, W), or (N, 2C, H, W) with `compression="none"`; the dtype of `x` in the default form.

        Raises:
            ShapeError: `x` is not (N, C, H, W).
        """
        _check_shape(x, self.channels)
        kernel = self.kernel.detach() if self.frozen else self.kernel
        depthwise = self.groups == self.channels
        if depthwise and self.compression == "grouped" and self.norm is None:
            return leni_forward(x, self.weight, kernel)
        negative = F.conv2d(negative_part(x), kernel, padding=self.kernel_size // 2, groups=self.groups)
        if self.norm is not None:
            negative = self.norm(negative)
        positive = F.relu(x)
        if self.compression == "grouped":
            return self.weight[:, None, None] * positive + negative
        both = torch.cat([positive, negative], 1)
        return both if self.compression == "none" else F.conv2d(both, self.weight)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that ask for no weight decay (timm's convention); with `decay=True` a frozen K alone."""
        names = {name for name, _ in self.named_parameters()}
        return names if not self.decay else {"kernel"} if self.frozen else set()

    def extra_repr(self) -> str:
        """The options, for `print(network)`."""
        parts = [str(self.channels), f"kernel_size={self.kernel_size}", f"transform={self.transform!r}"]
        if self.transform == "grouped":
            parts.append(f"groups={self.groups}")
        parts += [f"compression={self.compression!r}", f"norm={self.norm_kind!r}"]
        parts += [f"init_std={self.init_std}", f"init_slope={self.init_slope}", f"decay={self.decay}"]
        parts += ["frozen=True"] if self.frozen else []
        return ", ".join(parts)


def transform_groups(channels: int, *, transform: str, groups: int | None = None) -> int:
    """Groups of the convolution T.

    Args:
        channels: C.
        transform: one of TRANSFORMS.
        groups: asked for with `transform="grouped"`; None takes the largest divisor of C up to 4.

    Returns:
        A divisor of C: C for depthwise and scale, 1 for dense.

    Raises:
        ActivationError: `groups` does not divide `channels`, or is given for another transform.
    """
    if transform != "grouped":
        if groups is not None:
            raise ActivationError(f"LENI: `groups` (={groups}) goes with transform='grouped', not with {transform!r}")
        return 1 if transform == "dense" else channels
    if groups is None:
        return next(divisor for divisor in (4, 3, 2, 1) if channels % divisor == 0)
    if groups < 1 or channels % groups:
        raise ActivationError(f"LENI: `channels` (={channels}) must be divisible by `groups` (={groups})")
    return groups


def _check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ActivationError(f"LENI: `{option}` must be one of {', '.join(allowed)}, got {value!r}")


def _check_shape(x: Tensor, channels: int) -> None:
    if x.dim() != 4 or x.shape[1] != channels:
        raise ShapeError(f"expected x of shape (N, {channels}, H, W), got {tuple(x.shape)}")


def learned(
    channels: int,
    *,
    kernel_size: int = 3,
    transform: str = "depthwise",
    groups: int | None = None,
    compression: str = "grouped",
    norm: str = "none",
    **others: object,
) -> int:
    """Learned parameters of one `LENI(channels, ...)`, a count; `others` do not change it.

    Raises:
        ActivationError: as `transform_groups`.
    """
    area = 1 if transform == "scale" else kernel_size**2
    transforming = area * channels * channels // transform_groups(channels, transform=transform, groups=groups)
    compressing = {"grouped": channels, "dense": 2 * channels**2, "none": 0}[compression]
    return transforming + compressing + (2 * channels if norm == "batch" else 0)


def multiple(*, compression: str = "grouped", **others: object) -> int:
    """Output channels over input channels: 2 without compression."""
    return 2 if compression == "none" else 1


_OPTIONS = (
    Option("kernel_size", 3, kind=int, low=1, odd=True),
    Option("transform", "depthwise", TRANSFORMS),
    Option("groups", None, kind=int, low=1),
    Option("compression", "grouped", COMPRESSIONS),
    Option("norm", "none", NORMS),
    Option("init_std", 0.01, kind=float, structural=False, low=0.0),
    Option("init_slope", 0.0, kind=float, structural=False),
    Option("decay", False, kind=bool, structural=False),
    Option("frozen", False, kind=bool, structural=False, later=True),
)

register(
    Activation(
        name="leni",
        label="LENI",
        factory=LENI,
        learned=learned,
        multiple=multiple,
        options={option.name: option for option in _OPTIONS},
        channelled=True,
        source="our interpretation of Cai, Peng, Shen, arXiv 2306.10536",
        formula="compress(concat[ReLU(x), T(min(x, 0))]); by default w1 ReLU(x) + K (depthwise *) min(x, 0)",
    )
)
