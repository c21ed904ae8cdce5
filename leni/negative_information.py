"""What a network's activations keep and lose, call site by call site, measured on images; alone or beside a twin.

    rows = leni.information(network, loader, twin=relu_network)
    pandas.DataFrame(rows)      # one row per site and network
    results.information_figure(pandas.DataFrame(rows))

The paper says of LENI that it reconstructs dead neurons and retains more information. Four numbers a site say whether
it does; x is what enters the site, y = f(x) what leaves it, a sample one position of one image (one image, where there
are no positions):

    dead            fraction of the channels of y that stay at zero: max |y| over all samples is at most 1e-6 of the
                    site's own max |y|. ReLU's dead neurons are these; the tolerance is for GELU's or SiLU's tails.
    negative_kept   sum |f(x) - f(max(x, 0))| / sum |min(x, 0)|: how much of the output hangs on the negative part of
                    the input, over how much of that part there was. For f that works elementwise this is
                    |f(x) - f(0)| over |x|, both summed where x < 0: 0 for ReLU, 1 for the identity, |x| and CReLU, |a|
                    for a PReLU of slope a. For LENI it is sum |T(min(x, 0))| / sum |min(x, 0)|, and so for any f that
                    adds a transform of the negative part to one of the positive part. 1 less this number is the
                    fraction of the negative mass that is lost. Above 1 the negative part is
                    amplified; no more is kept than all. It is NaN where no x was negative.
    effective_rank  exp of the entropy of the eigenvalues, over their sum, of the covariance between the channels of y
                    over all samples (Roy & Vetterli, EUSIPCO 2007): 1 if all channels move together, as many as there
                    are channels if they move independently and equally much, 0 if nothing moves. It is NaN at a site
                    with more than `max_channels` channels.
    entropy         bits of a channel, mean over channels: of the histogram of y rounded to an 8-bit float (E5M2: sign,
                    5 bits of exponent, 2 of mantissa; below 2^-17 it is 0), so 0 to 8 and hardly dependent on scale.
                    Estimated from counts, it is too low where samples are few; so compare networks on the same images.

All of it is summed as batches come, in float64, so that the division into batches changes nothing but rounding.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from leni.call_sites import CallSite, named_calls
from leni.errors import DataError, NetworkError
from leni.tracing import function_kind, is_leaf, trace

__all__ = ["SiteInformation", "information"]

DEAD = 1e-6  # of the site's largest |y|
STILL = 1e-24  # of the mean square: variance below it is float64's rounding of a constant
CODES = 256  # of an 8-bit float
MINUS_ZERO = 128
CHUNK = 2**21  # values that are looked at together, in float64: 16 MB

Key = tuple[int, str]  # the module called, or the module whose forward calls a function of some kind


@dataclass(frozen=True)
class SiteInformation:
    """One call site of one network; the four measures are defined at the head of this file.

    Attributes:
        network: which of the networks.
        site: name of the call site, as `leni.sites` has it.
        kind: the activation.
        stage: counted from 1 by resolution; 0 for the stem.
        role: stem, inner, outer, gate or head.
        channels: that leave the site, a count.
        samples: values of each channel that were seen, a count.
        dead: fraction of the channels, 0..1.
        negative_kept: from 0, above 1 where the negative part is amplified; NaN where there was none.
        effective_rank: channels, 0 to `channels`; NaN where there are too many channels.
        entropy: bits, 0..8.
    """

    network: str
    site: str
    kind: str
    stage: int
    role: str
    channels: int
    samples: int
    dead: float
    negative_kept: float
    effective_rank: float
    entropy: float


def information(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    twin: nn.Module | None = None,
    names: tuple[str, str] = ("network", "twin"),
    max_images: int | None = None,
    max_channels: int = 2048,
) -> list[SiteInformation]:
    """What each activation call site of a network keeps and loses, on given images.

    The networks run in evaluation mode and without gradients; afterwards each module's training flag is what it was,
    and no hook is left, also where an error was raised. Memory is that of one forward pass, three times the largest
    site's values, 16 MB, and C^2 * 8 + C * 2048 bytes for every site of C channels (180 MB in all for ResNet-50).

    Args:
        model: any network of one input that `leni.sites` can read, swapped ones too.
        loader: batches of images (N, ...), as the network takes them, or tuples that begin with such a batch, as a
            DataLoader gives them; or one batch alone. It is gone through once. Images are brought to the network's
            device and floating-point type.
        twin: another network that sees the same images, for example the same one with ReLU; sites are paired by name.
        names: what the rows' `network` says, of the model and of the twin.
        max_images: stop after so many; None reads the loader to its end.
        max_channels: sites with more channels have no effective rank, whose covariance grows with their square.

    Returns:
        A row for each site in the order of the forward pass: first the model's, then the twin's.

    Raises:
        NetworkError: a network cannot be traced, has no call site, takes another way through its sites than its trace
            did, or has outputs that are not finite; or the twin has no site of the model's names.
        DataError: the loader has no image, or something else than batches of images.

    Example:
        >>> images = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)
        >>> (row,) = information(nn.Sequential(nn.BatchNorm2d(1), nn.ReLU()), images)
        >>> row.site, row.negative_kept
        ('1', 0.0)
    """
    if max_images is not None and max_images < 1:
        raise DataError(f"`max_images` must be at least 1, got {max_images}")
    networks = [model] if twin is None else [model, twin]
    observers: list[_Observer] = []
    for images in _batches(loader, max_images):
        if not observers:
            observers = [_Observer(network, images, max_channels) for network in networks]
            _check_pairs(observers)
        for observer in observers:
            observer.see(images)
    if not observers:
        raise DataError("the loader gave no image")
    return [row for name, observer in zip(names, observers, strict=False) for row in observer.rows(name)]


def _batches(loader: Iterable[Any], limit: int | None) -> Iterator[Tensor]:
    """Batches of images, `limit` images in all."""
    left = math.inf if limit is None else limit
    rank = None
    for index, item in enumerate([loader] if isinstance(loader, Tensor) else loader):
        images = item[0] if isinstance(item, list | tuple) and item else item
        if not isinstance(images, Tensor) or images.dim() < 2:
            what = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
            raise DataError(f"batch {index} must be a tensor of images (N, ...), or begin with one, got {what}")
        if rank not in (None, images.dim()):
            raise DataError(
                f"batch {index} has shape {tuple(images.shape)}, but batches before it had {rank} dimensions"
            )
        rank = images.dim()
        if len(images):
            kept = images if left >= len(images) else images[: int(left)]
            left -= len(kept)
            yield kept
        if left <= 0:
            return


class _Statistics:
    """What is known of one site so far, summed on the device where its values are."""

    def __init__(self, site: CallSite, channel_dim: int, max_channels: int) -> None:
        self.site, self.channel_dim, self.max_channels = site, channel_dim, max_channels
        self.samples = 0
        self.negative: Any = 0.0  # sums stay tensors until the end: a number would wait for the device each time
        self.kept: Any = 0.0

    def add(self, output: Tensor, reference: Tensor, negative: Tensor) -> None:
        """Take in one call.

        Args:
            output: f(x), batch first.
            reference: f(max(x, 0)), of the same shape.
            negative: sum |min(x, 0)|.
        """
        self.negative = self.negative + negative
        size = max(1, CHUNK * len(output) // max(1, output.numel()))
        for part, without in zip(output.split(size), reference.split(size), strict=True):
            self.kept = self.kept + (part.double() - without.double()).abs().sum()
            if part.numel():
                self._add(self._table(part))

    def _table(self, part: Tensor) -> Tensor:
        """(samples, channels)."""
        return part.movedim(self.channel_dim, -1).reshape(-1, part.shape[self.channel_dim])

    def _add(self, table: Tensor) -> None:
        count, channels = table.shape
        if not self.samples:
            self.peak = table.new_zeros(channels)
            self.counts = torch.zeros(channels * CODES, dtype=torch.int64, device=table.device)
            self.mean = torch.zeros(channels, dtype=torch.float64, device=table.device)
            self.scatter = self.mean.new_zeros(channels, channels) if channels <= self.max_channels else None
        self.peak = torch.maximum(self.peak, table.abs().amax(0))
        codes = table.float().to(torch.float8_e5m2).contiguous().view(torch.uint8).long()
        codes.masked_fill_(codes == MINUS_ZERO, 0)
        codes += CODES * torch.arange(channels, device=table.device)
        self.counts += torch.bincount(codes.flatten(), minlength=channels * CODES)
        # Chan, Golub, LeVeque (1979): two sets' scatters about their own means, and what lies between the means.
        values = table.double()
        mean = values.mean(0)
        shift, total = mean - self.mean, self.samples + count
        if self.scatter is not None:
            centred = values - mean
            self.scatter += centred.T @ centred + torch.outer(shift, shift) * (self.samples * count / total)
        self.mean += shift * (count / total)
        self.samples = total

    def row(self, network: str) -> SiteInformation:
        """The site's record."""
        if not self.samples:
            raise NetworkError(f"site {self.site.name} was never called on these images")
        if not bool(torch.isfinite(self.mean).all()):
            raise NetworkError(f"site {self.site.name} has outputs that are not finite")
        negative = float(self.negative)
        shares = self.counts.reshape(-1, CODES).double() / self.samples
        return SiteInformation(
            network=network,
            site=self.site.name,
            kind=self.site.kind,
            stage=self.site.stage,
            role=self.site.role,
            channels=len(self.mean),
            samples=self.samples,
            dead=float((self.peak <= DEAD * self.peak.max()).double().mean()),
            negative_kept=float(self.kept) / negative if negative > 0 else math.nan,
            effective_rank=self._effective_rank(),
            entropy=float(_entropy(shares).mean()) / math.log(2),
        )

    def _effective_rank(self) -> float:
        if self.scatter is None:
            return math.nan
        variances = torch.linalg.eigvalsh(self.scatter / self.samples).clamp(min=0)
        total = variances.sum()
        if total <= STILL * self.mean.square().sum():
            return 0.0
        return float(_entropy(variances / total).exp())


def _entropy(shares: Tensor) -> Tensor:
    """In nats, over the last dimension, of numbers that sum to 1."""
    return torch.special.entr(shares).sum(-1)


class _Observer(TorchFunctionMode):
    """Runs a network and shows each site's calls to its statistics.

    Calls are told apart as tracing.py tells them: a module's by the module, a function's by its kind and the module
    whose forward calls it; and the k-th call of these in a pass is the k-th of the trace.
    """

    def __init__(self, model: nn.Module, example: Tensor, max_channels: int) -> None:
        super().__init__()
        self.model = model
        self.like = next((value for value in _values(model) if value.is_floating_point()), None)
        record = trace(model, self._as_model(example))
        statistics = {
            id(call): _Statistics(site, call.channel_dim, max_channels)
            for site, call in named_calls(model, record)
            if not call.hidden
        }
        if not statistics:
            raise NetworkError(f"{type(model).__name__} calls no activation, so there is nothing to measure")
        self.statistics = list(statistics.values())
        self._expected: dict[Key, list[_Statistics | None]] = defaultdict(list)
        for call in record.calls:
            if call.hidden:
                continue
            key = (id(model.get_submodule(call.path)), call.kind if call.functional else "")
            self._expected[key].append(statistics.get(id(call)))  # None: a gate's sigmoid is a call and no site
        self._begin()

    def _begin(self) -> None:
        self._running: list[nn.Module] = []
        self._leaf: nn.Module | None = None
        self._pending: tuple[_Statistics, Tensor, Tensor] | None = None
        self._seen: Counter[Key] = Counter()

    def _as_model(self, images: Tensor) -> Tensor:
        """Images on the network's device, in its floating-point type."""
        if self.like is None:
            return images
        dtype = self.like.dtype if images.is_floating_point() else images.dtype
        return images.to(device=self.like.device, dtype=dtype)

    def see(self, images: Tensor) -> None:
        """One forward pass."""
        self._begin()
        modules = list(self.model.modules())
        flags = [module.training for module in modules]
        handles: list[RemovableHandle] = []
        try:
            self.model.eval()
            for module in modules:
                handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave, with_kwargs=True))
            with torch.no_grad(), self:
                self.model(self._as_model(images))
        finally:
            for handle in handles:
                handle.remove()
            for module, flag in zip(modules, flags, strict=True):
                module.training = flag
        self._check_calls(images)

    def _check_calls(self, images: Tensor) -> None:
        """Refuse a pass whose calls cannot be told apart; a site that is passed over on some images is none."""
        for key, expected in self._expected.items():
            if self._seen[key] not in (0, len(expected)):
                names = ", ".join(entry.site.name for entry in expected if entry is not None)
                raise NetworkError(
                    f"{type(self.model).__name__} made {self._seen[key]} calls on images of shape "
                    f"{tuple(images.shape[1:])} where its trace has {len(expected)} ({names or 'gates'})"
                )

    def rows(self, network: str) -> list[SiteInformation]:
        """The records, in the order of the forward pass."""
        return [statistics.row(network) for statistics in self.statistics]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = function_kind(func, args, kwargs) if self._leaf is None and self._running else None
        pending = self._claim((id(self._running[-1]), kind), args, kwargs) if kind else None
        result = func(*args, **kwargs)
        if pending is not None:
            self._add(pending, func, args, kwargs, result)
        return result

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._leaf is not None:
            return
        if is_leaf(module):
            self._leaf = module
            self._pending = self._claim((id(module), ""), args, kwargs)
        else:
            self._running.append(module)

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        if self._leaf is None:
            self._running.pop()
        elif self._leaf is module:
            if self._pending is not None:
                self._add(self._pending, module.forward, args, kwargs, result)
            self._leaf = self._pending = None

    def _claim(self, key: Key, args: Any, kwargs: Any) -> tuple[_Statistics, Tensor, Tensor] | None:
        """The site of a call that is about to be made, max(x, 0), and sum |min(x, 0)|: it may work in place."""
        expected, turn = self._expected.get(key), self._seen[key]
        self._seen[key] += 1
        if expected is None or turn >= len(expected) or expected[turn] is None:
            return None
        statistics = expected[turn]
        x = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if statistics is None or x is None:
            return None
        positive = x.clamp(min=0)
        return statistics, positive, (positive - x).sum(dtype=torch.float64)

    @staticmethod
    def _add(pending: tuple[_Statistics, Tensor, Tensor], function: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Call the activation once more, on the positive part alone, and add up."""
        statistics, positive, negative = pending
        args, kwargs = _with_first(args, {name: value for name, value in kwargs.items() if name != "out"}, positive)
        statistics.add(result, function(*args, **kwargs), negative)


def _with_first(
    args: tuple[Any, ...], kwargs: dict[str, Any], tensor: Tensor
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """The arguments with `tensor` in place of the first tensor among them."""
    for index, value in enumerate(args):
        if isinstance(value, Tensor):
            return (*args[:index], tensor, *args[index + 1 :]), kwargs
    first = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
    return args, {**kwargs, first: tensor}


def _values(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _check_pairs(observers: list[_Observer]) -> None:
    """Refuse a twin that has no site in common with the network."""
    names = [{statistics.site.name for statistics in observer.statistics} for observer in observers]
    if len(names) == 2 and not names[0] & names[1]:
        raise NetworkError(
            f"the twin has no call site with a name of the network's, such as {min(names[0])}; "
            "a twin made by leni.swap has the same names"
        )
