"""A candidate: everything that tells one network of a search from another, frozen and hashable."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from leni import registry
from leni.errors import CandidateError
from leni.placement import Placement
from spaces.backbones import backbone

__all__ = ["Candidate"]


@dataclass(frozen=True)
class Candidate:
    """One network of a search, and the factor on its learning rate.

    Sites outside the placement have ReLU. Two candidates are equal where their fields are: a placement is kept in
    canonical form, options are filled in with the activation's defaults.

    Attributes:
        backbone: name of a backbone, `resnet8`.
        widths: channels of each stage.
        activation: name of a registered activation.
        placement: where it goes (`leni.Placement`).
        options: the activation's own options, sorted (name, value) pairs; a mapping is accepted.
        lr_factor: on the recipe's learning rate.

    Raises:
        CandidateError: a field of another type, or an impossible value.
        ActivationError: an unknown activation or option.
        PlacementError: the placement cannot be parsed, or matches no site of the backbone.

    Example:
        >>> candidate = Candidate("resnet8", (4, 8, 16), "relu")
        >>> Candidate.from_json(candidate.to_json()) == candidate
        True
    """

    backbone: str
    widths: tuple[int, ...]
    activation: str
    placement: str = "all"
    options: tuple[tuple[str, Any], ...] = ()
    lr_factor: float = 1.0

    def __post_init__(self) -> None:
        for name in ("backbone", "activation"):
            if not isinstance(getattr(self, name), str):
                raise CandidateError(f"{name} must be a name, got {getattr(self, name)!r}")
        row = backbone(self.backbone)
        if not isinstance(self.widths, (tuple, list)) or len(self.widths) != len(row.full_widths):
            raise CandidateError(f"widths must be {len(row.full_widths)} numbers for {row.name}, got {self.widths!r}")
        for width in self.widths:
            if not isinstance(width, int) or isinstance(width, bool) or width < 1:
                raise CandidateError(f"widths must be whole numbers of at least 1, got {self.widths!r}")
        if isinstance(self.lr_factor, bool) or not isinstance(self.lr_factor, (int, float)):
            raise CandidateError(f"lr_factor must be a number, got {self.lr_factor!r}")
        if not 0 < self.lr_factor <= sys.float_info.max:
            raise CandidateError(f"lr_factor must be above 0 and finite, got {self.lr_factor!r}")
        if not isinstance(self.placement, str):
            raise CandidateError(f"placement must be a text such as 'all' or 'stem+inner', got {self.placement!r}")
        placement = Placement.parse(self.placement)
        placement.select(row.sites)
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "placement", str(placement))
        object.__setattr__(self, "lr_factor", float(self.lr_factor))
        object.__setattr__(self, "options", self._complete(self.options))

    def _complete(self, options: Any) -> tuple[tuple[str, Any], ...]:
        """All of the activation's options, in order of name, checked by its registry row; whole floats as floats."""
        try:
            given = None if isinstance(options, str) else dict(options)
        except (TypeError, ValueError):
            given = None
        if given is None or not all(isinstance(name, str) for name in given):
            raise CandidateError(f"options must be names with values, got {options!r}")
        row = registry.get(self.activation)
        floats = {name for name, option in row.options.items() if option.kind is float}
        checked = row.check(given).items()
        return tuple(sorted((name, float(value) if name in floats else value) for name, value in checked))  # type: ignore

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them: lists for tuples, an object for the options."""
        return {
            "backbone": self.backbone,
            "widths": list(self.widths),
            "activation": self.activation,
            "placement": self.placement,
            "options": dict(self.options),
            "lr_factor": self.lr_factor,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Candidate:
        """A candidate from all of its fields, none more and none less.

        Raises:
            CandidateError: a field is unknown or missing, an option is missing that is not of a later version than the
                first, or a value is impossible.
        """
        if not isinstance(values, Mapping):
            raise CandidateError(f"a candidate must be an object with named fields, got {values!r}")
        names = [field.name for field in fields(cls)]
        unknown = [str(name) for name in values if name not in names]
        missing = [name for name in names if name not in values]
        if unknown or missing:
            raise CandidateError(
                "a candidate's fields are "
                + ", ".join(names)
                + (f"; unknown: {', '.join(unknown)}" if unknown else "")
                + (f"; missing: {', '.join(missing)}" if missing else "")
            )
        if not isinstance(values["options"], Mapping):
            raise CandidateError(f"options must be an object, got {values['options']!r}")
        widths = values["widths"]
        candidate = cls(**{**values, "widths": tuple(widths) if isinstance(widths, list) else widths})
        known = registry.get(candidate.activation).options
        if absent := [name for name, _ in candidate.options if name not in values["options"] and not known[name].later]:
            raise CandidateError(f"options of {candidate.activation} are missing: {', '.join(absent)}")
        return candidate

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Candidate:
        """The candidate of one JSON object.

        Raises:
            CandidateError: the text is not JSON, or not a candidate (see `from_dict`).
        """
        try:
            values = json.loads(text)
        except ValueError as error:  # not JSON, or a number of too many digits
            raise CandidateError(f"a candidate must be a JSON object: {error}") from None
        return cls.from_dict(values)

    def columns(self) -> dict[str, Any]:
        """The fields as columns of a record: widths as `4-8-16`, each option in a column of its own."""
        values = self.to_dict()
        values["widths"] = "-".join(map(str, self.widths))
        return {**{name: value for name, value in values.items() if name != "options"}, **dict(self.options)}
