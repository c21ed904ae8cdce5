"""Search spaces: candidates, where they come from, what network each is, and what it costs.

What asks Optuna is imported at its first use, so that an exported network is loaded without it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from spaces.backbones import BACKBONES as BACKBONES
from spaces.backbones import Backbone as Backbone
from spaces.backbones import backbone as backbone
from spaces.building import build as build
from spaces.candidate import Candidate as Candidate
from spaces.costs import Cost as Cost
from spaces.costs import cost as cost
from spaces.exported import Exported as Exported
from spaces.exported import load_exported as load_exported

if TYPE_CHECKING:
    from spaces.configuration import Configuration as Configuration
    from spaces.configuration import ParameterSpace as ParameterSpace
    from spaces.dimensions import Choice as Choice
    from spaces.dimensions import Range as Range
    from spaces.presets import PRESETS as PRESETS
    from spaces.presets import space as space
    from spaces.search_space import SearchSpace as SearchSpace
    from spaces.walk import WalkedSpace as WalkedSpace

__all__ = [
    "BACKBONES",
    "PRESETS",
    "Backbone",
    "Candidate",
    "Choice",
    "Configuration",
    "Cost",
    "Exported",
    "ParameterSpace",
    "Range",
    "SearchSpace",
    "WalkedSpace",
    "backbone",
    "build",
    "cost",
    "load_exported",
    "space",
]

_LATER = {
    "Configuration": "spaces.configuration",
    "ParameterSpace": "spaces.configuration",
    "Choice": "spaces.dimensions",
    "Range": "spaces.dimensions",
    "PRESETS": "spaces.presets",
    "space": "spaces.presets",
    "SearchSpace": "spaces.search_space",
    "WalkedSpace": "spaces.walk",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
