"""Which call sites torchvision's classification networks have, and what LENI at all of them costs, as one page.

    python -m leni.survey > docs/call-sites.md            # all of them, in some minutes
    python -m leni.survey resnet18 googlenet              # these

Sites and parameters are counted on the meta device, at each network's own input size. The outputs are compared for
real: with `init_std=0` LENI at a ReLU is that ReLU, so wherever a network calls ReLU on feature maps, the network with
LENI there must put out what it put out before. Weights are random.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import leni  # noqa: F401  registers the activations
from leni.call_sites import GATES, CallSite, sites
from leni.errors import NetworkError
from leni.networks import default_input_size, load_network
from leni.placement import FEATURE_ROLES
from leni.swapping import SiteReport, swap
from leni.tracing import meta_copy, module_kind

__all__ = ["Survey", "page", "survey"]

SIDE = 96  # pixels: outputs are compared at this size
COMMAND = "python -m leni.survey > docs/call-sites.md"


@dataclass(frozen=True)
class Survey:
    """What was counted and measured of one network.

    Attributes:
        name: as torchvision has it.
        input_size: (C, H, W), pixels, of the counts.
        modules: activation modules that the network has; the sigmoids of gates are none.
        kinds: call sites by activation.
        swapped: sites that LENI replaced, of placement `all`.
        params: learned parameters before, a count.
        gained: parameters that the network with LENI has more, counted.
        analytic: the same by formula, the sum of 10 C over the swapped sites.
        compared: ReLU sites at which outputs were compared.
        output: largest absolute output of the network, None if there was nothing to compare.
        difference: largest absolute difference of the outputs, None if there was nothing to compare.
        left: why sites were left alone, with how many.
        error: why the network could not be traced; empty if it could.
    """

    name: str
    input_size: tuple[int, int, int]
    modules: int
    params: int
    kinds: dict[str, int] = field(default_factory=dict)
    swapped: int = 0
    gained: int = 0
    analytic: int = 0
    compared: int = 0
    output: float | None = None
    difference: float | None = None
    left: dict[str, int] = field(default_factory=dict)
    error: str = ""


def survey(name: str, *, side: int = SIDE) -> Survey:
    """Count a network's call sites, swap LENI in at all feature maps, and compare outputs.

    Args:
        name: of a classification network of torchvision.
        side: height and width of the images to compare outputs on, pixels.

    Returns:
        The counts; a network that cannot be traced has `error` instead.

    Raises:
        NetworkError: torchvision has no such network.
    """
    size = default_input_size(f"torchvision:{name}")
    torch.manual_seed(0)
    # GoogLeNet and Inception otherwise draw from scipy's truncated normal, which takes half a minute.
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    built = load_network(f"torchvision:{name}", **options).eval()
    model = meta_copy(built)
    example = torch.empty(1, *size, device="meta")
    modules = sum(module_kind(module) not in (None, *GATES) for module in model.modules())
    try:
        found = sites(model, example)
        network, report = swap(model, "leni", example_input=example)
    except NetworkError as error:
        return Survey(name, size, modules, _params(model), error=str(error))
    relus = [site.name for site in report.replaced if site.kind == "relu"]
    compared = _compare(built, relus, side) if relus else (None, None)
    return Survey(
        name,
        size,
        modules,
        _params(model),
        kinds=dict(Counter(site.kind for site in found).most_common()),
        swapped=len(report.replaced),
        gained=_params(network) - _params(model),
        analytic=sum(10 * site.channels for site in report.replaced),
        compared=len(relus),
        output=compared[0],
        difference=compared[1],
        left=dict(Counter(_why(row) for row in report.sites if not row.replaced)),
    )


def page(rows: Sequence[Survey]) -> str:
    """The survey as Markdown.

    Args:
        rows: of the networks, in the order to show.

    Returns:
        The page, ended by a line feed.
    """
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision"))
    same = sum(row.gained == row.analytic for row in rows if not row.error)
    lines = [
        "# Call sites of torchvision's classification networks",
        "",
        f"Made by `{COMMAND}` ({versions}). Weights are random; nothing was downloaded.",
        "",
        "- modules: activation modules that the network has. sites: places in the forward pass where an activation is",
        "  called; a module may be called several times, and a function has no module. Gates' sigmoids are in neither.",
        "  Modules that never see the input, the ReLUs in the position bias of Swin v2, are no sites.",
        '- swapped: sites that `leni.swap(network, "leni")` replaced, LENI with its defaults at every feature map.',
        "- gained: parameters counted after less before; by formula 10 C a site of C channels (K: 9 C, w1: C), "
        f"the same for {same} of {sum(not row.error for row in rows)} networks.",
        "- difference: largest absolute difference of the outputs with `init_std=0` at the ReLU sites (their number",
        "  stands beside it where other sites were swapped too), in evaluation mode, on two random images of",
        f"  {SIDE}x{SIDE}, batch norms with the statistics of these; beside it the largest output. A dash: no ReLU was",
        "  swapped, so that nothing is expected to stay the same.",
        "- left alone: gate and head by default (they are no feature maps), and what has no channels in dimension 1.",
        "",
        "| network | input | modules | sites | swapped | parameters | gained | by formula | gained, % | difference "
        "| largest output | left alone |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *map(_line, rows),
    ]
    failed = [row for row in rows if row.error]
    lines += ["", "Every network can be traced." if not failed else "Not traced:", ""]
    lines += [f"- {row.name}: {row.error}" for row in failed]
    return "\n".join(lines).rstrip() + "\n"


def main(names: Sequence[str] = ()) -> None:
    """Write the page to standard output, and to standard error a line for each network done.

    Args:
        names: of networks, all of torchvision's classification networks if empty.
    """
    models = importlib.import_module("torchvision.models")
    wanted = list(names) or sorted(models.list_models(module=models))
    rows = []
    for index, name in enumerate(wanted, 1):
        start = time.perf_counter()
        rows.append(survey(name))
        sys.stderr.write(f"{index} of {len(wanted)}  {name}  {time.perf_counter() - start:.1f} s\n")
    sys.stdout.write(page(rows))


def _params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _compare(network: nn.Module, relus: Iterable[str], side: int) -> tuple[float, float]:
    """Largest output, and largest difference with LENI at the named ReLU sites."""
    images = torch.randn(2, 3, side, side)
    _settle(network, images)
    wanted = _outputs(network, images)
    swapped, _ = swap(network, "leni", f"sites:{','.join(relus)}", example_input=images, init_std=0)
    return float(wanted.abs().max()), float((_outputs(swapped, images) - wanted).abs().max())


def _settle(network: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of these images: with those of a new network some outputs vanish."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the running mean is that of the batches seen, which is one
        norm.train()
    _outputs(network, images)
    for norm in norms:
        norm.eval()


@torch.no_grad()
def _outputs(network: nn.Module, images: Tensor) -> Tensor:
    outputs: Tensor = network(images)
    return outputs


def _why(row: SiteReport) -> str:
    """Why a site was left alone, without what differs from site to site."""
    site: CallSite = row.site
    if site.role not in FEATURE_ROLES:
        return site.role
    if not site.feature_map:
        return f"{site.kind} with the channels in dimension {site.channel_dim} of {len(site.spatial) + 2}"
    return row.reason


def _line(row: Survey) -> str:
    size = "x".join(map(str, row.input_size[1:]))
    if row.error:
        blank = " | ".join(["-"] * 2)
        rest = " | ".join(["-"] * 5)
        return f"| {row.name} | {size} | {row.modules} | {blank} | {row.params:,} | {rest} | not traced, see below |"
    total = sum(row.kinds.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in row.kinds.items())
    difference = "-" if row.difference is None else f"{row.difference:.2g}"
    if row.difference is not None and row.compared < row.swapped:
        difference += f" ({row.compared} sites)"
    output = "-" if row.output is None else f"{row.output:.2g}"
    left = ", ".join(f"{count} {reason}" for reason, count in row.left.items()) or "none"
    share = 100 * row.gained / row.params
    counts = [f"{row.params:,}", f"{row.gained:,}", f"{row.analytic:,}", f"{share:.2f}"]
    cells = [row.name, size, row.modules, f"{total} ({kinds})", row.swapped, *counts, difference, output, left]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main(sys.argv[1:])
