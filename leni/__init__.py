"""LENI, its peers, and where in a network they go.

The names below are the public ones; importing them compiles nothing and loads no plug-in.
"""

import leni.peers  # noqa: F401  registers the activations that LENI is compared with
from leni.block import LENI
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
from leni.placement import Placement
from leni.registry import Activation, Option, register, register_activation
from leni.registry import create as create_activation
from leni.registry import get as activation
from leni.registry import names as activations

__all__ = [
    "LENI",
    "Activation",
    "ActivationError",
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
    "SpaceError",
    "SpecError",
    "activation",
    "activations",
    "create_activation",
    "register",
    "register_activation",
]
