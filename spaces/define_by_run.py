"""A space that a user's function declares while it runs, as an Optuna objective does with `trial.suggest_*`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution

from leni.errors import SpaceError
from spaces.configuration import Configuration, ParameterSpace
from spaces.walk import Walk

__all__ = ["DEFINE_BY_RUN", "DefineByRunSpace"]

DEFINE_BY_RUN = "define-by-run"


@dataclass(frozen=True)
class DefineByRunSpace(ParameterSpace):
    """A space of parameters that nobody knows before the trials ask for them.

    Every point begins empty; a trial's suggestions fill it. So there is nothing to list, to count or to hold constant.

    Attributes:
        name: `define-by-run`.
        asked: no parameter.
    """

    name: str = DEFINE_BY_RUN
    asked: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.asked or self.when:
            raise SpaceError(f"a {DEFINE_BY_RUN} space has no parameters of its own: the function declares them")

    def _walk(self) -> Walk[Configuration]:
        """Ask for nothing."""
        yield from ()
        return Configuration(())

    @property
    def size(self) -> None:
        """None: it is not known how many points there are."""
        return None

    def candidates(self) -> Iterator[Configuration]:
        """Nothing can be listed.

        Raises:
            SpaceError: always.
        """
        raise SpaceError(f"a {DEFINE_BY_RUN} space cannot be listed: the function declares it while it runs")

    def parameters(self, point: Configuration) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """No parameters: what a point holds has been suggested one by one."""
        return {}, {}

    def fix(self, values: Mapping[str, Any]) -> ParameterSpace:
        """The space itself, if nothing is to be held constant.

        Raises:
            SpaceError: something is.
        """
        if values:
            raise SpaceError(
                f"{next(iter(values))} cannot be fixed in a {DEFINE_BY_RUN} space: the function declares its parameters"
            )
        return self

    def rows(self) -> list[tuple[str, str, str]]:
        """The space as a table: one row that says where its parameters come from."""
        return [("parameters", "declared by the function while it runs", "")]
