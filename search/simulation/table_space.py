"""The candidates of a table as a search space: what the table does not hold is answered by its nearest row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from search.decide.known_cost.encoding import Encoder
from search.simulation.table import Table
from spaces import Configuration
from spaces.dimensions import Choice, Dimension
from spaces.walk import Walk, WalkedSpace

__all__ = ["TableSpace"]

Array = NDArray[np.float64]


class TableSpace(WalkedSpace[Configuration]):
    """A space whose points are the rows of a table.

    Args:
        table: of recorded results.

    Attributes:
        rows_of: row number by candidate.
    """

    substitutes: ClassVar[bool] = True

    def __init__(self, table: Table) -> None:
        self.name, self.table = "table", table
        self.rows_of = {Configuration(tuple(row.parameters.items())): place for place, row in enumerate(table.rows)}
        self.asked: dict[str, Dimension] = {
            name: Choice(tuple(getattr(one, "choices", ()))) for name, one in table.distributions.items()
        }
        self.encoder = Encoder(table.distributions)
        self.encoded: Array | None = None

    def _walk(self) -> Walk[Configuration]:
        answers: dict[str, Any] = {}
        for name, values in self.asked.items():
            answers[name] = yield name, values
        point = Configuration(tuple(answers.items()))
        return point if point in self.rows_of else self._nearest(answers)

    def _nearest(self, parameters: Mapping[str, Any]) -> Configuration:
        """The row whose parameters are nearest to others; the first of equals."""
        if self.encoded is None:
            self.encoded = self.encoder.encode([row.parameters for row in self.table.rows])
        squared = ((self.encoded - self.encoder.encode([parameters])[0]) ** 2).sum(axis=1)
        return Configuration(tuple(self.table.rows[int(np.argmin(squared))].parameters.items()))

    def dimensions(self) -> dict[str, Dimension]:
        """Every parameter of the table by name."""
        return dict(self.asked)

    def deciders(self) -> frozenset[str]:
        """None: every row has every parameter."""
        return frozenset()

    def columns(self) -> tuple[str, ...]:
        """The table's parameters."""
        return tuple(self.asked)

    @property
    def size(self) -> int:
        """How many candidates the table has."""
        return len(self.rows_of)

    def candidates(self) -> Iterator[Configuration]:
        """Every candidate once: in the order of the dimensions where every combination is there, else as listed."""
        complete = prod(len(one.values() or ()) for one in self.asked.values()) == len(self.rows_of)
        return super().candidates() if complete else iter(self.rows_of)

    def parameters(self, point: Configuration) -> tuple[dict[str, Any], dict[str, BaseDistribution]] | None:
        """Parameters and distributions of a row; None where the table does not hold it."""
        if point not in self.rows_of:
            return None
        given = dict(point.values)
        distributions = {
            name: found
            for name, one in self.asked.items()
            if name in given and (found := one.distribution()) is not None
        }
        return {name: given[name] for name in distributions}, distributions

    def references(self) -> tuple[Configuration, ...]:
        """None: every row is like any other."""
        return ()

    def fix(self, values: Mapping[str, Any]) -> TableSpace:
        """Itself: a table is searched whole.

        Raises:
            ValueError: there is something to fix.
        """
        if values:
            raise ValueError("a table's parameters cannot be fixed")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The dimensions as TOML has them."""
        return {"name": self.name, "parameters": {name: one.to_toml() for name, one in self.asked.items()}}

    def rows(self) -> list[tuple[str, str, str]]:
        """The space as a table: parameter, values, no conditions."""
        return [(name, str(one), "") for name, one in self.asked.items()]
