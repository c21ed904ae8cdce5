"""CPUs and GPUs: what a trial needs, and what the machines have that trials of different sizes share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["Capacity", "Needs"]

ROUNDING = 1e-6  # of a CPU or GPU: fractions are added up


@dataclass(frozen=True)
class Needs:
    """What one trial needs, or one machine has.

    Attributes:
        cpus: a fraction shares one.
        gpus: likewise.
    """

    cpus: float = 0.0
    gpus: float = 0.0

    def within(self, other: Needs) -> bool:
        """Whether it is at most as much as another, of both."""
        return self.cpus <= other.cpus + ROUNDING and self.gpus <= other.gpus + ROUNDING

    def __str__(self) -> str:
        return _counted(self.cpus, "CPU") + (f" and {_counted(self.gpus, 'GPU')}" if self.gpus else "")


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Capacity:
    """What all machines have.

    Attributes:
        machines: each of them; a trial runs on one.
    """

    machines: tuple[Needs, ...]

    def holds(self, needs: Needs) -> bool:
        """Whether a trial can run at all: whether one machine has what it needs."""
        return any(needs.within(machine) for machine in self.machines)

    def free(self, running: Collection[Needs]) -> Needs:
        """What trials that run leave, over all machines."""
        return Needs(
            sum(one.cpus for one in self.machines) - sum(one.cpus for one in running),
            sum(one.gpus for one in self.machines) - sum(one.gpus for one in running),
        )

    def fits(self, needs: Needs, running: Collection[Needs]) -> bool:
        """Whether a trial can begin beside those that run."""
        return self.holds(needs) and needs.within(self.free(running))

    def full(self, running: Collection[Needs]) -> bool:
        """Whether no trial can begin, however small: each needs some of a CPU."""
        return self.free(running).cpus <= ROUNDING
