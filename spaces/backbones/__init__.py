"""Networks of a search space: those written for search, and any other one by its name.

A new one written for search is a module like resnet.py, and its rows in the table below. Any network of torchvision,
timm or a user's own module is a backbone too, by the name that `leni.networks` reads (traced.py).
"""

from __future__ import annotations

import difflib
from functools import lru_cache

from leni.errors import CandidateError
from spaces.backbones.resnet import RESNETS
from spaces.backbones.row import Backbone as Backbone
from spaces.backbones.sites import BackboneSite as BackboneSite
from spaces.backbones.vgg import VGGS

__all__ = ["BACKBONES", "Backbone", "BackboneSite", "backbone"]

BACKBONES = {row.name: row for row in (*RESNETS, *VGGS)}


def backbone(name: str) -> Backbone:
    """The row of a backbone.

    Args:
        name: of one written for search, `resnet8`; or torchvision:NAME, timm:NAME or package.module:factory, perhaps
            with options of the factory, `timm:resnet18?drop_rate=0.1`.

    Raises:
        CandidateError: there is no backbone of this name; the message has the nearest.
        SpaceError: an option of the factory cannot be given.
        NetworkError: the network cannot be built or traced.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if ":" in str(name):
        return _network(str(name))
    near = difflib.get_close_matches(str(name), BACKBONES, n=2, cutoff=0.4) or list(BACKBONES)
    raise CandidateError(
        f"there is no backbone {name!r}; near names are {', '.join(near)}, or a network is named torchvision:NAME, "
        "timm:NAME or package.module:factory"
    )


@lru_cache(maxsize=32)
def _network(name: str) -> Backbone:
    from spaces.backbones.network_rows import network_row  # its imports are slow, and most spaces need none of them

    return network_row(name)
