"""An activation at some of a network's call sites, with its options: a part of a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leni import registry
from leni.errors import CandidateError
from leni.placement import Placement
from leni.registry import Activation
from spaces.backbones.sites import OWN, BackboneSite

__all__ = ["Assigned", "activation_row", "has_already"]

_OWN_ROW = Activation(OWN, "the network's own", lambda channels: _refuse())
KEYS = ("activation", "placement", "options")


def activation_row(name: str) -> Activation:
    """The registered row of an activation; of `own`, which stands for what a network has by itself, one of no options.

    Raises:
        ActivationError: there is no activation of this name.
    """
    return _OWN_ROW if name == OWN else registry.get(name)


def has_already(site: BackboneSite, activation: str) -> bool:
    """Whether a call site has an activation by itself."""
    return activation == OWN or (site.kind == activation and not activation_row(activation).options)


def _refuse() -> Any:
    raise CandidateError(f"the activation {OWN!r} stands for what a network has by itself, and cannot be built alone")


@dataclass(frozen=True)
class Assigned:
    """An activation at some call sites.

    Attributes:
        activation: name of a registered activation, or own.
        placement: where it goes (`leni.Placement`), in canonical form.
        options: all of the activation's own options, sorted (name, value) pairs; a mapping is accepted.

    Raises:
        CandidateError: a field of another type.
        ActivationError: an unknown activation or option.
        PlacementError: the placement cannot be parsed.
    """

    activation: str
    placement: str = "all"
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.activation, str):
            raise CandidateError(f"activation must be a name, got {self.activation!r}")
        if not isinstance(self.placement, str):
            raise CandidateError(f"placement must be a text such as 'all' or 'stem+inner', got {self.placement!r}")
        object.__setattr__(self, "placement", str(Placement.parse(self.placement)))
        object.__setattr__(self, "options", self._complete(self.options))

    def _complete(self, options: Any) -> tuple[tuple[str, Any], ...]:
        """All of the activation's options, in order of name, checked by its registry row; whole floats as floats."""
        try:
            given = None if isinstance(options, str) else dict(options)
        except (TypeError, ValueError):
            given = None
        if given is None or not all(isinstance(name, str) for name in given):
            raise CandidateError(f"options must be names with values, got {options!r}")
        row = activation_row(self.activation)
        floats = {name for name, option in row.options.items() if option.kind is float}
        checked = row.check(given).items()
        return tuple(sorted((name, float(value) if name in floats else value) for name, value in checked))  # type: ignore

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {"activation": self.activation, "placement": self.placement, "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: Any) -> Assigned:
        """What `to_dict` gave.

        Raises:
            CandidateError: a field is unknown or missing, an option is missing that is not of a later version than the
                first, or a value is impossible.
        """
        if not isinstance(values, Mapping) or set(values) != set(KEYS):
            raise CandidateError(f"an activation at some sites has the fields {', '.join(KEYS)}, got {values!r}")
        if not isinstance(values["options"], Mapping):
            raise CandidateError(f"options must be an object, got {values['options']!r}")
        found = cls(values["activation"], values["placement"], tuple(values["options"].items()))
        found.check_complete(values["options"])
        return found

    def check_complete(self, given: Mapping[str, Any]) -> None:
        """Refuse options of a file that leave one out which the activation had from the first version on.

        Raises:
            CandidateError: one is missing.
        """
        known = activation_row(self.activation).options
        if absent := [name for name, _ in self.options if name not in given and not known[name].later]:
            raise CandidateError(f"options of {self.activation} are missing: {', '.join(absent)}")
