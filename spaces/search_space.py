"""A search space: which candidates there are, asked dimension by dimension of an Optuna trial.

It is conditional. A placement exists only where the activation is not the network's own (ReLU elsewhere is ReLU
everywhere), an activation's own options only where that activation was chosen, and a width per stage only as far as the
backbone has stages, and an optimizer's own options beside it alone. One walk through these conditions (`_walk`) serves
suggesting, listing and finding a candidate's parameters; widths (width_questions.py), activations
(activation_questions.py) and the training recipe (recipe_questions.py) are parts of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution

from leni.errors import CandidateError, LeniSearchError, SpaceError
from spaces.activation_questions import ActivationQuestions
from spaces.assigned import activation_row
from spaces.backbones import BACKBONES, Backbone, backbone
from spaces.backbones.network_names import NetworkName
from spaces.candidate import Candidate
from spaces.dimensions import Choice, Dimension, dimension
from spaces.recipe_keys import TRAINING
from spaces.recipe_questions import RecipeQuestions
from spaces.walk import Walk, WalkedSpace, run_walk
from spaces.width_questions import WidthQuestions

__all__ = ["SearchSpace"]

DIMENSIONS = ("backbone", "activation", "placement", "width", "lr_factor")
_TABLES = {"name", "options", "description", "network", "training"}  # fields that are no dimension
TEXTS = ("name", "description", "width_per", "activation_per")


@dataclass(frozen=True)
class SearchSpace(WalkedSpace[Candidate]):
    """A space of candidates; each field is a dimension in any form that `spaces.dimension` reads.

    Attributes:
        name: what the space is called.
        backbone: names of backbones, `resnet8`, or of networks, `torchvision:resnet18`.
        activation: names of activations; `own` for what a network has by itself.
        placement: where an activation other than the network's own goes.
        width: ratio of the backbone's full width, in (0, 1]; or, above 1, channels of the widest layers.
        width_per: "network" for one ratio, "stage" for one ratio per stage, "group" for one a group of layers.
        lr_factor: on the recipe's learning rate; a fair comparison gives every activation its own.
        options: by activation, its own options that are searched; the others keep their defaults.
        description: one sentence.
        round_to: what channels are a multiple of; None for 1 in backbones written for search, 8 in large networks.
        activation_per: "network" for one activation, "stage", "role" or "site" for one at each of these.
        network: options for the factories of all networks, which become a part of their names.
        training: keys of the training recipe that are searched (`spaces.recipe_questions`).

    Raises:
        SpaceError: a dimension cannot be read, or holds a value that no candidate can have.
        LeniSearchError: its subclass for the value, a PlacementError, InfeasibleWidth, ActivationError, NetworkError or
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
    round_to: int | None = None
    activation_per: str = "network"
    network: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in DIMENSIONS:
            object.__setattr__(self, name, dimension(getattr(self, name), name))
        for name in TEXTS:
            if not isinstance(getattr(self, name), str):
                raise SpaceError(f"{name} must be a text, got {getattr(self, name)!r}")
        if not isinstance(self.options, Mapping) or not all(
            isinstance(part, Mapping) for part in self.options.values()
        ):
            raise SpaceError(f"options must be tables by activation, got {self.options!r}")
        options = {
            activation: {name: dimension(value, f"options.{activation}.{name}") for name, value in part.items()}
            for activation, part in self.options.items()
        }
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "training", RecipeQuestions.of(self.training).to_dict())
        self._check()

    def _check(self) -> None:
        """Every value of every dimension by itself, so that a mistake is found before the first trial."""
        for name in ("backbone", "activation", "placement"):
            if self._listed(name) is None or not all(isinstance(value, str) for value in self._listed(name) or ()):
                raise SpaceError(f"{name} must be a name or a list of names, got {getattr(self, name).to_toml()!r}")
        self._name_networks()
        for row in self.rows_of_backbones:
            self._widths.check(row)
            self._activations.check(row)
        for factor in self.lr_factor.values() or (self.lr_factor.low, self.lr_factor.high):
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor <= 0:
                raise SpaceError(f"lr_factor must be a number above 0, got {factor!r}")

    def _name_networks(self) -> None:
        """Write the options of networks into their names, so that a candidate has them."""
        if not isinstance(self.network, Mapping):
            raise SpaceError(f"network must be a table of options for the networks' factories, got {self.network!r}")
        names = self._listed("backbone") or ()
        ours = [name for name in names if name in BACKBONES]
        if self.network and len(ours) == len(names):
            raise SpaceError(f"network has options for factories, and the backbone {ours[0]} has none")
        named = tuple(
            name if name in BACKBONES or ":" not in name else str(NetworkName.parse(name).with_options(self.network))
            for name in names
        )
        object.__setattr__(self, "backbone", Choice(tuple(dict.fromkeys(named))))
        object.__setattr__(self, "network", {})

    @cached_property
    def _widths(self) -> WidthQuestions:
        return WidthQuestions(self.width, self.width_per, self.round_to)

    @cached_property
    def _activations(self) -> ActivationQuestions:
        return ActivationQuestions(self.activation, self.placement, self.activation_per, self.options)

    @cached_property
    def _recipes(self) -> RecipeQuestions:
        return RecipeQuestions.of(self.training)

    @property
    def rows_of_backbones(self) -> tuple[Backbone, ...]:
        """The backbones, in the order of their names in the space."""
        return tuple(map(backbone, self._listed("backbone") or ()))

    def _listed(self, name: str) -> tuple[Any, ...] | None:
        """All values of a dimension."""
        values: tuple[Any, ...] | None = getattr(self, name).values()
        return values

    def _walk(self) -> Walk[Candidate]:
        """Ask for one dimension after another, each on condition of the answers before; return the candidate."""
        row = backbone((yield "backbone", self.backbone))
        widths = yield from self._widths.ask(row)
        first, *others = yield from self._activations.ask(row)
        factor = yield "lr_factor", self.lr_factor
        training = yield from self._recipes.ask()
        return Candidate(
            row.name, widths, first.activation, first.placement, first.options, factor, tuple(others), training
        )

    @property
    def size(self) -> int | None:
        """How many candidates there are, without listing them; None where there are infinitely many."""
        if any(values.values() is None for values in self.dimensions().values()):
            return None
        networks = sum(self._widths.count(row) * self._activations.count(row) for row in self.rows_of_backbones)
        return networks * len(self._listed("lr_factor") or ()) * self._recipes.count()

    def dimensions(self) -> dict[str, Dimension]:
        """Every dimension that some candidate has, by the name it has in an Optuna study."""
        rows = self.rows_of_backbones
        return {
            "backbone": self.backbone,
            **self._widths.dimensions(rows),
            **self._activations.dimensions(rows),
            "lr_factor": self.lr_factor,
            **self._recipes.dimensions(),
        }

    def deciders(self) -> frozenset[str]:
        """The backbone has stages, an activation has a placement and options, the placement may be none, and an
        optimizer, schedule or policy has options."""
        activations = (name for name in self.dimensions() if name.partition(".")[0] == "activation")
        return frozenset({"backbone", "placement", *activations}) | self._recipes.deciders()

    def columns(self) -> tuple[str, ...]:
        """Columns that its candidates have in records; options that are named alike share one."""
        options = [name for activation in self._activations.names for name in activation_row(activation).options]
        recipe = [f"{TRAINING}{key}" for key in self._recipes.names()]
        return tuple(dict.fromkeys(["backbone", "widths", "activation", "placement", *options, "lr_factor", *recipe]))

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
        of_activations = self._activations.answers(row, candidate.parts)

        def answer(name: str, values: Dimension) -> Any:
            if self._widths.asks(name):
                return self._widths.answer(name, row, candidate.widths)
            if name in ("backbone", "lr_factor"):
                value = getattr(candidate, name)
                return value if values.contains(value) else None
            if self._recipes.asks(name):
                return self._recipes.answer(name, values, candidate.training)
            return of_activations(name, values)

        return answer

    def references(self) -> tuple[Candidate, ...]:
        """The anchors of a front: ReLU, or the network's own, everywhere, and LENI everywhere, at full width.

        The learning rate's factor is the space's nearest to 1; of a recipe that is searched they have the first choices
        and the middle of each range.
        """
        row = self.rows_of_backbones[0]
        factors = self._listed("lr_factor") or (min(max(1.0, self.lr_factor.low), self.lr_factor.high),)
        factor = min(factors, key=lambda value: abs(value - 1.0))
        training = run_walk(self._recipes.ask(), self._recipes.middle)
        anchors = []
        for activation in (row.plain, "leni") if row.sites else (row.plain,):
            fixed = {name: values.values()[0] for name, values in self.options.get(activation, {}).items()
                     if values.values() and len(values.values()) == 1}  # fmt: skip
            anchors.append(
                Candidate(row.name, row.full_widths, activation, "all", tuple(fixed.items()), factor, training=training)
            )
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
            if self._recipes.asks(name):
                space = replace(space, training=space._recipes.with_fixed(name, value))
            elif not dot and name in {item.name for item in fields(self)} - _TABLES:
                kept = space.options
                if name == "activation":
                    chosen = dimension(value, name).values() or ()
                    kept = {key: part for key, part in kept.items() if key in chosen}
                space = replace(space, **{name: value}, options=kept)
            elif dot and activation in self._activations.names:
                part = {**space.options.get(activation, {}), option: value}
                space = replace(space, options={**space.options, activation: part})
            elif name in self.dimensions():
                whole = "width, for all stages" if activation == "width" else "activation, for all of them"
                raise SpaceError(f"space {self.name!r}: {name} cannot be fixed alone; fix {whole}")
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
        if self.round_to is not None:
            table["round_to"] = self.round_to
        if self.activation_per != "network":
            table["activation_per"] = self.activation_per
        if self.options:
            table["options"] = {
                activation: {name: values.to_toml() for name, values in part.items()}
                for activation, part in self.options.items()
            }
        if self.training:
            table["training"] = self._recipes.to_dict()
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
        rows = self.rows_of_backbones
        return [
            (
                name,
                str(values),
                self._widths.condition(name, rows)
                if self._widths.asks(name)
                else self._recipes.condition(name)
                if self._recipes.asks(name)
                else self._activations.condition(name, rows),
            )
            for name, values in self.dimensions().items()
        ]
