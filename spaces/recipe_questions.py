"""What a search space asks about the training recipe: the dimensions of its table [training]."""

from __future__ import annotations

import difflib
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from leni.errors import SpaceError
from spaces.dimensions import Dimension, Range, dimension
from spaces.recipe_keys import CHOICES, OWNED, OWNERS, SEARCHED

__all__ = ["RecipeQuestions"]

Training = tuple[tuple[str, Any], ...]
PREFIX = "training."


@dataclass(frozen=True)
class RecipeQuestions:
    """Dimensions of the recipe: `training.lr`, and `training.adamw.lr` for one that is searched beside adamw alone.

    A dimension that belongs to certain optimizers, schedules or policies exists only where one of them was chosen.

    Attributes:
        flat: dimensions by key.
        beside: by a name of an optimizer, schedule or policy the dimensions that are searched beside it alone.
    """

    flat: Mapping[str, Dimension] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Dimension]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Any) -> RecipeQuestions:
        """The dimensions of a table: keys with what `spaces.dimension` reads, and tables of such by owner's value.

        Raises:
            SpaceError: a key is unknown or has no optimizer, schedule or policy to belong to, or a dimension cannot be
                read.
        """
        if not isinstance(table, Mapping):
            raise SpaceError(f"training must be a table of the recipe's keys, got {table!r}")
        flat: dict[str, Dimension] = {}
        beside: dict[str, dict[str, Dimension]] = {}
        for name, value in table.items():
            if name in SEARCHED:
                flat[name] = dimension(value, f"{PREFIX}{name}")
                _check_choices(name, flat[name])
            elif name in _OWNER_OF and isinstance(value, Mapping):
                beside[name] = {}
                for key, part in value.items():
                    _check_key(key, f"{PREFIX}{name}.{key}")
                    beside[name][key] = dimension(part, f"{PREFIX}{name}.{key}")
            else:
                _check_key(name, f"{PREFIX}{name}")
        found = cls(flat, beside)
        found._check_owners()
        return found

    def _check_owners(self) -> None:
        for key, owned in OWNED.items():
            values = self._values(owned.owner)
            if key in self.flat and values and not set(values) & set(owned.defaults):
                having = ", ".join(owned.defaults)
                raise SpaceError(f"{PREFIX}{key} belongs to {having}, and the space has none of them")
        for name, part in self.beside.items():
            owner = _OWNER_OF[name]
            if name not in self._values(owner):
                raise SpaceError(f"{PREFIX}{name} needs {name!r} among the choices of {PREFIX}{owner}")
            for key in part:
                if key not in OWNED or name not in OWNED[key].defaults or OWNED[key].owner != owner:
                    raise SpaceError(f"{PREFIX}{name}.{key}: {name} has no option {key!r}")

    def _values(self, owner: str) -> tuple[Any, ...]:
        return (self.flat[owner].values() or ()) if owner in self.flat else ()

    def ask(self) -> Generator[tuple[str, Dimension], Any, Training]:
        """Ask for the recipe's values, the ones that others depend on first; return them in order of name."""
        chosen: dict[str, Any] = {}
        for owner in OWNERS:
            if owner in self.flat:
                chosen[owner] = yield f"{PREFIX}{owner}", self.flat[owner]
        for name, key, values in self._asked(chosen):
            chosen[key] = yield name, values
        return tuple(sorted(chosen.items()))

    def _asked(self, chosen: Mapping[str, Any]) -> list[tuple[str, str, Dimension]]:
        """Name, key and values of the dimensions that exist beside a choice of owners, the owners left out."""
        special = {
            key: (f"{PREFIX}{chosen[owner]}.{key}", key, values)
            for owner in OWNERS
            if owner in chosen
            for key, values in self.beside.get(chosen[owner], {}).items()
        }
        found = []
        for key, values in self.flat.items():
            owned = OWNED.get(key)
            absent = owned is not None and owned.owner in chosen and chosen[owned.owner] not in owned.defaults
            if key not in OWNERS and key not in special and not absent:
                found.append((f"{PREFIX}{key}", key, values))
        return [*found, *special.values()]

    def _by_owners(self) -> list[list[tuple[str, str, Dimension]]]:
        """What is asked beside each combination of the owners' choices."""
        owners = [owner for owner in OWNERS if owner in self.flat]
        combinations = product(*(self._values(owner) for owner in owners))
        return [self._asked(dict(zip(owners, chosen, strict=True))) for chosen in combinations]

    def count(self) -> int:
        """How many recipes there are; every dimension has to be of finitely many values."""
        return sum(math.prod(len(values.values() or ()) for _, _, values in asked) for asked in self._by_owners())

    def dimensions(self) -> dict[str, Dimension]:
        """The dimensions that some recipe has, by the name that they have in an Optuna study."""
        owners = {f"{PREFIX}{owner}": self.flat[owner] for owner in OWNERS if owner in self.flat}
        return owners | {name: values for asked in self._by_owners() for name, _, values in asked}

    def deciders(self) -> frozenset[str]:
        """The dimensions that decide which others exist."""
        return frozenset(f"{PREFIX}{owner}" for owner in OWNERS if owner in self.flat)

    def names(self) -> tuple[str, ...]:
        """The keys that some recipe has a value of."""
        return tuple(dict.fromkeys([*self.flat, *(key for part in self.beside.values() for key in part)]))

    @staticmethod
    def asks(name: str) -> bool:
        """Whether a dimension is of the recipe, by its name."""
        return name.startswith(PREFIX)

    @staticmethod
    def answer(name: str, values: Dimension, training: Training) -> Any:
        """What a candidate's recipe answers to a dimension; None where the dimension does not hold it."""
        value = dict(training).get(name.rpartition(".")[2])
        return value if value is not None and values.contains(value) else None

    @staticmethod
    def middle(name: str, values: Dimension) -> Any:
        """A value for the space's references: the first choice, or the middle of a range, of a log range in logs."""
        listed = values.values()
        if not isinstance(values, Range):
            return (listed or (None,))[0]
        centre = math.sqrt(values.low * values.high) if values.log else (values.low + values.high) / 2
        return centre if listed is None else min(listed, key=lambda value: abs(value - centre))

    def with_fixed(self, name: str, value: Any) -> dict[str, Any]:
        """The table with one dimension held constant.

        Raises:
            SpaceError: there is no such dimension.
        """
        if name not in self.dimensions():
            near = difflib.get_close_matches(name, self.dimensions(), n=3, cutoff=0.4) or list(self.dimensions())
            raise SpaceError(f"the space has no dimension {name!r}; near names are {', '.join(near) or 'none'}")
        table = self.to_dict()
        beside, _, key = name.removeprefix(PREFIX).rpartition(".")
        (table[beside] if beside else table)[key] = value
        if key in OWNERS:
            gone = {other for other in table if _OWNER_OF.get(other) == key and other != value}
            kept = {other: part for other, part in table.items() if other not in gone}
            return {
                other: part
                for other, part in kept.items()
                if other not in OWNED or OWNED[other].owner != key or value in OWNED[other].defaults
            }
        return table

    def to_dict(self) -> dict[str, Any]:
        """The table as TOML has it."""
        table: dict[str, Any] = {key: values.to_toml() for key, values in self.flat.items()}
        return table | {
            name: {key: values.to_toml() for key, values in part.items()} for name, part in self.beside.items()
        }

    def condition(self, name: str) -> str:
        """When a dimension exists, in words; "" for always."""
        beside, _, key = name.removeprefix(PREFIX).rpartition(".")
        if beside:
            return f"{_OWNER_OF[beside]} {beside}"
        if key not in OWNED or OWNED[key].owner not in self.flat:
            return ""
        owner = OWNED[key].owner
        having = [value for value in self._values(owner) if value in OWNED[key].defaults]
        own = [value for value in having if key not in self.beside.get(value, {})]
        return "" if own == list(self._values(owner)) else f"{owner} {', '.join(map(str, own))}"


_OWNER_OF: Mapping[str, str] = {value: owner for owner in OWNERS for value in CHOICES[owner] if value != "none"}


def _check_key(key: str, name: str) -> None:
    if key not in SEARCHED:
        near = difflib.get_close_matches(key, SEARCHED, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(SEARCHED)}"
        raise SpaceError(f"{name}: the recipe has no key {key!r} that can be searched; {hint}")


def _check_choices(key: str, values: Dimension) -> None:
    """A key whose value is a name has names that are known."""
    if key in CHOICES:
        for value in values.values() or (None,):
            if value not in CHOICES[key]:
                raise SpaceError(f"{PREFIX}{key} must be of {', '.join(CHOICES[key])}, got {value!r}")
