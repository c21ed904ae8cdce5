"""Counts what of a data folder is left out, and why, for one sentence to the user."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from search.training.printable import printable

__all__ = ["LeftOut", "Reason"]


class Reason(NamedTuple):
    """Why something is left out: what one such entry is, and what several are, to follow their number."""

    one: str
    many: str


class LeftOut:
    """What is left out of a folder: for each reason the number of entries and the first of them.

    Args:
        root: the folder; entries are named by their path in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counts: dict[Reason, int] = {}
        self.first: dict[Reason, Path] = {}

    def add(self, reason: Reason, path: Path) -> None:
        """Count one entry."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, path)

    def sentence(self) -> str:
        """What was left out, as one sentence; empty where nothing was."""
        if not self.counts:
            return ""
        return f"Left out of {printable(self.root)}: {', '.join(self._part(reason) for reason in self.counts)}."

    def _part(self, reason: Reason) -> str:
        """The number of entries for one reason, and the first of them by name."""
        path, count = self.first[reason], self.counts[reason]
        name = printable(path.relative_to(self.root) if path.is_relative_to(self.root) else path)
        return f"1 {reason.one} ({name})" if count == 1 else f"{count:,} {reason.many} (such as {name})"
