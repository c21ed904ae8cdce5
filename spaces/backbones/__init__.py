"""Networks written for search: a width per stage, and an activation per call site.

A new one is a module like resnet.py, and its rows in the table below.
"""

from __future__ import annotations

import difflib

from leni.errors import CandidateError
from spaces.backbones.resnet import RESNETS
from spaces.backbones.sites import Backbone as Backbone
from spaces.backbones.sites import BackboneSite as BackboneSite
from spaces.backbones.vgg import VGGS

__all__ = ["BACKBONES", "Backbone", "BackboneSite", "backbone"]

BACKBONES = {row.name: row for row in (*RESNETS, *VGGS)}


def backbone(name: str) -> Backbone:
    """The row of a backbone.

    Raises:
        CandidateError: there is none of this name; the message has the nearest.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(str(name), BACKBONES, n=2, cutoff=0.4) or list(BACKBONES)
        raise CandidateError(f"there is no backbone {name!r}; near names are {', '.join(near)}")
    return BACKBONES[name]
