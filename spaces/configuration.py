"""Spaces of anything else than our networks: named parameters, for a user's own evaluator.

name = "forest"
[parameters]
kind = ["extra", "random"]
depth = {low = 1, high = 32, log = true}
bootstrap = [true, false]
[when]
bootstrap = {kind = "random"}     # asked only where kind is "random"
[known]
nodes = "2**depth if kind == 'extra' else 3 * depth"   # known of every point before a trial
"""

from __future__ import annotations

import itertools
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.distributions import BaseDistribution

from leni.errors import CandidateError, LeniSearchError, SpaceError
from leni.near_names import did_you_mean
from spaces.dimensions import Dimension, dimension
from spaces.expressions import Expression
from spaces.walk import Walk, WalkedSpace, run_walk

__all__ = ["Configuration", "ParameterSpace", "check_name"]

Scalar = str | bool | int | float
LONGEST_NAME = 200  # characters; a database keeps 512 bytes
LISTED = 100_000  # points that are counted one by one where there are conditions


@dataclass(frozen=True)
class Configuration:
    """One point of a `ParameterSpace`, frozen and hashable.

    Attributes:
        values: sorted (name, value) pairs; a mapping is accepted. True and 1 are different values.

    Raises:
        CandidateError: a name that is no text, or a value that is no text, boolean or finite number.
    """

    values: tuple[tuple[str, Scalar], ...]

    def __post_init__(self) -> None:
        pairs = dict(self.values)
        for name, value in pairs.items():
            if not isinstance(name, str) or not isinstance(value, (str, bool, int, float)):
                raise CandidateError(f"a parameter is a name and a text, boolean or number, got {name!r}: {value!r}")
            if isinstance(value, float) and not math.isfinite(value):
                raise CandidateError(f"parameter {name} must be finite, got {value!r}")
        object.__setattr__(self, "values", tuple(sorted(pairs.items(), key=lambda pair: pair[0])))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def to_dict(self) -> dict[str, Any]:
        """{"parameters": {...}}: what tells it from a candidate of our networks."""
        return {"parameters": dict(self.values)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Configuration:
        """The point that `to_dict` gave.

        Raises:
            CandidateError: it is something else.
        """
        if not isinstance(values, Mapping) or set(values) != {"parameters"}:
            raise CandidateError(f"a configuration must be an object with parameters, got {values!r}")
        if not isinstance(values["parameters"], Mapping):
            raise CandidateError(f"parameters must be an object, got {values['parameters']!r}")
        return cls(tuple(values["parameters"].items()))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict())

    def columns(self) -> dict[str, Any]:
        """The parameters by name; records have them in columns of these names, where no name of ours is in the way."""
        return dict(self.values)


@dataclass(frozen=True)
class ParameterSpace(WalkedSpace[Configuration]):
    """A space of named parameters.

    Attributes:
        name: what the space is called.
        asked: a dimension by name, in any form that `spaces.dimension` reads; asked in this order.
        when: by parameter, the values that earlier ones must have for it to be asked: {"momentum": {"kind": "sgd"}}.
        description: one sentence.
        known: by name, what is known of a point before its trial, as an expression over the parameters
            (`spaces.expressions`): {"params": "width**2 * depth * 9"}.

    Raises:
        SpaceError: there is no parameter, a dimension or an expression cannot be read, or a condition names a
            parameter that is not asked before.
    """

    name: str
    asked: Mapping[str, Any]
    when: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    description: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.description, str):
            raise SpaceError(f"name and description must be texts, got {self.name!r} and {self.description!r}")
        if not isinstance(self.asked, Mapping) or not self.asked:
            raise SpaceError(f"parameters must be a table with at least one parameter, got {self.asked!r}")
        for name in self.asked:
            check_name(name, "a parameter's name")
        object.__setattr__(self, "asked", {name: dimension(value, name) for name, value in self.asked.items()})
        if not isinstance(self.when, Mapping) or not all(isinstance(part, Mapping) for part in self.when.values()):
            raise SpaceError(f"when must be a table of tables, got {self.when!r}")
        when = {name: {other: _listed(value) for other, value in part.items()} for name, part in self.when.items()}
        object.__setattr__(self, "when", when)
        self._check_conditions()
        if not isinstance(self.known, Mapping):
            raise SpaceError(f"known must be a table of expressions, got {self.known!r}")
        object.__setattr__(self, "known", {name: _expression(name, value) for name, value in self.known.items()})

    def _check_conditions(self) -> None:
        names = list(self.asked)
        for name, conditions in self.when.items():
            if name not in names:
                hint = did_you_mean(name, names, otherwise="there are")
                raise SpaceError(f"when.{name}: there is no such parameter; {hint}")
            for other, values in conditions.items():
                if other not in names[: names.index(name)]:
                    raise SpaceError(f"when.{name}: {other!r} must be a parameter that stands before {name}")
                for value in values:
                    if not self.asked[other].contains(value):
                        raise SpaceError(f"when.{name}: {other} cannot be {value!r}; it is {self.asked[other]}")

    def _walk(self) -> Walk[Configuration]:
        answers: dict[str, Any] = {}
        for name, values in self.asked.items():
            conditions = self.when.get(name, {}).items()
            if all(other in answers and _among(answers[other], listed) for other, listed in conditions):
                answers[name] = yield name, values
        return Configuration(tuple(answers.items()))

    def columns(self) -> tuple[str, ...]:
        """Columns that its points have in records: one a parameter."""
        return tuple(self.asked)

    def deciders(self) -> frozenset[str]:
        """The parameters that conditions name."""
        return frozenset(other for conditions in self.when.values() for other in conditions)

    def dimensions(self) -> dict[str, Dimension]:
        """Every parameter by name."""
        return dict(self.asked)

    @property
    def size(self) -> int | None:
        """How many points there are; None where there are infinitely many, or too many to count under conditions."""
        counts = [None if (values := part.values()) is None else len(values) for part in self.asked.values()]
        if None in counts:
            return None
        if not self.when:
            return math.prod(count or 0 for count in counts)
        counted = sum(1 for _ in itertools.islice(self.candidates(), LISTED + 1))
        return None if counted > LISTED else counted

    def parameters(self, point: Configuration) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        """Parameters and distributions that lead to a point, None where the space does not hold it."""
        given = dict(point.values)
        distributions: dict[str, BaseDistribution] = {}

        def answer(name: str, values: Dimension) -> Any:
            if name not in given or not values.contains(given[name]):
                raise CandidateError(f"{name} has no value for this point")
            if (found := values.distribution()) is not None:
                distributions[name] = found
            return given[name]

        try:
            if run_walk(self._walk(), answer) != point:
                return None
        except LeniSearchError:
            return None
        return {name: self.asked[name].parameter(given[name]) for name in distributions}, distributions

    def references(self) -> tuple[Configuration, ...]:
        """None: there is nothing that every such search is compared with."""
        return ()

    def fix(self, values: Mapping[str, Any]) -> ParameterSpace:
        """The same space with some parameters held constant.

        Raises:
            SpaceError: there is no such parameter, or it cannot have this value.
        """
        for name, value in values.items():
            if name not in self.asked:
                hint = did_you_mean(name, list(self.asked), otherwise="there are")
                raise SpaceError(f"space {self.name!r} has no dimension {name!r}; {hint}")
            if not self.asked[name].contains(value):
                raise SpaceError(f"space {self.name!r}: {name} cannot be {value!r}; it is {self.asked[name]}")
        asked: dict[str, Any] = {}
        when: dict[str, Any] = {}
        for name, part in self.asked.items():  # in order, so that what hangs on a parameter that is gone goes too
            conditions = {
                other: [value for value in listed if other not in values or _among(values[other], [value])]
                for other, listed in self.when.get(name, {}).items()
            }
            if all(other in asked and listed for other, listed in conditions.items()):
                asked[name] = values.get(name, part)
                when |= {name: conditions} if conditions else {}
        return replace(self, asked=asked, when=when)

    def to_dict(self) -> dict[str, Any]:
        """The space as TOML has it."""
        table: dict[str, Any] = {"name": self.name}
        if self.description:
            table["description"] = self.description
        table["parameters"] = {name: part.to_toml() for name, part in self.asked.items()}
        written = sorted(self.asked, key=lambda name: isinstance(table["parameters"][name], dict))
        if written != list(self.asked):  # TOML writers put tables last
            table["order"] = list(self.asked)
        if self.when:
            table["when"] = {name: {other: list(v) for other, v in part.items()} for name, part in self.when.items()}
        if self.known:
            table["known"] = {name: expression.text for name, expression in self.known.items()}
        return table

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> ParameterSpace:
        """A space from its TOML table.

        Raises:
            SpaceError: a key is unknown, an expression asks for a parameter that there is not, or as the class.
        """
        keys = ["name", "description", "parameters", "order", "when", "known"]
        for key in table:
            if key not in keys:
                hint = did_you_mean(key, keys, otherwise="there are")
                raise SpaceError(f"a space of parameters has no key {key!r}; {hint}")
        asked = table["parameters"]
        if (order := table.get("order")) is not None and isinstance(asked, Mapping):
            if not isinstance(order, (list, tuple)) or sorted(map(str, order)) != sorted(map(str, asked)):
                raise SpaceError(f"order must be a list of the parameters, each once, got {order!r}")
            asked = {name: asked[name] for name in order}
        found = cls(
            table.get("name", "custom"), asked, table.get("when", {}), table.get("description", ""),
            table.get("known", {}),
        )  # fmt: skip
        for expression in found.known.values():  # not at every construction: `fix` may leave parameters out
            expression.check_names(found.asked)
        return found

    def rows(self) -> list[tuple[str, str, str]]:
        """The space as a table: parameter, values, on which condition it exists."""
        return [
            (
                name,
                str(values),
                " and ".join(f"{other} is {' or '.join(map(str, v))}" for other, v in self.when.get(name, {}).items()),
            )
            for name, values in self.asked.items()
        ]


def check_name(name: Any, what: str) -> None:
    """See that a name of the user's is one that a study, a record and a file can have.

    Args:
        name: of a parameter or an objective.
        what: for the message.

    Raises:
        SpaceError: it is empty, not a text, or too long, or holds control characters or lone surrogates.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise SpaceError(f"{what} must be a text of 1 to {LONGEST_NAME} characters, got {str(name)[:40]!r}")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise SpaceError(f"{what} must not hold control characters, got {name!r}")


def _expression(name: Any, value: Any) -> Expression:
    """An entry of [known]."""
    check_name(name, "a name in known")
    return value if isinstance(value, Expression) else Expression(value, f"known.{name}")


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _among(value: Any, listed: Any) -> bool:
    """Whether a value is one of some; True is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in listed)
