"""Named spaces over networks of torchvision and timm, and a space to start from for any network.

They stand apart from those over backbones written for search, since each needs a trace of its network first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leni.placement import FEATURE_ROLES
from spaces.backbones import Backbone, backbone
from spaces.fairness import FAIR, LENI
from spaces.search_space import SearchSpace

__all__ = ["NETWORK_PRESETS", "described", "starting_space"]

_TABLES: tuple[dict[str, Any], ...] = (
    {
        "name": "compensation-resnet18",
        "description": "How few channels do an activation's negative information make up for in ResNet-18?",
        "backbone": "torchvision:resnet18",
        "activation": ["relu", "prelu", "leni"],
        "placement": ["all", "inner", "outer", "stem"],
        "width": [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0],
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
    {
        "name": "placement-resnet50",
        "description": "Which activation does each stage of ResNet-50 need?",
        "backbone": "torchvision:resnet50",
        "activation": ["relu", "prelu", "frelu", "leni"],
        "activation_per": "stage",
        "width": [0.5, 1.0],
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
    {
        "name": "mobilenet",
        "description": "What do a width per stage and another activation buy in MobileNetV3?",
        "backbone": "timm:mobilenetv3_small_100",
        "activation": ["own", "relu", "prelu", "leni"],
        "placement": ["all", "stem", "inner", "stage:1-2", "stage:3-4"],
        "width": [0.25, 0.5, 0.75, 1.0],
        "width_per": "stage",
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
)

NETWORK_PRESETS = {table["name"]: table for table in _TABLES}


def starting_space(name: str) -> SearchSpace:
    """A space over one network with what a fair comparison needs, to be changed at will.

    Args:
        name: torchvision:NAME, timm:NAME or package.module:factory, perhaps with options of the factory.

    Returns:
        The network's own activation, PReLU and LENI, at all sites, those of each role and those of each stage, with a
        width per stage; of a network whose call sites cannot be changed, the widths alone.

    Raises:
        LeniSearchError: as `spaces.backbone`.
    """
    row = backbone(name)
    features = [site for site in row.sites if site.role in FEATURE_ROLES]
    table: dict[str, Any] = {
        "name": row.name.partition("?")[0].rpartition(":")[2].rpartition(".")[2],
        "description": f"Which activation, where and at which width, in {row.name}?",
        "backbone": row.name,
        "activation": [row.plain, "prelu", "leni"] if features else row.plain,
        "width": [0.25, 0.5, 0.75, 1.0] if row.full_widths else 1.0,
        "width_per": "stage" if row.full_widths else "network",
        "lr_factor": FAIR,
    }
    if features:
        roles = [role for role in FEATURE_ROLES if any(site.role == role for site in features)]
        stages = sorted({site.stage for site in features} - {0})
        table["placement"] = ["all", *(roles if len(roles) > 1 else ()), *(f"stage:{stage}" for stage in stages)]
        table["options"] = {"leni": LENI}
    return SearchSpace(**table)


def described(name: str) -> Iterator[str]:
    """What can be searched in a network, a line each: its widths by stage, its call sites, and what stays as it is.

    Raises:
        LeniSearchError: as `spaces.backbone`.
    """
    row = backbone(name)
    yield f"{row.name}: {len(row.full_widths)} groups of channels, {len(row.sites)} call sites"
    for stage in sorted(set(row.width_stages)):
        yield f"width.{stage}: {_widths(row, row.members('stage', stage))}"
    for stage in sorted({site.stage for site in row.sites}):
        sites = [site for site in row.sites if site.stage == stage]
        kinds = ", ".join(dict.fromkeys(site.kind for site in sites))
        yield f"sites of stage {stage}: {len(sites)} ({kinds}), {sites[0].name} to {sites[-1].name}"
    for what, reasons in (("keeps its outputs", row.kept), ("keeps its activation", row.left)):
        for place, reason in reasons.items():
            yield f"{place} {what}: {reason}"


def _widths(row: Backbone, members: tuple[int, ...]) -> str:
    """Full widths of some groups, each with its number and its first layer."""
    layers = row.layers or tuple(f"stage {stage}" for stage in row.width_stages)
    return ", ".join(f"{row.full_widths[place]} ({place + 1}: {layers[place]})" for place in members)
