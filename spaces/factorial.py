"""Factorial plans around a candidate: what changes, one part at a time or all together, and which networks that makes.

    plan = factorial(base, factors(base), design="one")
    plan.cells[0]                            # the base itself; then a cell for each other level of each factor

A factor has the base's own level first. Levels are words, as a command line has them: `kernel=1,5`, `stem=off`.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from leni import registry
from leni.errors import CandidateError
from leni.placement import FEATURE_ROLES, Placement
from spaces.backbones import backbone
from spaces.candidate import Candidate

__all__ = ["DESIGNS", "Cell", "Factor", "Level", "Plan", "factorial", "factors"]

DESIGNS = ("one", "full", "fractional")
PLAIN = "relu"
MOST_CELLS = 4096
RECIPE = "recipe."  # a factor of the recipe: recipe.weight_decay=0,0.001
ON, OFF = "on", "off"
_OPTIONS = {  # factor -> option, and the levels that are tried beside the base's
    "kernel": ("kernel_size", (1, 3, 5)),
    "compression": ("compression", ("grouped", "dense", "none")),
    "norm": ("norm", ("none", "batch")),
    "start": ("init_std", (0.0, 0.01, 0.1)),
    "transform": ("transform", ("depthwise", "scale", "grouped", "dense")),
}


@dataclass(frozen=True)
class Level:
    """One level of a factor.

    Attributes:
        label: the word for it.
        changes: what it sets: activation, sites (role -> whether), widths, lr_factor, options (by name), recipe (by
            key). The base's own level changes nothing.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Factor:
    """What is varied; the first of its levels is the base's."""

    name: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Cell:
    """One network of a plan.

    Attributes:
        levels: the label of each factor's level, by factor.
        candidate: what to train; two cells can have the same.
        recipe: what of the recipe is another than the base's, by key.
    """

    levels: Mapping[str, str]
    candidate: Candidate
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to train, and how it was chosen.

    Attributes:
        base: the candidate in the middle.
        factors: what is varied.
        design: one of DESIGNS.
        cells: the base first.
        notes: what the design cannot tell apart, in sentences.
    """

    base: Candidate
    factors: tuple[Factor, ...]
    design: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


def factors(base: Candidate, wanted: Sequence[str] | None = None) -> tuple[Factor, ...]:
    """The factors of a base by name.

    Known are activation, branch (LENI's negative branch; off is ReLU), frozen (its transform does not learn), kernel,
    compression, norm, start (init_std), transform, stem, inner, outer (the site groups), width, lr (lr_factor), and
    recipe.KEY for any key of the recipe.

    Args:
        base: the candidate.
        wanted: `NAME` for usual levels, `NAME=LEVEL,LEVEL` for others beside the base's; None for all that the base has
            but transform and the recipe.

    Raises:
        CandidateError: an unknown factor, one that the base does not have, one given twice, or a level that it has not.
    """
    if wanted is None:
        return tuple(_factor(base, name, None) for name in _usual(base))
    found: dict[str, Factor] = {}
    for text in wanted:
        name, given, levels = (part.strip() for part in text.partition("="))
        if name in found:
            raise CandidateError(f"factor {name!r} is given twice")
        listed = [level.strip() for level in levels.split(",")] if given else None
        if listed is not None and not all(listed):
            raise CandidateError(f"factor {text!r} must be NAME or NAME=LEVEL,LEVEL")
        found[name] = _factor(base, name, listed)
    if not found:
        raise CandidateError("a plan needs at least one factor")
    return tuple(found.values())


def factorial(base: Candidate, factors: Sequence[Factor], *, design: str = "one") -> Plan:
    """The cells of a plan.

    Args:
        base: the candidate in the middle.
        factors: as `factors` gives them.
        design: "one": one factor at a time. "full": all combinations. "fractional": of each factor the base's level and
            the first other, in the least power of two of cells in which no main effect is mixed up with another one or
            with a two-way interaction (resolution IV); two-way interactions are then mixed up with one another.

    Returns:
        The plan. Cells whose networks are the same are all there: they are trained once.

    Raises:
        CandidateError: no such design, no factor, too many cells, or a combination that no candidate can have.

    Source: Box, Hunter and Hunter, Statistics for Experimenters, chapter 6 (2nd edition), for the fractions.

    Example:
        >>> base = Candidate("resnet8", (16, 32, 64), "leni")
        >>> [cell.levels["kernel"] for cell in factorial(base, factors(base, ["kernel"])).cells]
        ['3', '1', '5']
    """
    if design not in DESIGNS:
        raise CandidateError(f"design must be one of {', '.join(DESIGNS)}, got {design!r}")
    parts = tuple(factors)
    if not parts:
        raise CandidateError("a plan needs at least one factor")
    notes: tuple[str, ...] = ()
    if design == "one":
        chosen = _one_at_a_time(parts)
    elif design == "full":
        count = math.prod(len(part.levels) for part in parts)
        if count > MOST_CELLS:
            raise CandidateError(f"a full plan of these factors has {count:,} cells; fewer factors, or fractional")
        chosen = list(itertools.product(*(part.levels for part in parts)))
    else:
        chosen, notes = _fraction(parts)
    names = [part.name for part in parts]
    cells = tuple(_cell(base, dict(zip(names, levels, strict=True))) for levels in chosen)
    return Plan(base, parts, design, cells, notes)


def _usual(base: Candidate) -> list[str]:
    """The factors that a base has."""
    row = backbone(base.backbone)
    names = ["activation"]
    options = dict(base.options)
    if base.activation == "leni":
        names += ["branch", "frozen", "kernel", "compression", "norm", "start"]
    names = [name for name in names if name != "kernel" or options.get("transform") != "scale"]
    if base.activation != PLAIN:
        names += [role for role in FEATURE_ROLES if any(site.role == role for site in row.sites)]
    return [*names, "width", "lr"]


def _factor(base: Candidate, name: str, given: list[str] | None) -> Factor:
    """One factor with its levels, the base's first."""
    makers: dict[str, Callable[[Candidate, str, list[str] | None], Factor]] = {
        "activation": _activation, "branch": _branch, "frozen": _frozen, "width": _width, "lr": _rate,
        **dict.fromkeys(_OPTIONS, _option), **dict.fromkeys(FEATURE_ROLES, _sites),
    }  # fmt: skip
    if name.startswith(RECIPE) and len(name) > len(RECIPE):
        return _recipe(name, given)
    if name not in makers:
        near = difflib.get_close_matches(name, makers, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"factors are {', '.join(makers)} and {RECIPE}KEY"
        raise CandidateError(f"there is no factor {name!r}; {hint}")
    made = makers[name](base, name, given)
    if len(made.levels) < 2:
        raise CandidateError(f"factor {name!r} has no level beside the base's, which is {made.levels[0].label}")
    return made


def _activation(base: Candidate, name: str, given: list[str] | None) -> Factor:
    usual = [PLAIN] if base.activation not in (PLAIN, "leni") else ["prelu"] if base.activation == "leni" else ["leni"]
    others = [registry.get(other).name for other in given or usual if other != base.activation]
    return Factor(name, (Level(base.activation), *(Level(other, {"activation": other}) for other in others)))


def _branch(base: Candidate, name: str, given: list[str] | None) -> Factor:
    _only_leni(base, name)
    _switch(name, given, ON)
    return Factor(name, (Level(ON), Level(OFF, {"activation": PLAIN})))


def _frozen(base: Candidate, name: str, given: list[str] | None) -> Factor:
    _only_leni(base, name)
    own = bool(dict(base.options)["frozen"])
    labels = {True: "yes", False: "no"}
    if given is not None and any(label not in labels.values() for label in given):
        raise CandidateError(f"levels of {name} are yes and no, got {', '.join(given)}")
    return Factor(name, (Level(labels[own]), Level(labels[not own], {"options": {"frozen": not own}})))


def _option(base: Candidate, name: str, given: list[str] | None) -> Factor:
    _only_leni(base, name)
    option, usual = _OPTIONS[name]
    row = registry.get(base.activation).options[option]
    own = dict(base.options)[option]
    values = list(usual) if given is None else [_number(name, text, row.kind) for text in given]
    registered = [value for value in values if registry.get(base.activation).check({option: value})]
    others = [value for value in dict.fromkeys(registered) if value != own]
    return Factor(name, (Level(_word(own)), *(Level(_word(value), {"options": {option: value}}) for value in others)))


def _sites(base: Candidate, name: str, given: list[str] | None) -> Factor:
    row = backbone(base.backbone)
    roles = [index for index, site in enumerate(row.sites) if site.role == name]
    if base.activation == PLAIN or not roles:
        why = f"{row.name} has no {name} site" if not roles else "ReLU is everywhere"
        raise CandidateError(f"factor {name!r} changes nothing: {why}")
    own = ON if Placement.parse(base.placement).select(row.sites) & set(roles) else OFF
    _switch(name, given, own)
    other = OFF if own == ON else ON
    return Factor(name, (Level(own), Level(other, {"sites": {name: other == ON}})))


def _width(base: Candidate, name: str, given: list[str] | None) -> Factor:
    """Levels are ratios of the base's own widths."""
    levels = [Level("1")]
    for text in given or ["0.5"]:
        ratio = float(_number(name, text, float))
        if not ratio > 0:
            raise CandidateError(f"levels of {name} are ratios above 0 of the base's widths, got {text}")
        widths = tuple(max(1, int(width * ratio + 0.5)) for width in base.widths)
        if widths != base.widths:
            levels.append(Level(_word(ratio), {"widths": widths}))
    return Factor(name, tuple(levels))


def _rate(base: Candidate, name: str, given: list[str] | None) -> Factor:
    own = base.lr_factor
    usual = [0.3 * own, 3.0 * own]
    rates = usual if given is None else [float(_number(name, text, float)) for text in given]
    others = [rate for rate in rates if rate != own]
    return Factor(name, (Level(_word(own)), *(Level(_word(rate), {"lr_factor": rate}) for rate in others)))


def _recipe(name: str, given: list[str] | None) -> Factor:
    key = name[len(RECIPE) :]
    if not given:
        raise CandidateError(f"factor {name!r} needs its levels, {name}=LEVEL,LEVEL, beside the recipe's own")
    return Factor(name, (Level("base"), *(Level(text, {"recipe": {key: _literal(text)}}) for text in given)))


def _cell(base: Candidate, levels: Mapping[str, Level]) -> Cell:
    """The network that some levels make together; the branch switched off is ReLU whatever else is set."""
    changes = [level.changes for level in levels.values()]
    merged: dict[str, Any] = {"activation": base.activation, "widths": base.widths, "lr_factor": base.lr_factor}
    options: dict[str, Any] = dict(base.options)
    roles: dict[str, bool] = {}
    recipe: dict[str, Any] = {}
    for change in changes:
        merged |= {key: value for key, value in change.items() if key in ("widths", "lr_factor")}
        options |= change.get("options", {})
        roles |= change.get("sites", {})
        recipe |= change.get("recipe", {})
    activations = [change["activation"] for change in changes if "activation" in change]
    activation = PLAIN if PLAIN in activations else [base.activation, *activations][-1]
    placement = _placement(base, roles)
    if activation == PLAIN or placement == "none":
        activation, placement = PLAIN, "all"
    candidate = replace(
        base,
        widths=merged["widths"],
        lr_factor=merged["lr_factor"],
        activation=activation,
        placement=placement,
        options=tuple(options.items()) if activation == base.activation else (),
        training=tuple(pair for pair in base.training if pair[0] not in recipe),  # else it would outweigh the level
    )
    return Cell({name: level.label for name, level in levels.items()}, candidate, recipe)


def _placement(base: Candidate, roles: Mapping[str, bool]) -> str:
    """The base's placement with whole site groups switched: in words where words have it, else by name."""
    if not roles:
        return base.placement
    row = backbone(base.backbone)
    chosen = set(Placement.parse(base.placement).select(row.sites))
    for role, wanted in roles.items():
        group = {index for index, site in enumerate(row.sites) if site.role == role}
        chosen = chosen | group if wanted else chosen - group
    groups = {role: {index for index, site in enumerate(row.sites) if site.role == role} for role in FEATURE_ROLES}
    full = [role for role, group in groups.items() if group and group <= chosen]
    if not chosen:
        return "none"
    if chosen == set().union(*groups.values()):
        return "all"
    if chosen == set().union(*(groups[role] for role in full)):
        return "+".join(full)
    return "sites:" + ",".join(row.sites[index].name for index in sorted(chosen))


def _one_at_a_time(parts: Sequence[Factor]) -> list[tuple[Level, ...]]:
    base = tuple(part.levels[0] for part in parts)
    changed = [(*base[:at], level, *base[at + 1 :]) for at, part in enumerate(parts) for level in part.levels[1:]]
    return [base, *changed]


def _fraction(parts: Sequence[Factor]) -> tuple[list[tuple[Level, ...]], tuple[str, ...]]:
    """Two levels a factor, 2^m cells: m factors freely, each other one at the product of an odd number of those.

    Odd products make every word of the defining relation even, so at least four long.
    """
    count = len(parts)
    free = next(m for m in itertools.count(1) if count <= m or count <= 2 ** (m - 1))
    if 2**free > MOST_CELLS:
        raise CandidateError(f"a fractional plan of {count} factors has {2**free:,} cells; give fewer factors")
    odd = [subset for size in range(3, free + 1, 2) for subset in itertools.combinations(range(free), size)]
    words = sorted(odd, key=lambda subset: -len(subset))[: max(0, count - free)]
    chosen = []
    for row in itertools.product((0, 1), repeat=free):
        # A product of signs (-1 for the base's level); of an odd number of base levels it is the base's again.
        bits = [*row, *(_product([row[at] for at in word]) for word in words)]
        chosen.append(tuple(part.levels[bit] for part, bit in zip(parts, bits, strict=True)))
    if not words:
        return chosen, ()
    made = "; ".join(
        f"{parts[free + at].name} goes with the product of {', '.join(parts[i].name for i in word)}"
        for at, word in enumerate(words)
    )
    return chosen, (f"A fraction of {2**free} of {2**count} cells: {made}. Two-way interactions are mixed up with one "
                    "another, main effects with nothing below a three-way interaction.",)  # fmt: skip


def _product(bits: Sequence[int]) -> int:
    """The level at the product of signs: bits 0 and 1 stand for -1 and 1."""
    return 1 if math.prod(2 * bit - 1 for bit in bits) > 0 else 0


def _only_leni(base: Candidate, name: str) -> None:
    if base.activation != "leni":
        raise CandidateError(f"factor {name!r} is a part of LENI, and the base has {base.activation}")


def _switch(name: str, given: list[str] | None, own: str) -> None:
    """Says which levels of a factor are not possible."""
    if given is not None and (wrong := [text for text in given if text not in (ON, OFF)]):
        raise CandidateError(f"levels of {name} are {ON} and {OFF}, got {', '.join(wrong)}")
    if given is not None and set(given) == {own}:
        raise CandidateError(f"factor {name!r} has no level beside the base's, which is {own}")


def _number(name: str, text: str, kind: type) -> Any:
    """A level as its option has it."""
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError:
        raise CandidateError(f"levels of {name} must be numbers, got {text!r}") from None


def _literal(text: str) -> Any:
    """A recipe's value: a whole number, a number, true or false, else a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
