"""Limits as options: --limits NAME=LEAST:MOST, and --max-NAME and --min-NAME of any name that is known before a trial.

The names are a user's, so they are not options of their own: `LimitsCommand` reads them as what they are short for.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["LimitsCommand", "limits_of"]


class LimitsCommand(TyperCommand):
    """A command with --limits that takes --max-NAME VALUE and --min-NAME VALUE too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, the short forms as --limits."""
        declared = {name for part in self.params for name in (*part.opts, *part.secondary_opts)}
        return super().parse_args(ctx, _written_out(args, declared))


def limits_of(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """NAME=LEAST:MOST, either of them empty; what is said of one name in several texts holds together.

    Raises:
        BadParameter: a text has another form, or an end is given twice.

    Example:
        >>> limits_of(["params=100:", "params=:5000"])
        {'params': {'min': 100.0, 'max': 5000.0}}
    """
    found: dict[str, dict[str, float]] = {}
    for text in (part for given in texts for part in given.split(",")):
        name, equals, ends = text.rpartition("=")
        least, colon, most = ends.partition(":")
        limits = found.setdefault(name.strip(), {})
        try:
            given = {end: float(value) for end, value in (("min", least), ("max", most)) if value.strip()}
        except ValueError:
            given = {}
        if not (name.strip() and equals and colon and given) or set(given) & set(limits):
            raise typer.BadParameter(f"--limits must be written NAME=LEAST:MOST, each end once, got {text!r}")
        limits |= given
    return found


def _written_out(args: Sequence[str], declared: set[str]) -> list[str]:
    """The command line with --limits in place of --max-NAME and --min-NAME that are no options.

    A name that is nearly that of an option is left as it is, so that the command names the option.
    """
    found, rest = list[str](), list(args)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        end, name = option[:6], option[6:]
        if word == "--":
            return [*found, word, *rest]
        known = option in declared or difflib.get_close_matches(option, declared, n=1, cutoff=0.9)
        if end not in ("--max-", "--min-") or not name or known or not (equals or rest):
            found.append(word)
            continue
        value = value if equals else rest.pop(0)
        found += ["--limits", f"{name}=:{value}" if end == "--max-" else f"{name}={value}:"]
    return found
