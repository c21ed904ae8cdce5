"""LENI, its peers, and where in a network they go.

The names below are the public ones; importing them compiles nothing and loads no plug-in.
"""

import leni.peers  # noqa: F401  registers the activations that LENI is compared with
from leni.block import LENI
from leni.call_sites import CallSite, sites
from leni.errors import (
    ActivationError,
    CandidateError,
    DataError,
    EvaluationError,
    FolderError,
    InfeasibleWidth,
    LeniSearchError,
    NetworkError,
    PlacementError,
    ShapeError,
    SpaceError,
    SpecError,
)
from leni.narrowing import narrow
from leni.negative_information import SiteInformation, information
from leni.networks import default_input_size, load_network
from leni.placement import Placement
from leni.registry import Activation, Option, register, register_activation
from leni.registry import create as create_activation
from leni.registry import get as activation
from leni.registry import names as activations
from leni.swapping import SiteReport, Swapped, SwapReport, swap

__all__ = [
    "LENI",
    "Activation",
    "ActivationError",
    "CallSite",
    "CandidateError",
    "DataError",
    "EvaluationError",
    "FolderError",
    "InfeasibleWidth",
    "LeniSearchError",
    "NetworkError",
    "Option",
    "Placement",
    "PlacementError",
    "ShapeError",
    "SiteInformation",
    "SiteReport",
    "SpaceError",
    "SpecError",
    "SwapReport",
    "Swapped",
    "activation",
    "activations",
    "create_activation",
    "default_input_size",
    "information",
    "load_network",
    "narrow",
    "register",
    "register_activation",
    "sites",
    "swap",
]
