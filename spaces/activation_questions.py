"""What a search space asks about activations: one with its placement, or one for each stage, role or call site."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leni.errors import SpaceError
from leni.placement import Placement
from spaces.assigned import Assigned, activation_row, has_already
from spaces.backbones import Backbone
from spaces.backbones.placing import placement_of
from spaces.backbones.sites import OWN
from spaces.dimensions import Dimension, Range

__all__ = ["ACTIVATION_PER", "ActivationQuestions"]

ACTIVATION_PER = ("network", "stage", "role", "site")
Parts = tuple[Assigned, ...]


@dataclass(frozen=True)
class ActivationQuestions:
    """The dimensions `activation` and `placement`, or `activation.LABEL` for each stage, role or site, and options.

    Attributes:
        activation: names.
        placement: where an activation other than the network's own goes; with `per`, which sites have one at all.
        per: network, stage, role or site.
        given: by activation, its own options that are searched.

    Raises:
        SpaceError: `per` is something else, or there are several placements beside it.
    """

    activation: Dimension
    placement: Dimension
    per: str
    given: Mapping[str, Mapping[str, Dimension]]

    def __post_init__(self) -> None:
        if self.per not in ACTIVATION_PER:
            raise SpaceError(f"activation_per must be 'network', 'stage', 'role' or 'site', got {self.per!r}")
        if self.per != "network" and len(self.placements) != 1:
            raise SpaceError(
                f"with activation_per = {self.per!r} placement must be one value, which says at which sites the "
                f"activations are chosen, got {self.placement.to_toml()!r}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All activations."""
        return tuple(self.activation.values() or ())

    @property
    def placements(self) -> tuple[str, ...]:
        """All placements."""
        return tuple(self.placement.values() or ())

    def others(self, rows: Sequence[Backbone]) -> tuple[str, ...]:
        """The activations that have a placement in some backbone: all but the network's own."""
        return tuple(name for name in self.names if any(not _is_own(name, row) for row in rows))

    def check(self, row: Backbone) -> None:
        """Refuse placements that select nothing of a backbone, and options that an activation cannot have.

        Raises:
            LeniSearchError: a PlacementError, ActivationError or SpaceError.
        """
        for placement in map(Placement.parse, self.placements):
            if self.others([row]):
                placement.select(row.sites)
        known = {name: activation_row(name) for name in self.names}
        for activation, part in self.given.items():
            if activation not in known:
                raise SpaceError(
                    f"options.{activation}: the space does not have this activation; it has {', '.join(known)}"
                )
            for name, values in part.items():
                ends = (values.low, values.high) if isinstance(values, Range) else ()
                for value in values.values() or ends:
                    known[activation].check({name: value})

    def ask(self, row: Backbone) -> Generator[tuple[str, Dimension], Any, Parts]:
        """Ask for a backbone's activations; return them with their sites and options."""
        if self.per != "network":
            return (yield from self._ask_units(row))
        name = yield "activation", self.activation
        placement = "all" if _is_own(name, row) else (yield "placement", self.placement)
        if str(Placement.parse(placement)) == "none":
            name, placement = row.plain, "all"
        return (Assigned(name, placement, (yield from self._ask_options(name))),)

    def _ask_units(self, row: Backbone) -> Generator[tuple[str, Dimension], Any, Parts]:
        places: dict[str, list[int]] = {}
        for label, unit in self.units(row).items():
            name = yield f"activation.{label}", self.activation
            places.setdefault(name, []).extend(unit)
        parts = []
        for name, chosen in places.items():
            options = yield from self._ask_options(name)
            if changed := [place for place in chosen if not has_already(row.sites[place], name)]:
                parts.append(Assigned(name, placement_of(row.sites, changed), options))
        return tuple(parts) or (Assigned(row.plain),)

    def _ask_options(self, activation: str) -> Generator[tuple[str, Dimension], Any, tuple[tuple[str, Any], ...]]:
        options = []
        for name, values in self.given.get(activation, {}).items():
            options.append((name, (yield f"{activation}.{name}", values)))
        return tuple(options)

    def units(self, row: Backbone) -> dict[str, tuple[int, ...]]:
        """The sites that get one activation together, by label: 1, 2, ... of stages, a role, or a site's name."""
        found: dict[str, list[int]] = {}
        for place in sorted(Placement.parse(self.placements[0]).select(row.sites)):
            site = row.sites[place]
            label = {"stage": str(site.stage), "role": site.role, "site": site.name}[self.per]
            found.setdefault(label, []).append(place)
        return {label: tuple(places) for label, places in found.items()}

    @staticmethod
    def _changes_nothing(name: str, row: Backbone, places: Sequence[int]) -> bool:
        """Whether these sites have the activation by themselves."""
        return all(has_already(row.sites[place], name) for place in places)

    def dimensions(self, rows: Sequence[Backbone]) -> dict[str, Dimension]:
        """The dimensions by name."""
        found: dict[str, Dimension] = {}
        if self.per == "network":
            found["activation"] = self.activation
            if self.others(rows):
                found["placement"] = self.placement
        else:
            found = {f"activation.{label}": self.activation for row in rows for label in self.units(row)}
        for activation, part in self.given.items():
            found |= {f"{activation}.{name}": values for name, values in part.items()}
        return found

    def condition(self, name: str, rows: Sequence[Backbone]) -> str:
        """On which condition a dimension exists."""
        first, _, label = name.partition(".")
        if name == "placement":
            plain = dict.fromkeys(each for each in self.names if each not in self.others(rows))
            return f"activation is not {' or '.join(plain) or 'relu'}"
        if first == "activation" and label:
            having = [row.name for row in rows if label in self.units(row)]
            return "" if len(having) == len(rows) else f"backbone is {' or '.join(having)}"
        if not label:
            return ""
        return f"activation is {first}" if self.per == "network" else f"any activation is {first}"

    def answers(self, row: Backbone, parts: Parts) -> Callable[[str, Dimension], Any]:
        """What a candidate answers to each dimension; None where it has no answer that the dimension holds."""
        options = {part.activation: dict(part.options) for part in parts}
        first = parts[0]
        name, placement = first.activation, first.placement
        own = next((each for each in self.names if _is_own(each, row)), None)
        if self.per == "network" and _is_own(name, row):
            others = self.others([row])
            name, placement = (own, "all") if own else (others[0] if others else name, "none")

        def answer(asked: str, values: Dimension) -> Any:
            word, _, label = asked.partition(".")
            if asked == "placement":  # a choice may be written in another order than the canonical one
                listed = values.values() or ()
                return next((text for text in listed if str(Placement.parse(text)) == placement), None)
            if asked == "activation":
                return name if values.contains(name) and len(parts) == 1 else None
            if word == "activation":
                return self._unit_answer(row, parts, label)
            value = options.get(word, {}).get(label, _first(values) if self.per != "network" else None)
            return value if values.contains(value) else None

        return answer

    def _unit_answer(self, row: Backbone, parts: Parts, label: str) -> str | None:
        """The activation of all sites of a unit; None if they have not one, or none of the space."""
        unit = self.units(row).get(label, ())
        at = {place: part.activation for part in parts for place in Placement.parse(part.placement).select(row.sites)}

        def effect(name: str, place: int) -> str:
            return OWN if has_already(row.sites[place], name) else name

        found = [effect(at.get(place, OWN), place) for place in unit]
        return next((name for name in self.names if found == [effect(name, place) for place in unit]), None)

    def count(self, row: Backbone) -> int:
        """How many different assignments a backbone can have, of dimensions that can be listed."""
        if self.per == "network":
            placements = {str(Placement.parse(text)) for text in self.placements}
            others = self.others([row])
            kinds = sum(len(placements - {"none"}) * self._recipes(name) for name in others)
            return kinds + (1 if len(others) < len(self.names) or "none" in placements else 0)
        ways: Counter[frozenset[str]] = Counter({frozenset(): 1})
        for unit in self.units(row).values():
            choices = {OWN if self._changes_nothing(name, row, unit) else name for name in self.names}
            after: Counter[frozenset[str]] = Counter()
            for used, number in ways.items():
                for name in choices:
                    after[used if name == OWN else used | {name}] += number
            ways = after
        return sum(number * math.prod(map(self._recipes, used)) for used, number in ways.items())

    def _recipes(self, activation: str) -> int:
        """How many combinations of options an activation has."""
        return math.prod(len(values.values() or ()) for values in self.given.get(activation, {}).values())


def _is_own(name: str, row: Backbone) -> bool:
    """Whether an activation is what a backbone has by itself at all of its sites."""
    return name in (OWN, row.plain)


def _first(values: Dimension) -> Any:
    """A value of a dimension that has no part in the candidate."""
    listed = values.values()
    return listed[0] if listed else getattr(values, "low", None)
