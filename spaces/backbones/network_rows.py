"""The row of a network that is named by its package: what `backbone` gives for torchvision:resnet18."""

from __future__ import annotations

from functools import partial

from leni.errors import NetworkError
from spaces.backbones.network_names import NetworkName
from spaces.backbones.row import Backbone
from spaces.backbones.traced import WIDE, traced
from spaces.backbones.traced_costs import count

__all__ = ["network_row"]

ROUNDED_TO = 8  # of networks with wide layers, as in timm


def network_row(name: str) -> Backbone:
    """The row of a network, after one trace of it.

    Args:
        name: as `NetworkName.parse` reads it.

    Raises:
        NetworkError: the network cannot be built or traced, or nothing of it can be searched.
        SpaceError: an option of the factory cannot be given.
    """
    parsed = NetworkName.parse(name)
    network = traced(parsed)
    groups = network.groups
    widths = tuple(group.channels for group in groups.groups)
    if not widths and not network.sites:
        first = "; ".join(f"{path}: {reason}" for path, reason in [*groups.kept.items(), *network.left.items()][:3])
        raise NetworkError(
            f"{parsed}: no layer can be narrowed and no call site can have another activation, so there is nothing to "
            f"search ({first or 'it has no layer that is followed'})"
        )
    return Backbone(
        name=str(parsed),
        full_widths=widths,
        sites=network.sites,
        build=network.build,
        source=f"{parsed.source} as its package builds it",
        stages=network.stages,
        units=tuple(group.parts for group in groups.groups),
        layers=tuple(group.name for group in groups.groups),
        plain=network.plain,
        round_to=ROUNDED_TO if max(widths, default=0) >= WIDE else 1,
        kept=groups.kept,
        left=network.left,
        count=partial(count, parsed),
        notes=network.notes,
    )
