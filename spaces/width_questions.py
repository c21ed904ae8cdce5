"""What a search space asks about widths: one ratio for the network, one a stage, or one a group of layers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from leni.errors import SpaceError
from spaces.backbones import Backbone
from spaces.backbones.row import PER
from spaces.dimensions import Dimension, Range

__all__ = ["WidthQuestions"]

HALVINGS = 50  # of an interval in which a ratio is looked for


@dataclass(frozen=True)
class WidthQuestions:
    """The dimensions `width`, or `width.1`, `width.2`, ...

    Attributes:
        width: ratios of the full width, or channels.
        per: network, stage or group.
        round_to: what channels are a multiple of; None for each backbone's own.

    Raises:
        SpaceError: `per` or `round_to` is something else.
    """

    width: Dimension
    per: str
    round_to: int | None

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise SpaceError(f"width_per must be 'network', 'stage' or 'group', got {self.per!r}")
        whole = isinstance(self.round_to, int) and not isinstance(self.round_to, bool)
        if self.round_to is not None and (not whole or self.round_to < 1):
            raise SpaceError(f"round_to must be a whole number of at least 1, got {self.round_to!r}")

    def check(self, row: Backbone) -> None:
        """Refuse ratios that a backbone cannot have.

        Raises:
            SpaceError: one is no number.
            InfeasibleWidth: one is outside (0, 1], above the full channels, or leaves no channel.
        """
        for ratio in self.width.values() or _ends(self.width):
            if isinstance(ratio, bool) or not isinstance(ratio, (int, float)):
                raise SpaceError(f"width must be a number in (0, 1], got {ratio!r}")
            for knob in row.knobs(self.per):
                row.part(row.members(self.per, knob), ratio, round_to=self.round_to)

    def ask(self, row: Backbone) -> Generator[tuple[str, Dimension], Any, tuple[int, ...]]:
        """Ask for a backbone's ratios; return its widths."""
        ratios = []
        for knob in row.knobs(self.per):
            ratios.append((yield self._name(knob), self.width))
        return row.widths(*ratios, per=self.per, round_to=self.round_to)

    def dimensions(self, rows: Sequence[Backbone]) -> dict[str, Dimension]:
        """The dimensions by name, in order of their numbers."""
        knobs = sorted({knob for row in rows for knob in row.knobs(self.per)})
        return {self._name(knob): self.width for knob in knobs}

    def condition(self, name: str, rows: Sequence[Backbone]) -> str:
        """Where a dimension exists, if not in every backbone."""
        having = [row.name for row in rows if name in map(self._name, row.knobs(self.per))]
        return "" if len(having) == len(rows) else f"backbone is {' or '.join(having)}"

    def asks(self, name: str) -> bool:
        """Whether a dimension is one of these."""
        return name == "width" or name.startswith("width.")

    def answer(self, name: str, row: Backbone, widths: tuple[int, ...]) -> float | None:
        """A ratio that gives these widths: the first, or the middle where it is continuous; None if there is none."""
        members = row.members(self.per, int(name.partition(".")[2] or 0))
        wanted = tuple(widths[place] for place in members)

        def channels(ratio: float) -> tuple[int, ...]:
            return row.part(members, ratio, round_to=self.round_to)

        listed = self.width.values()
        if listed is None and isinstance(self.width, Range):
            low = self._edge(lambda ratio: _all_least(channels(ratio), wanted))
            high = self._edge(lambda ratio: not _all_least(wanted, channels(ratio)))
            listed = ((low + high) / 2, low, high)
        return next((ratio for ratio in listed or () if channels(ratio) == wanted), None)

    def _edge(self, reached: Any) -> float:
        """The ratio of a range from which on something is so; the range's end if it never is."""
        low, high = float(self.width.low), float(self.width.high)  # type: ignore[attr-defined]
        if reached(low):
            return low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def count(self, row: Backbone) -> int:
        """How many different widths a backbone can have, of a dimension that can be listed."""
        total = 1
        for knob in row.knobs(self.per):
            members = row.members(self.per, knob)
            found = {row.part(members, ratio, round_to=self.round_to) for ratio in self.width.values() or ()}
            total *= len(found)
        return total

    def _name(self, knob: int) -> str:
        return "width" if self.per == "network" else f"width.{knob}"


def _ends(values: Dimension) -> tuple[Any, ...]:
    """The two ends of a range."""
    return (values.low, values.high) if isinstance(values, Range) else ()


def _all_least(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether each number is at least the other's."""
    return all(a >= b for a, b in zip(one, other, strict=True))
