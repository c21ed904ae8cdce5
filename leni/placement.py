"""The placement language: which call sites of a network get an activation.

One small language, the same in search spaces, on the command line and in results:

    all  none  first  last        every site, no site, the first, the last
    stem  inner  outer            sites of a role: before the stages, inside a block, after a block's residual sum
    stage:2  stage:1-3            sites of a stage, or of a range of stages (the stem is stage 0)
    every:2                       the first site and every second one after it
    sites:NAME,NAME               sites by name
    stem+inner                    unions, joined by a plus sign

`gate` and `head` are roles too, but no keyword but their own, or a name, selects them: a squeeze-and-excitation gate
and a classifier are not feature maps.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leni.errors import PlacementError

__all__ = ["PlacedSite", "Placement"]

ROLES = ("stem", "inner", "outer", "gate", "head")
FEATURE_ROLES = ("stem", "inner", "outer")
KEYWORDS = ("all", "none", "first", "last", *ROLES)
PREFIXES = ("stage", "every", "sites")


class PlacedSite(Protocol):
    """What the language needs to know of a call site; `leni.CallSite` and the backbones' own sites have it."""

    @property
    def name(self) -> str:
        """The site's name, unique in its network."""

    @property
    def role(self) -> str:
        """One of stem, inner, outer, gate, head."""

    @property
    def stage(self) -> int:
        """Counted from 1 by resolution; 0 for the stem."""


@dataclass(frozen=True)
class Term:
    """One word of a placement: a keyword alone, or a prefix with what follows its colon."""

    kind: str
    names: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    def __str__(self) -> str:
        if self.kind == "sites":
            return "sites:" + ",".join(self.names)
        if self.kind == "every":
            return f"every:{self.low}"
        if self.kind == "stage":
            return f"stage:{self.low}" if self.low == self.high else f"stage:{self.low}-{self.high}"
        return self.kind

    def indices(self, sites: Sequence[PlacedSite]) -> set[int]:
        """Positions of the sites that this term selects."""
        features = [index for index, site in enumerate(sites) if site.role in FEATURE_ROLES]
        if self.kind == "all":
            return set(features)
        if self.kind == "none":
            return set()
        if self.kind == "first":
            return set(features[:1])
        if self.kind == "last":
            return set(features[-1:])
        if self.kind == "every":
            return set(features[:: self.low])
        if self.kind == "stage":
            return {index for index in features if self.low <= sites[index].stage <= self.high}
        if self.kind == "sites":
            return {index for index, site in enumerate(sites) if site.name in self.names}
        return {index for index, site in enumerate(sites) if site.role == self.kind}


@dataclass(frozen=True)
class Placement:
    """A parsed placement, in canonical order, so that `inner+stem` equals `stem+inner`.

    Example:
        >>> str(Placement.parse("inner+stem"))
        'stem+inner'
    """

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Placement:
        """Read a placement.

        Args:
            text: the placement, for example `stem+stage:1-2`.

        Returns:
            The placement with its words in canonical order, each once; `all` absorbs the feature words beside it.

        Raises:
            PlacementError: a word is not of the language; the message points at it.
        """
        terms, position = [], 0
        for word in text.split("+"):
            terms.append(_parse_word(word.strip(), text, position))
            position += len(word) + 1
        return cls(_canonical(terms))

    def __str__(self) -> str:
        return "+".join(map(str, self.terms))

    def select(self, sites: Sequence[PlacedSite]) -> frozenset[int]:
        """Positions of the selected sites.

        Args:
            sites: call sites in the order of the forward pass.

        Returns:
            Indices into `sites`; empty only for `none`.

        Raises:
            PlacementError: a word selects no site of this network, or a named site does not exist.
        """
        selected: set[int] = set()
        for term in self.terms:
            found = term.indices(sites)
            if term.kind == "sites":
                _check_names(term, sites)
            elif not found and term.kind != "none":
                stages = sorted({site.stage for site in sites if site.role in FEATURE_ROLES})
                roles = [role for role in ROLES if any(site.role == role for site in sites)]
                raise PlacementError(
                    f"placement {str(self)!r}: {str(term)!r} matches none of the network's {len(sites)} call sites "
                    f"(their roles: {', '.join(roles) or 'none'}; stages: {', '.join(map(str, stages)) or 'none'})"
                )
            selected |= found
        return frozenset(selected)


def _parse_word(word: str, text: str, position: int) -> Term:
    """One word of `text`, which begins at column `position`."""
    if word in KEYWORDS:
        return Term(word)
    prefix, colon, rest = word.partition(":")
    if prefix == "stage" and (match := re.fullmatch(r"(\d+)(?:-(\d+))?", rest)):
        low, high = int(match[1]), int(match[2] or match[1])
        if low <= high:
            return Term("stage", low=low, high=high)
    if prefix == "every" and re.fullmatch(r"[1-9]\d*", rest):
        return Term("every", low=int(rest))
    names = tuple(dict.fromkeys(name.strip() for name in rest.split(",")))
    if prefix == "sites" and colon and all(names):
        return Term("sites", names=names)
    raise PlacementError(f"placement {text!r}: cannot read {word!r} at column {position + 1}; {_hint(prefix)}")


def _hint(prefix: str) -> str:
    forms = {"stage": "stage:2 or stage:1-3", "every": "every:2", "sites": "sites:NAME,NAME"}
    if prefix in forms:
        return f"it is written {forms[prefix]}"
    words = [*KEYWORDS, *PREFIXES]
    near = difflib.get_close_matches(prefix, words, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    return f"{suggestion}words are {', '.join(KEYWORDS)}, stage:A-B, every:N, sites:NAME,NAME, joined by +"


def _canonical(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Each term once, in the order of KEYWORDS and PREFIXES; what another term already holds is left out."""
    order = [*KEYWORDS, *PREFIXES]
    unique = sorted(set(terms), key=lambda term: (order.index(term.kind), term.low, term.high, term.names))
    if len(unique) > 1:
        unique = [term for term in unique if term.kind != "none"]
    if any(term.kind == "all" for term in unique):
        unique = [term for term in unique if term.kind in ("all", "gate", "head", "sites")]
    return tuple(unique)


def _check_names(term: Term, sites: Sequence[PlacedSite]) -> None:
    known = [site.name for site in sites]
    for name in term.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
            raise PlacementError(
                f"placement {str(term)!r}: no call site is called {name!r}; "
                + (f"near names are {', '.join(near)}" if near else "the network has no call site")
            )
