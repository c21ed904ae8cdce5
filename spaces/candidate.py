"""A candidate: everything that tells one network of a search from another, frozen and hashable."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from leni.errors import CandidateError
from leni.placement import Placement
from spaces.assigned import Assigned, activation_row, has_already
from spaces.backbones import Backbone, backbone
from spaces.backbones.placing import placement_of
from spaces.backbones.sites import OWN
from spaces.recipe_keys import SEARCHED, TRAINING

__all__ = ["Candidate"]

LATER = ("also", "training")  # fields that JSON has only where they hold something
BETWEEN = " / "  # the placements of several activations, in a record


@dataclass(frozen=True)
class Candidate:
    """One network of a search, and the factor on its learning rate.

    Sites outside the placement have the activation that the backbone has by itself: ReLU in those written for search.
    Two candidates are equal where their fields are: a placement is kept in canonical form, options are filled in with
    the activation's defaults.

    Attributes:
        backbone: name of a backbone, `resnet8`, or of a network, `timm:resnet18` or `timm:resnet18?drop_rate=0.1`.
        widths: channels of each stage; of a network, of each group of layers whose channels go together.
        activation: name of a registered activation, or `own` for what the network has by itself.
        placement: where it goes (`leni.Placement`).
        options: the activation's own options, sorted (name, value) pairs; a mapping is accepted.
        lr_factor: on the recipe's learning rate.
        also: further activations at other sites, in the order of the forward pass.
        training: keys of the recipe that the candidate is trained with in place of the run's, sorted (key, value)
            pairs; a mapping is accepted.

    Raises:
        CandidateError: a field of another type, or an impossible value.
        ActivationError: an unknown activation or option.
        PlacementError: the placement cannot be parsed, or matches no site of the backbone.
        NetworkError: the backbone is a network that cannot be built or traced.

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
    also: tuple[Assigned, ...] = ()
    training: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.backbone, str):
            raise CandidateError(f"backbone must be a name, got {self.backbone!r}")
        row = backbone(self.backbone)
        row.check(self.widths)
        if isinstance(self.lr_factor, bool) or not isinstance(self.lr_factor, (int, float)):
            raise CandidateError(f"lr_factor must be a number, got {self.lr_factor!r}")
        if not 0 < self.lr_factor <= sys.float_info.max:
            raise CandidateError(f"lr_factor must be above 0 and finite, got {self.lr_factor!r}")
        if not isinstance(self.also, (tuple, list)) or not all(isinstance(part, Assigned) for part in self.also):
            raise CandidateError(f"also must be further activations at other sites, got {self.also!r}")
        first = Assigned(self.activation, self.placement, self.options)
        for part in (first, *self.also):
            if part.activation != OWN or row.sites:  # a network of no such site can be narrowed all the same
                Placement.parse(part.placement).select(row.sites)
        first, *others = _canonical([first, *self.also], row)
        object.__setattr__(self, "backbone", row.name)
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "lr_factor", float(self.lr_factor))
        for name in ("activation", "placement", "options"):
            object.__setattr__(self, name, getattr(first, name))
        object.__setattr__(self, "also", tuple(others))
        object.__setattr__(self, "training", _checked_training(self.training))

    @property
    def parts(self) -> tuple[Assigned, ...]:
        """All activations, each at its sites; one that is the backbone's own may be among them if it is alone."""
        return (Assigned(self.activation, self.placement, self.options), *self.also)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them: lists for tuples, an object for the options.

        `also` and `training` are there only where they hold something.
        """
        fields: dict[str, Any] = {
            "backbone": self.backbone,
            "widths": list(self.widths),
            "activation": self.activation,
            "placement": self.placement,
            "options": dict(self.options),
            "lr_factor": self.lr_factor,
        }
        also = {"also": [part.to_dict() for part in self.also]} if self.also else {}
        return {**fields, **also, **({"training": dict(self.training)} if self.training else {})}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Candidate:
        """A candidate from all of its fields, none more and none less; `also` and `training` may be missing.

        Raises:
            CandidateError: a field is unknown or missing, an option is missing that is not of a later version than the
                first, or a value is impossible.
        """
        if not isinstance(values, Mapping):
            raise CandidateError(f"a candidate must be an object with named fields, got {values!r}")
        names = [field.name for field in fields(cls)]
        unknown = [str(name) for name in values if name not in names]
        missing = [name for name in names if name not in values and name not in LATER]
        if unknown or missing:
            raise CandidateError(
                "a candidate's fields are "
                + ", ".join(name for name in names if name not in LATER)
                + (f"; unknown: {', '.join(unknown)}" if unknown else "")
                + (f"; missing: {', '.join(missing)}" if missing else "")
            )
        if not isinstance(values["options"], Mapping):
            raise CandidateError(f"options must be an object, got {values['options']!r}")
        widths, also = values["widths"], values.get("also", [])
        if not isinstance(also, (list, tuple)):
            raise CandidateError(f"also must be a list, got {also!r}")
        others = tuple(part if isinstance(part, Assigned) else Assigned.from_dict(part) for part in also)
        candidate = cls(**{**values, "widths": tuple(widths) if isinstance(widths, list) else widths, "also": others})
        if not others:
            candidate.parts[0].check_complete(values["options"])
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
        """The fields as columns of a record: widths as `4-8-16`, each option in a column of its own.

        Of several activations the names are joined by a plus sign, and the placements, in the same order, by a slash;
        of options of one name the column has the first activation's.
        """
        return {
            "backbone": self.backbone,
            "widths": "-".join(map(str, self.widths)),
            "activation": "+".join(part.activation for part in self.parts),
            "placement": BETWEEN.join(part.placement for part in self.parts),
            "lr_factor": self.lr_factor,
            **{name: value for part in reversed(self.parts) for name, value in part.options},
            **{f"{TRAINING}{key}": value for key, value in self.training},
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> Candidate:
        """The candidate of one activation that a record's columns are of; an option that is missing had its default.

        Raises:
            CandidateError: a value is impossible.
        """
        options = activation_row(columns["activation"]).options
        return cls(
            backbone=columns["backbone"],
            widths=tuple(int(width) for width in columns["widths"].split("-") if width),
            activation=columns["activation"],
            placement=columns.get("placement", "all"),
            options=tuple((name, columns[name]) for name in options if name in columns),
            lr_factor=float(columns.get("lr_factor", 1.0)),
            training=tuple((key, columns[f"{TRAINING}{key}"]) for key in SEARCHED if f"{TRAINING}{key}" in columns),
        )

    def __str__(self) -> str:
        columns = self.columns()
        return f"{self.backbone} {columns['widths']} {columns['activation']} @ {columns['placement']}"


def _checked_training(given: Any) -> tuple[tuple[str, Any], ...]:
    """Keys of the recipe with plain values, in order of name.

    Raises:
        CandidateError: a key that cannot be searched, or a value that is no text, truth value or finite number.
    """
    try:
        pairs = None if isinstance(given, str) else dict(given)
    except (TypeError, ValueError):
        pairs = None
    if pairs is None:
        raise CandidateError(f"training must be keys of the recipe with values, got {given!r}")
    for key, value in pairs.items():
        if key not in SEARCHED:
            raise CandidateError(f"training has no key {key!r}; keys are {', '.join(SEARCHED)}")
        if not isinstance(value, (str, bool, int, float)) or value in (math.inf, -math.inf) or value != value:
            raise CandidateError(f"training.{key} must be a text, a truth value or a finite number, got {value!r}")
    return tuple(sorted(pairs.items()))


def _canonical(parts: Sequence[Assigned], row: Backbone) -> list[Assigned]:
    """The parts in the order of their first sites, each activation once, without those that change nothing.

    Raises:
        CandidateError: two of them have a site in common.
    """
    if len(parts) == 1:
        (only,) = parts
        return [Assigned(row.plain)] if only.activation == OWN or (only.placement == "none" and row.layers) else [only]
    merged: dict[tuple[str, tuple[tuple[str, Any], ...]], set[int]] = {}
    taken: set[int] = set()
    for part in parts:
        places = set(Placement.parse(part.placement).select(row.sites))
        if both := places & taken:
            raise CandidateError(f"site {row.sites[min(both)].name} has two activations")
        taken |= places
        if changed := {place for place in places if not has_already(row.sites[place], part.activation)}:
            merged.setdefault((part.activation, part.options), set()).update(changed)
    ordered = sorted(merged.items(), key=lambda item: min(item[1]))
    found = [Assigned(name, placement_of(row.sites, places), options) for (name, options), places in ordered]
    return found or [Assigned(row.plain)]
