"""Search spaces: candidates, where they come from, what network each is, and what it costs."""

from spaces.backbones import BACKBONES as BACKBONES
from spaces.backbones import Backbone as Backbone
from spaces.backbones import backbone as backbone
from spaces.build import build as build
from spaces.candidate import Candidate as Candidate
from spaces.configuration import Configuration as Configuration
from spaces.configuration import ParameterSpace as ParameterSpace
from spaces.cost import Cost as Cost
from spaces.cost import cost as cost
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
    "ParameterSpace",
    "Range",
    "SearchSpace",
    "WalkedSpace",
    "backbone",
    "build",
    "cost",
    "space",
]
