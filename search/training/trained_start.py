"""A candidate's network that starts from trained weights, and which of its parameters are trained.

Layers at their full width have the file's numbers. A layer with fewer channels has those whose filters have the largest
norm, the same ones in all layers whose channels go together; where channels are concatenated or split, the first ones.
Activations that the file knows nothing of start as they do by themselves, so that a LENI of `init_std = 0` leaves the
network's function as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from leni.copying import meta_copy
from leni.errors import SpecError
from leni.tracing import PUT_BY_SWAP
from leni.widths.groups import Groups, channel_groups
from leni.widths.sizes import Size
from search.training.weights_file import read_weights
from spaces import Candidate, backbone, build
from spaces.backbones.sites import OWN

__all__ = ["activation_parameters", "check_weights", "start_from"]

Shape = tuple[int, int, int]


def start_from(network: nn.Module, candidate: Candidate, path: str, *, shape: Shape, classes: int) -> list[str]:
    """Give a candidate's network trained weights, in place.

    Args:
        network: as built for the candidate.
        candidate: what it is.
        path: of the file.
        shape: (C, H, W) of the images.
        classes: how many logits it gives.

    Returns:
        The parameters and buffers that the file has none for, or of another number of image channels or classes, which
        keep their fresh numbers; an activation's own are not among them.

    Raises:
        SpecError: the file cannot be read, or is of another network.
    """
    weights = read_weights(path)
    full = _full(candidate.backbone, shape, classes)
    own = {name for name, _ in _of_activations(network, candidate)}
    kept = _Kept(full, weights, network)
    fresh: list[str] = []
    with torch.no_grad():
        for name, target in [*network.named_parameters(), *network.named_buffers()]:
            source = weights.get(name)
            if source is None or source.dim() != target.dim():
                if name not in own and name in full.tensors and not name.endswith("num_batches_tracked"):
                    raise SpecError(f"weights: {path} has no {name} of {candidate.backbone}", code="LS-PATH")
                continue
            if name not in full.tensors:
                if source.shape == target.shape:
                    target.copy_(source)
                continue
            source = _for_images(source, full.tensors[name])
            if source.shape != full.tensors[name]:
                fresh.append(name)
                continue
            target.copy_(kept.part(name, source, target.shape))
    if len(fresh) > 2:
        name = fresh[0]
        raise SpecError(
            f"weights: {path} is of another network than {candidate.backbone}: {name} has the shape "
            f"{tuple(weights[name].shape)}, not {full.tensors[name]}",
            code="LS-PATH",
        )
    return fresh


def check_weights(name: str, path: str, *, shape: Shape, classes: int) -> tuple[str, ...]:
    """Whether a file is of a backbone, tried at its full width with its own activations.

    Args:
        name: of the backbone.
        path: of the file.
        shape: (C, H, W) of the images.
        classes: of the data set.

    Returns:
        What starts afresh nevertheless, a sentence.

    Raises:
        SpecError: the file cannot be read, or is of another network.
    """
    row = backbone(name)
    candidate = Candidate(name, row.full_widths, OWN)
    with torch.random.fork_rng(devices=[]):
        network = build(candidate, in_channels=shape[0], classes=classes)
    fresh = start_from(network, candidate, path, shape=shape, classes=classes)
    if not fresh:
        return ()
    return (f"{name}: {', '.join(fresh)} start afresh, since {path} has them for other images or classes",)


def activation_parameters(network: nn.Module, candidate: Candidate) -> set[str]:
    """Names of the parameters of the activations at a candidate's sites."""
    own = {id(parameter) for _, parameter in _of_activations(network, candidate)}
    return {name for name, parameter in network.named_parameters() if id(parameter) in own}


def _of_activations(network: nn.Module, candidate: Candidate) -> list[tuple[str, Tensor]]:
    sites = {site.name for site in backbone(candidate.backbone).sites}
    return [
        (f"{path}.{name}", tensor)
        for path, module in network.named_modules()
        if path in sites or hasattr(module, PUT_BY_SWAP)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    ]


class _Full:
    """A backbone at its full width: the groups of its channels, and the shapes of its tensors."""

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        self.groups: Groups = channel_groups(meta_copy(network), torch.zeros(1, *shape))
        named = [*network.named_parameters(), *network.named_buffers()]
        self.tensors = {name: tuple(tensor.shape) for name, tensor in named}

    def dims(self, name: str) -> tuple[Size, ...] | None:
        """The sizes of a tensor in the groups' widths; None for one that is followed nowhere."""
        path, _, own = name.rpartition(".")
        layer = self.groups.parameters.layers.get(path)
        dims = layer.tensors.get(own) if layer is not None else None
        return None if dims is None else tuple(map(self.groups.equations.solve, dims))


@lru_cache(maxsize=8)
def _full(name: str, shape: Shape, classes: int) -> _Full:
    row = backbone(name)
    with torch.random.fork_rng(devices=[]):
        network = build(Candidate(name, row.full_widths, OWN), in_channels=shape[0], classes=classes)
    return _Full(network, shape)


class _Kept:
    """Which channels of each group a narrower network keeps."""

    def __init__(self, full: _Full, weights: Mapping[str, Tensor], network: nn.Module) -> None:
        self.full = full
        self._order: dict[int, Tensor] = {}
        norms: dict[int, Tensor] = {}
        mixed: set[int] = set()
        for name, shape in full.tensors.items():
            dims = full.dims(name) or ()
            mixed |= {width for size in dims if _single(size) is None for width, _ in size.terms}
            first = _single(dims[0]) if len(dims) > 1 else None
            if first is not None and first[1] == 1 and name in weights and tuple(weights[name].shape[:1]) == shape[:1]:
                squares = weights[name].float().square().flatten(1).sum(1)
                norms[first[0]] = norms.get(first[0], torch.zeros(())) + squares
        for width, values in norms.items():
            if width not in mixed:
                self._order[width] = values.argsort(descending=True, stable=True)

    def part(self, name: str, source: Tensor, shape: torch.Size) -> Tensor:
        """The entries of a tensor that a narrower one keeps."""
        dims = self.full.dims(name) or ()
        for dim, length in enumerate(shape):
            if source.shape[dim] == length:
                continue
            single = _single(dims[dim]) if dim < len(dims) else None
            order = self._order.get(single[0]) if single else None
            if single is None or order is None:
                source = source.narrow(dim, 0, length)
                continue
            times = single[1]
            chosen = order[: length // times].sort().values
            rows = (chosen[:, None] * times + torch.arange(times)).flatten()
            source = source.index_select(dim, rows)
        return source


def _single(size: Size) -> tuple[int, int] | None:
    """The width that a size is a whole multiple of, and the multiple; None for any other size."""
    if len(size.terms) != 1 or size.constant or size.terms[0][1].denominator != 1:
        return None
    return size.terms[0][0], int(size.terms[0][1])


def _for_images(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A first layer for colour images, added up for grey ones, which gives what grey images in colour would."""
    grey = source.dim() == 4 and source.shape[1] == 3 and shape[1] == 1 and source.shape[0] == shape[0]
    return source.sum(1, keepdim=True) if grey else source
