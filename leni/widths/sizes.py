"""Sizes of a network's dimensions as linear forms of the widths that can be chosen, and the equations between them.

Every dimension of every tensor has a `Size`, such as 64, w3, w3 + w7 (a concatenation) or w3 / 2 (half of a split).
`Equations` takes what the forward pass demands (both summands of a residual sum have equally many channels) and
eliminates one width for each demand. What cannot be expressed so fixes the widths that it concerns, with a reason;
nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Equations", "Size", "Width"]


@dataclass(frozen=True)
class Size:
    """A linear form: the sum of `terms` (width, coefficient), and a constant."""

    terms: tuple[tuple[int, Fraction], ...] = ()
    constant: Fraction = Fraction(0)

    @classmethod
    def of(cls, number: int | Fraction) -> Size:
        """A size that never changes."""
        return cls((), Fraction(number))

    @property
    def fixed(self) -> bool:
        """Whether no width is in it."""
        return not self.terms

    def plus(self, other: Size) -> Size:
        """The sum of two sizes."""
        terms = dict(self.terms)
        for width, factor in other.terms:
            terms[width] = terms.get(width, Fraction(0)) + factor
        return _size(terms, self.constant + other.constant)

    def times(self, factor: int | Fraction) -> Size:
        """A multiple of the size, or a part of it."""
        return _size({width: value * factor for width, value in self.terms}, self.constant * factor)

    def value(self, widths: Mapping[int, int] | Sequence[int]) -> Fraction:
        """The number at given widths."""
        return self.constant + sum((factor * widths[width] for width, factor in self.terms), Fraction(0))


def _size(terms: Mapping[int, Fraction], constant: Fraction) -> Size:
    return Size(tuple(sorted((width, factor) for width, factor in terms.items() if factor)), constant)


@dataclass
class Width:
    """One width of the network as it is.

    Attributes:
        channels: as built, a count.
        chosen: whether a layer decides it (the outputs of a convolution or linear layer); others must follow.
        parts: equal parts that it must be divisible into.
        fixed: why it keeps its channels; empty if it need not.
    """

    channels: int
    chosen: bool
    parts: int = 1
    fixed: str = ""


class Equations:
    """Widths, and what is known to hold between them."""

    def __init__(self) -> None:
        self.widths: list[Width] = []
        self._solved: dict[int, Size] = {}

    def new(self, channels: int, *, chosen: bool, parts: int = 1) -> Size:
        """A further width; a single channel, and none, stay what they are."""
        if channels <= 1:
            return Size.of(channels)
        self.widths.append(Width(channels, chosen, parts))
        return Size(((len(self.widths) - 1, Fraction(1)),))

    def solve(self, size: Size) -> Size:
        """The size in widths that are still free."""
        while any(width in self._solved for width, _ in size.terms):
            total = Size.of(size.constant)
            for width, factor in size.terms:
                one = Size(((width, Fraction(1)),))
                total = total.plus(self._solved.get(width, one).times(factor))
            size = total
        return size

    def now(self, size: Size) -> Fraction:
        """The number of a size in the network as it is built."""
        return size.constant + sum((factor * self.widths[width].channels for width, factor in size.terms), Fraction(0))

    def free(self) -> list[int]:
        """Widths that no equation has eliminated and nothing has fixed."""
        return [width for width in range(len(self.widths)) if width not in self._solved]

    def one(self, width: int) -> Size:
        """A width as a size."""
        return Size(((width, Fraction(1)),))

    def reason(self, size: Size) -> str:
        """Why a size cannot change; empty if it can."""
        waiting, seen = list(size.terms), set[int]()
        while waiting:
            width, _ = waiting.pop()
            if width in seen:
                continue
            seen.add(width)
            if self.widths[width].fixed:
                return self.widths[width].fixed
            waiting.extend(self._solved.get(width, Size()).terms)
        return ""

    def fix(self, size: Size, reason: str) -> bool:
        """Let all widths in a size keep their channels; whether any of them was free."""
        free = self.solve(size).terms
        for width, _ in free:
            self.widths[width].fixed = reason
            self._solved[width] = Size.of(self.widths[width].channels)
        return bool(free)

    def divide(self, size: Size, parts: int, reason: str) -> None:
        """Demand that a size stays divisible, by letting each width in it be."""
        size = self.solve(size)
        if (size.constant / parts).denominator != 1:
            self.fix(size, reason)
            return
        for width, factor in size.terms:
            needed = (factor / parts).denominator
            parts_of_width = math.lcm(self.widths[width].parts, needed)
            if self.widths[width].channels % parts_of_width:
                self.fix(Size(((width, Fraction(1)),)), reason)
            else:
                self.widths[width].parts = parts_of_width

    def balance(self, size: Size, parts: int, reason: str) -> None:
        """Let a sum of equal members, as many as there are parts, stay one: a split then gives its members."""
        terms = self.solve(size).terms
        members = [Size((term,)) for term in terms]
        if len(members) == parts and len({self.now(member) for member in members}) == 1 and not size.constant:
            for member in members[1:]:
                self.equate(members[0], member, reason)

    def equate(self, one: Size, other: Size, reason: str) -> None:
        """Demand that two sizes are equal, by expressing a width by the others."""
        difference = self.solve(one).plus(self.solve(other).times(-1))
        if difference.fixed:
            return
        reason = self.reason(one) or self.reason(other) or reason  # why one of them cannot change is why both cannot
        width = self._to_eliminate(difference)
        if width is None:
            if not self._equate_pairs(difference, reason):
                self.fix(difference, reason)
            return
        factor = dict(difference.terms)[width]
        rest = difference.plus(Size(((width, -factor),))).times(-1 / factor)
        self._eliminate(width, rest, reason)

    def _to_eliminate(self, difference: Size) -> int | None:
        """A width that is a sum of the others: alone on its side of the equation; one that follows before a chosen."""
        alone = []
        for positive in (True, False):
            side = [(width, factor) for width, factor in difference.terms if (factor > 0) == positive]
            constant_here = (difference.constant > 0) == positive and difference.constant != 0
            if len(side) == 1 and not constant_here:
                width, factor = side[0]
                rest = difference.plus(Size(((width, -factor),)))
                whole = all((value / factor).denominator == 1 for _, value in rest.terms)
                alone.append((not whole, self.widths[width].chosen, -width, width))
        return min(alone)[-1] if alone else None

    def _eliminate(self, width: int, rest: Size, reason: str) -> None:
        entry = self.widths[width]
        self._solved[width] = rest
        if rest.fixed:
            entry.fixed = reason
        if entry.chosen:
            for other, _ in rest.terms:
                self.widths[other].chosen = True
        self.divide(rest, entry.parts, reason)
        self.divide(rest, 1, reason)  # a part of a width must be whole

    def _equate_pairs(self, difference: Size, reason: str) -> bool:
        """Two sums of several widths are equal if their members are, one by one."""
        if difference.constant:
            return False
        left = sorted((f * self.widths[w].channels, w, f) for w, f in difference.terms if f > 0)
        right = sorted((-f * self.widths[w].channels, w, -f) for w, f in difference.terms if f < 0)
        if [entry[0] for entry in left] != [entry[0] for entry in right]:
            return False
        for (_, w, f), (_, v, g) in zip(left, right, strict=True):
            self.equate(Size(((w, f),)), Size(((v, g),)), reason)
        return True
