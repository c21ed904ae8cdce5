"""Zero-cost proxies: numbers of an untrained network that may tell how well it will do, from one batch of images.

| name    | what is measured                                                                                      |
|---------|-------------------------------------------------------------------------------------------------------|
| synflow | log of the sum of w * dR/dw over all weights, of a network of absolute weights that is shown ones     |
| grad    | log of the norm of the loss's gradient, summed over the weights of each layer                         |
| naswot  | log-determinant of how many activations' inputs have equal signs, for each pair of images             |

More is expected to be better. How far that holds differs between spaces and data sets, so a sampler that is given
proxies finds out by the trials' results which of them tell anything, and leaves the others out
(`search.decide.known_cost.models`).

Source: Tanaka, Kunin, Yamins and Ganguli 2020, arXiv 2006.05467 (synflow); Mellor, Turner, Storkey and Crowley 2021,
arXiv 2006.04647 (naswot); Abdelfattah, Mehrotra, Dudziak and Lane 2021, arXiv 2101.08134 (all three as proxies, and
synflow without batch norm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import SpecError
from search.training.augment import normalise
from search.training.data import Data
from spaces import Candidate, build
from spaces.backbones import backbone

__all__ = ["PROXIES", "check_proxies", "measure"]

IMAGES = 32  # of the batch
SEED = 0  # of the weights


def _synflow(network: nn.Module, images: Tensor, labels: Tensor, sites: Sequence[str]) -> Tensor:
    """Synaptic flow, in float64, batch norm left out."""
    network = network.double().eval()  # batch norm refuses a single image otherwise, before it is passed by
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    with _without_batch_norm(network):
        network(torch.ones_like(images[:1], dtype=torch.float64)).sum().backward()
    flows = [(parameter * gradient).abs().sum() for parameter, gradient in _gradients(network)]
    return torch.stack(flows).sum().log().detach()


def _grad(network: nn.Module, images: Tensor, labels: Tensor, sites: Sequence[str]) -> Tensor:
    """The gradient's norm."""
    F.cross_entropy(network(images), labels).backward()
    return torch.stack([gradient.norm() for _, gradient in _gradients(network)]).sum().log()


def _naswot(network: nn.Module, images: Tensor, labels: Tensor, sites: Sequence[str]) -> Tensor:
    """The log-determinant of the kernel of equal signs."""
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        signs = (inputs[0] > 0).flatten(1).double()
        kernel.add_(signs @ signs.T + (1 - signs) @ (1 - signs).T)

    for name in sites:
        network.get_submodule(name).register_forward_pre_hook(add)
    with torch.no_grad():
        network(images)
    return torch.linalg.slogdet(kernel).logabsdet


PROXIES: Mapping[str, Callable[[nn.Module, Tensor, Tensor, Sequence[str]], Tensor]] = {
    "synflow": _synflow,
    "grad": _grad,
    "naswot": _naswot,
}
"""Name -> function of a network that may be changed, images, labels, and the names of its activations."""


def check_proxies(names: Sequence[str]) -> None:
    """Check names of proxies.

    Raises:
        SpecError: there is no proxy of a name.
    """
    if unknown := [name for name in names if name not in PROXIES]:
        raise SpecError(f"proxies must be of {', '.join(PROXIES)}, got {unknown[0]!r}", code="LS-PROXY-UNKNOWN")


def measure(candidate: Candidate, data: Data, names: Sequence[str]) -> dict[str, float]:
    """Proxies of a candidate, each of its network with the same initial weights, in training mode.

    Args:
        candidate: whose network is built.
        data: its first training images are the batch.
        names: of PROXIES.

    Returns:
        Values by name; one that is not finite is NaN.

    Raises:
        CandidateError: the candidate cannot be built.
        SpecError: there is no proxy of a name.
    """
    check_proxies(names)
    images = normalise(data.train.images[:IMAGES], data.mean, data.std)
    labels = data.train.labels[:IMAGES]
    sites = [site.name for site in backbone(candidate.backbone).sites]
    found = {}
    for name in names:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            network = build(candidate, in_channels=data.input_shape[0], classes=data.classes)
            value = float(PROXIES[name](network.train(), images, labels, sites))
        found[name] = value if value - value == 0 else float("nan")
    return found


def _gradients(network: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Parameters that the output depends on, with their gradients."""
    for parameter in network.parameters():
        if parameter.grad is not None:
            yield parameter, parameter.grad


@contextmanager
def _without_batch_norm(network: nn.Module) -> Iterator[None]:
    """Every batch norm passes its input on."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    handles = [module.register_forward_hook(lambda module, inputs, output: inputs[0]) for module in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
