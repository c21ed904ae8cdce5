"""Which objective a pruner sees as what: known costs, the one that has a learning curve, and the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from results import minimised

__all__ = ["Roles"]


@dataclass(frozen=True)
class Roles:
    """Objectives by their role; each maps a name to "maximize" or "minimize".

    Attributes:
        known: before a trial begins.
        measured: after each of its epochs; one entry.
        others: at its end.
    """

    known: Mapping[str, str]
    measured: Mapping[str, str]
    others: Mapping[str, str]

    @classmethod
    def of(cls, objectives: Mapping[str, str], *, known: Collection[str], measured: str | None = None) -> Roles:
        """The roles of a search's objectives.

        Args:
            objectives: name -> direction.
            known: names that are known before a trial.
            measured: the one with a curve; None, or none of the objectives, for the first that is not known.
        """
        uncertain = [name for name in objectives if name not in known]
        name = measured if measured in uncertain else next(iter(uncertain or objectives))
        rest = [other for other in uncertain if other != name]
        return cls(
            {each: way for each, way in objectives.items() if each in known},
            {name: objectives[name]},
            {each: objectives[each] for each in rest},
        )

    @property
    def maximise(self) -> bool:
        """Whether a greater value of the measured objective is better."""
        return next(iter(self.measured.values())) == "maximize"

    def costs(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The known objectives of a trial, larger is worse."""
        return _worse(values, self.known)

    def finals(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The uncertain objectives of a completed trial as `Pruner.end` takes them."""
        return (float(values[next(iter(self.measured))]), *_worse(values, self.others))


def _worse(values: Mapping[str, float], objectives: Mapping[str, str]) -> tuple[float, ...]:
    """Values of objectives, larger is worse."""
    if not objectives:
        return ()
    return tuple(float(value) for value in minimised([[float(values[name]) for name in objectives]], objectives)[0])
