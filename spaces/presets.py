"""The named spaces.

Each has what a fair comparison needs: a learning-rate factor of 0.3, 1 or 3 for every activation, and for LENI its
start (init_std, the spread of K) and whether its parameters decay. `SearchSpace.fix` holds any of them constant.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from leni.errors import LeniSearchError, SpaceError
from spaces.configuration import ParameterSpace
from spaces.define_by_run import DEFINE_BY_RUN, DefineByRunSpace
from spaces.fairness import FAIR, LENI
from spaces.network_presets import NETWORK_PRESETS
from spaces.search_space import SearchSpace

__all__ = ["PRESETS", "space"]

_TABLES: tuple[dict[str, Any], ...] = (
    {
        "name": "channel-compensation",
        "description": "How few channels do an activation's negative information make up for?",
        "backbone": "resnet8",
        "activation": ["relu", "prelu", "leni"],
        "placement": ["all", "inner", "outer", "stem"],
        "width": [0.1875, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0],
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
    {
        "name": "placement",
        "description": "Where in the network does an activation earn its parameters?",
        "backbone": "resnet20",
        "activation": ["relu", "prelu", "leni"],
        "placement": [
            "all",
            "stem",
            "inner",
            "outer",
            "first",
            "last",
            "stem+inner",
            "stem+outer",
            "every:2",
            "stage:1",
            "stage:2",
            "stage:3",
            "stage:1-2",
            "stage:2-3",
        ],
        "width": [0.5, 1.0],
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
    {
        "name": "activations",
        "description": "Which activation, each at its own learning rate and width?",
        "backbone": "resnet8",
        "activation": [
            "relu",
            "relu6",
            "leaky_relu",
            "prelu",
            "rrelu",
            "elu",
            "selu",
            "gelu",
            "silu",
            "mish",
            "hardswish",
            "frelu",
            "acon_c",
            "meta_acon",
            "dynamic_relu_b",
            "pelu",
            "srelu",
            "leni",
        ],
        "width": [0.25, 0.5, 0.75, 1.0],
        "lr_factor": FAIR,
        "options": {"leni": LENI},
    },
    {
        "name": "full",
        "description": "Everything: depth, width per stage, activation, placement and LENI's parts.",
        "backbone": ["resnet8", "resnet20", "resnet32", "resnet56"],
        "activation": ["relu", "leaky_relu", "prelu", "gelu", "silu", "crelu", "frelu", "acon_c", "leni"],
        "placement": ["all", "stem", "inner", "outer", "stem+inner", "stage:1", "stage:2", "stage:3", "every:2"],
        "width": {"low": 0.125, "high": 1.0, "step": 0.125},
        "width_per": "stage",
        "lr_factor": {"low": 0.1, "high": 10.0, "log": True},
        "options": {
            "leni": {
                **LENI,
                "kernel_size": [3, 1, 5],
                "transform": ["depthwise", "scale", "grouped", "dense"],
                "compression": ["grouped", "dense", "none"],
                "norm": ["none", "batch"],
            }
        },
    },
)

PRESETS = tuple(table["name"] for table in _TABLES)


@lru_cache(maxsize=len(_TABLES) + len(NETWORK_PRESETS))
def _preset(name: str) -> SearchSpace:
    """A preset, built when it is first asked for: that loads the activations that other packages register."""
    return SearchSpace(**(_TABLES[PRESETS.index(name)] if name in PRESETS else NETWORK_PRESETS[name]))


def space(name: str | Mapping[str, Any]) -> SearchSpace | ParameterSpace:
    """A preset by name, or a space from a TOML file or its table.

    `define-by-run` is the space of an objective that declares its parameters itself (`spaces.define_by_run`). A table
    with "parameters" is a space of a user's own evaluator (`spaces.configuration`), any other one of networks.

    Raises:
        SpaceError: there is no such preset or file, or the file is no space.
    """
    if isinstance(name, Mapping):
        return ParameterSpace.from_dict(name) if "parameters" in name else SearchSpace.from_dict(name)
    if name in PRESETS or name in NETWORK_PRESETS:
        return _preset(name)
    if name == DEFINE_BY_RUN:
        return DefineByRunSpace()
    if name.endswith(".toml"):
        return _from_file(Path(name))
    near = difflib.get_close_matches(name, [*PRESETS, *NETWORK_PRESETS], n=2, cutoff=0.3) or list(PRESETS)
    raise SpaceError(
        f"there is no search space {name!r}; near names are {', '.join(near)}, or give a .toml file",
        code="LS-SPACE-UNKNOWN",
    )


def _from_file(path: Path) -> SearchSpace | ParameterSpace:
    try:
        return space(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, LeniSearchError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpaceError(f"{path}: {reason}") from None
