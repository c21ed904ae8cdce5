"""A search space: which candidates there are, asked dimension by dimension of an Optuna trial.

It is conditional. A placement exists only where the activation is not ReLU (ReLU elsewhere is ReLU everywhere), an
activation's own options only where that activation was chosen, and a width per stage only as far as the backbone has
stages. One walk through these conditions (`_walk`) serves suggesting, listing and finding a candidate's parameters.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from optuna.distributions import BaseDistribution

from leni import registry
from leni.errors import CandidateError, LeniSearchError, SpaceError
from leni.placement import Placement
from spaces.backbones import backbone
from spaces.candidate import Candidate
from spaces.dimensions import Dimension, Range, dimension
from spaces.walk import Walk, WalkedSpace, run_walk

__all__ = ["SearchSpace"]

PLAIN = "relu"


@dataclass(frozen=True)
class SearchSpace(WalkedSpace[Candidate]):
    """A space of candidates; each field is a dimension in any form that `spaces.dimension` reads.

    Attributes:
        name: what the space is called.
        backbone: names of backbones.
        activation: names of activations.
        placement: where an activation other than ReLU goes.
        width: ratio of the backbone's full width, in (0, 1].
        width_per: "network" for one ratio, "stage" for one ratio a stage.
        lr_factor: on the recipe's learning rate; a fair comparison gives every activation its own.
        options: by activation, its own options that are searched; the others keep their defaults.
        description: one sentence.

    Raises:
        SpaceError: a dimension cannot be read, or holds a value that no candidate can have.
        LeniSearchError: its subclass for the value, a PlacementError, InfeasibleWidth, ActivationError or
            CandidateError, where it is none that the dimension can have.

    Example:
        >>> space = SearchSpace("mine", "resnet8", ["relu", "leni"], ["all", "inner"], [0.5, 1.0], lr_factor=1.0)
        >>> len(list(space.candidates()))
        6
    """

    name: str
    backbone: Any
    activation: Any
    placement: Any = "all"
    width: Any = 1.0
    width_per: str = "network"
    lr_factor: Any = 1.0
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        for name in ("backbone", "activation", "placement", "width", "lr_factor"):
            object.__setattr__(self, name, dimension(getattr(self, name), name))
        for name in ("name", "description", "width_per"):
            if not isinstance(getattr(self, name), str):
                raise SpaceError(f"{name} must be a text, got {getattr(self, name)!r}")
        if self.width_per not in ("network", "stage"):
            raise SpaceError(f"width_per must be 'network' or 'stage', got {self.width_per!r}")
        if not isinstance(self.options, Mapping) or not all(
            isinstance(part, Mapping) for part in self.options.values()
        ):
            raise SpaceError(f"options must be tables by activation, got {self.options!r}")
        options = {
            activation: {name: dimension(value, f"options.{activation}.{name}") for name, value in part.items()}
            for activation, part in self.options.items()
        }
        object.__setattr__(self, "options", options)
        self._check()

    def _check(self) -> None:
        """Every value of every dimension by itself, so that a mistake is found before the first trial."""
        for name in ("backbone", "activation", "placement"):
            if self._listed(name) is None or not all(isinstance(value, str) for value in self._listed(name) or ()):
                raise SpaceError(f"{name} must be a name or a list of names, got {getattr(self, name).to_toml()!r}")
        for row in map(backbone, self._listed("backbone") or ()):
            for ratio in _ends(self.width):
                if isinstance(ratio, bool) or not isinstance(ratio, (int, float)):
                    raise SpaceError(f"width must be a number in (0, 1], got {ratio!r}")
                row.widths(float(ratio))
            for placement in map(Placement.parse, self._listed("placement") or ()):
                if self._others():
                    placement.select(row.sites)
        for factor in _ends(self.lr_factor):
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor <= 0:
                raise SpaceError(f"lr_factor must be a number above 0, got {factor!r}")
        rows = {name: registry.get(name) for name in self._listed("activation") or ()}
        for activation, part in self.options.items():
            if activation not in rows:
                raise SpaceError(
                    f"options.{activation}: the space does not have this activation; it has {', '.join(rows)}"
                )
            for name, values in part.items():
                for value in values.values() or _ends(values):
                    rows[activation].check({name: value})

    def _listed(self, name: str) -> tuple[Any, ...] | None:
        """All values of a dimension."""
        values: tuple[Any, ...] | None = getattr(self, name).values()
        return values

    def _others(self) -> tuple[str, ...]:
        """The activations that have a placement: all but ReLU."""
        return tuple(name for name in self._listed("activation") or () if name != PLAIN)

    def _walk(self) -> Walk[Candidate]:
        """Ask for one dimension after another, each on condition of the answers before; return the candidate."""
        row = backbone((yield "backbone", self.backbone))
        if self.width_per == "stage":
            ratios = []
            for stage in range(len(row.full_widths)):
                ratios.append((yield f"width.{stage + 1}", self.width))
        else:
            ratios = [(yield "width", self.width)]
        activation = yield "activation", self.activation
        placement = "all" if activation == PLAIN else (yield "placement", self.placement)
        if str(Placement.parse(placement)) == "none":
            activation, placement = PLAIN, "all"
        options = {}
        for name, values in self.options.get(activation, {}).items():
            options[name] = yield f"{activation}.{name}", values
        factor = yield "lr_factor", self.lr_factor
        return Candidate(row.name, row.widths(*ratios), activation, placement, tuple(options.items()), factor)

    @property
    def size(self) -> int | None:
        """How many candidates there are, without listing them; None where there is no end to them."""
        if any(values.values() is None for values in self.dimensions().values()):
            return None
        ratios, factors = self.width.values(), self.lr_factor.values()
        widths = 0
        for row in map(backbone, self._listed("backbone") or ()):
            distinct = {row.widths(ratio) for ratio in ratios}
            if self.width_per == "stage":
                widths += math.prod(len(set(stage)) for stage in zip(*distinct, strict=True))
            else:
                widths += len(distinct)
        placements = {str(Placement.parse(text)) for text in self._listed("placement") or ()}
        kinds = 0
        for activation in self._others():
            options = self.options.get(activation, {}).values()
            kinds += len(placements - {"none"}) * math.prod(len(values.values() or ()) for values in options)
        if self.activation.contains(PLAIN) or "none" in placements:
            kinds += 1
        return widths * kinds * len(factors)

    def dimensions(self) -> dict[str, Dimension]:
        """Every dimension that some candidate has, by the name it has in an Optuna study."""
        stages = max(len(backbone(name).full_widths) for name in self._listed("backbone") or ())
        widths = [f"width.{stage + 1}" for stage in range(stages)] if self.width_per == "stage" else ["width"]
        found: dict[str, Dimension] = {"backbone": self.backbone, **dict.fromkeys(widths, self.width)}
        found["activation"] = self.activation
        if self._others():
            found["placement"] = self.placement
        for activation, part in self.options.items():
            found |= {f"{activation}.{name}": values for name, values in part.items()}
        return {**found, "lr_factor": self.lr_factor}

    def deciders(self) -> frozenset[str]:
        """The backbone has stages, an activation has a placement and options, and the placement may be none."""
        return frozenset({"backbone", "activation", "placement"})

    def columns(self) -> tuple[str, ...]:
        """Columns that its candidates have in records; options that are named alike share one."""
        options = [name for activation in self._listed("activation") or () for name in registry.get(activation).options]
        return tuple(dict.fromkeys(["backbone", "widths", "activation", "placement", *options, "lr_factor"]))

    def parameters(self, candidate: Candidate) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        """The answers that lead to a candidate, as an Optuna trial holds them.

        Returns:
            Parameters and distributions by name, or None where the space does not hold the candidate.
        """
        wanted = self._answers(candidate)
        asked: dict[str, Dimension] = {}

        def answer(name: str, values: Dimension) -> Any:
            value = wanted(name, values)
            asked[name] = values
            if value is None:
                raise CandidateError(f"{name} has no value for this candidate")
            answers[name] = value
            return value

        answers: dict[str, Any] = {}
        try:
            if run_walk(self._walk(), answer) != candidate:
                return None
        except LeniSearchError:
            return None
        distributions = {name: found for name, values in asked.items() if (found := values.distribution())}
        return {name: answers[name] for name in distributions}, distributions

    def _answers(self, candidate: Candidate) -> Callable[[str, Dimension], Any]:
        """What the candidate answers to each dimension; None where it has no answer that the dimension holds."""
        row = backbone(candidate.backbone)
        options = dict(candidate.options)
        activation, placement = candidate.activation, candidate.placement
        if activation == PLAIN and self._others() and not self.activation.contains(PLAIN):
            activation, placement = self._others()[0], "none"  # another activation nowhere is ReLU everywhere

        def answer(name: str, values: Dimension) -> Any:
            if name == "width":
                return _ratio(values, candidate.widths, row.full_widths)
            if name.startswith("width."):
                stage = slice(int(name.partition(".")[2]) - 1, int(name.partition(".")[2]))
                return _ratio(values, candidate.widths[stage], row.full_widths[stage])
            if name == "placement":  # a choice may be written in another order than the canonical one
                return next((text for text in values.values() or () if str(Placement.parse(text)) == placement), None)
            if name == "activation":
                value: Any = activation
            else:
                value = options[name.partition(".")[2]] if "." in name else getattr(candidate, name)
            return value if values.contains(value) else None

        return answer

    def references(self) -> tuple[Candidate, ...]:
        """The anchors of a front: ReLU everywhere and LENI everywhere, at full width, with their defaults.

        The learning rate's factor is the space's nearest to 1.
        """
        row = backbone((self._listed("backbone") or ())[0])
        factors = self._listed("lr_factor") or (min(max(1.0, self.lr_factor.low), self.lr_factor.high),)
        factor = min(factors, key=lambda value: abs(value - 1.0))
        anchors = []
        for activation in (PLAIN, "leni"):
            fixed = {name: values.values()[0] for name, values in self.options.get(activation, {}).items()
                     if values.values() and len(values.values()) == 1}  # fmt: skip
            anchors.append(Candidate(row.name, row.full_widths, activation, "all", tuple(fixed.items()), factor))
        return tuple(anchors)

    def fix(self, values: Mapping[str, Any]) -> SearchSpace:
        """The same space with some dimensions held constant.

        Args:
            values: by dimension name, `lr_factor`, `width`, `leni.init_std`.

        Raises:
            SpaceError: the space has no such dimension, or it is the width of one stage alone.
            LeniSearchError: no candidate can have the value; as the class.
        """
        space = self
        for name, value in values.items():
            activation, dot, option = name.partition(".")
            if not dot and name in {item.name for item in fields(self)} - {"name", "options", "description"}:
                kept = space.options
                if name == "activation":
                    chosen = dimension(value, name).values() or ()
                    kept = {key: part for key, part in kept.items() if key in chosen}
                space = replace(space, **{name: value}, options=kept)
            elif dot and activation in (self._listed("activation") or ()):
                part = {**space.options.get(activation, {}), option: value}
                space = replace(space, options={**space.options, activation: part})
            elif name in self.dimensions():
                raise SpaceError(f"space {self.name!r}: {name} cannot be fixed alone; fix width, for all stages")
            else:
                near = difflib.get_close_matches(name, self.dimensions(), n=3, cutoff=0.4) or list(self.dimensions())
                raise SpaceError(f"space {self.name!r} has no dimension {name!r}; near names are {', '.join(near)}")
        return space

    def to_dict(self) -> dict[str, Any]:
        """The space as TOML has it."""
        table: dict[str, Any] = {"name": self.name}
        if self.description:
            table["description"] = self.description
        for name in ("backbone", "activation", "placement", "width"):
            table[name] = getattr(self, name).to_toml()
        table |= {"width_per": self.width_per, "lr_factor": self.lr_factor.to_toml()}
        if self.options:
            table["options"] = {
                activation: {name: values.to_toml() for name, values in part.items()}
                for activation, part in self.options.items()
            }
        return table

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> SearchSpace:
        """A space from its TOML table.

        Raises:
            SpaceError: a key is unknown or missing, or a dimension cannot be read.
        """
        names = [item.name for item in fields(cls)]
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(names)}"
                raise SpaceError(f"a search space has no key {key!r}; {hint}")
        if missing := [name for name in ("backbone", "activation") if name not in table]:
            raise SpaceError(f"a search space needs {' and '.join(missing)}")
        return cls(**{"name": "custom", **table})

    def rows(self) -> list[tuple[str, str, str]]:
        """The space as a table: dimension, values, on which condition it exists."""
        rows = []
        for name, values in self.dimensions().items():
            condition = ""
            if name == "placement":
                condition = "activation is not relu"
            elif name.startswith("width."):
                condition = self._condition(int(name.partition(".")[2]))
            elif "." in name:
                condition = f"activation is {name.partition('.')[0]}"
            rows.append((name, str(values), condition))
        return rows

    def _condition(self, stage: int) -> str:
        """Where a stage counted from 1 exists, if not in every backbone."""
        listed = self._listed("backbone") or ()
        having = [name for name in listed if len(backbone(name).full_widths) >= stage]
        return "" if len(having) == len(listed) else f"backbone is {' or '.join(having)}"


def _ends(values: Dimension) -> tuple[Any, ...]:
    """The values to check: all choices, or the two ends of a range."""
    return (values.low, values.high) if isinstance(values, Range) else values.values() or ()


def _ratio(values: Dimension, widths: tuple[int, ...], full: tuple[int, ...]) -> float | None:
    """A ratio of the dimension that gives `widths` channels of `full`: the first, or the middle where it is continuous.

    A stage has w channels of f at ratios from (w - 0.5) / f up to (w + 0.5) / f, the last excluded.
    """
    listed = values.values()
    if listed is None and isinstance(values, Range):
        low = max(values.low, *((width - 0.5) / most for width, most in zip(widths, full, strict=True)))
        high = min(values.high, *((width + 0.5) / most for width, most in zip(widths, full, strict=True)))
        listed = ((low + high) / 2, low) if low <= high else ()
    return next((ratio for ratio in listed or () if _channels(ratio, full) == widths), None)


def _channels(ratio: float, full: tuple[int, ...]) -> tuple[int, ...]:
    """Channels of stages at a ratio, rounded as `Backbone.widths` does."""
    return tuple(int(most * ratio + 0.5) for most in full)
