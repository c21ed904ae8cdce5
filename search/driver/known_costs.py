"""What is known of a candidate before its trial: of networks their parameters and multiply-adds, and what a user adds.

A user adds costs as expressions of the space (`[space.known]`), as a function (`costs = "module:function"`), and by
functions of the evaluator's module that are marked with `@search.known`. They are called in the process that drives the
search, once for each candidate.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from leni.errors import CandidateError, Impossible, LeniSearchError, SpecError
from results.names import plain_name
from search.driver.sample import random_candidates
from search.spec import KNOWN, Spec
from search.training.given_functions import label_of, module_of
from search.training.known import marked_in
from search.training.metrics import number_of
from search.training.user_functions import failure_sentence, load_function
from spaces import Candidate, Configuration, ParameterSpace
from spaces.configuration import check_name
from spaces.expressions import Expression

__all__ = ["CostMistake", "KnownCosts", "Point", "changed_costs", "known_costs", "scope_of", "worded"]

Point = Candidate | Configuration
Number = int | float
REMEMBERED = 50_000  # candidates whose costs are kept
PROBED, MOST_PROBED = 8, 256  # possible candidates that sources are tried on, and candidates in all


class CostMistake(CandidateError):
    """A user's cost function or expression that gives no usable number for a candidate."""

    code = "LS-COSTS"


@dataclass(frozen=True)
class Source:
    """One thing that gives costs.

    Attributes:
        label: for messages.
        names: of the costs; None where what it returns says them.
        call: with a configuration's values by name.
    """

    label: str
    names: tuple[str, ...] | None
    call: Callable[[dict[str, Any]], Any]

    def costs(self, values: Mapping[str, Any]) -> dict[str, Number]:
        """The costs of a configuration, by name.

        Raises:
            Impossible: there is no such configuration.
            CostMistake: the function raised, or returned something else than numbers.
        """
        folder = Path.cwd()
        try:
            returned = self.call(dict(values))
        except LeniSearchError as error:
            raise error if isinstance(error, Impossible) else CostMistake(str(error)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's function raises
            raise CostMistake(f"{self.label} raised {failure_sentence(error)}, for {_shown(values)}") from None
        finally:
            os.chdir(folder)
        if returned is None:
            raise Impossible(f"{self.label} returns None for {_shown(values)}")
        return {name: self._number(name, value, values) for name, value in self._named(returned).items()}

    def _named(self, returned: Any) -> Mapping[Any, Any]:
        """What was returned, by name."""
        if self.names is not None and not isinstance(returned, Mapping):
            several = list(returned) if isinstance(returned, (tuple, list)) else [returned]
            if len(several) == len(self.names):
                return dict(zip(self.names, several, strict=True))
        if not isinstance(returned, Mapping) or not returned or (self.names and set(returned) != set(self.names)):
            right = f"of {', '.join(self.names)}" if self.names else "of names to numbers"
            raise CostMistake(f"{self.label} must return a mapping {right}, got {_shown(returned)}")
        return returned

    def _number(self, name: Any, value: Any, values: Mapping[str, Any]) -> Number:
        number = number_of(value)
        if number is None or not math.isfinite(number):
            raise CostMistake(f"{self.label} must give finite numbers, got {name}={_shown(value)} for {_shown(values)}")
        try:
            check_name(name, f"{self.label}: the name of a cost")
        except LeniSearchError as error:
            raise CostMistake(str(error)) from None
        return int(number) if isinstance(number, bool) else number


@dataclass
class KnownCosts:
    """The known costs of a search's candidates.

    Attributes:
        sources: of a user.
        ours: counts a network's parameters and multiply-adds; None in a space of a user's own parameters.
        column: of the records, of a name.
        limits: least and greatest value that is tried, by name.
        names: of all costs.
        seen: costs of the candidates that sources were tried on, by column.
        mistakes: sentences about candidates that were refused because a source gave no number; each once.
    """

    sources: tuple[Source, ...]
    ours: Callable[[Candidate], Mapping[str, Number]] | None
    column: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    seen: list[dict[str, Number]] = field(default_factory=list)
    mistakes: dict[str, None] = field(default_factory=dict)
    _kept: dict[Point, dict[str, Number] | CandidateError] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the records that the costs have."""
        return tuple(self.column[name] for name in self.names)

    @property
    def quick(self) -> bool:
        """Whether the costs of thousands of candidates can be asked for at once: expressions alone are that quick."""
        return self.ours is None and all(isinstance(source.call, Expression) for source in self.sources)

    def ranges(self) -> dict[str, tuple[Number, Number]]:
        """Least and greatest value of each cost, of the candidates that sources were tried on; none without sources."""
        columns = self.column.items() if self.seen else ()
        return {
            name: (min(costs[column] for costs in self.seen), max(costs[column] for costs in self.seen))
            for name, column in columns
        }

    def __call__(self, candidate: Point) -> dict[str, Number]:
        """Its costs, by column of the records.

        Raises:
            CandidateError: it cannot be built, is impossible, or a source gave no number for it.
        """
        if candidate not in self._kept:
            if len(self._kept) >= REMEMBERED:
                del self._kept[next(iter(self._kept))]
            try:
                costs = self.count(candidate)
                self._kept[candidate] = {self.column[name]: value for name, value in costs.items()}
            except CandidateError as error:
                self._kept[candidate] = error
                if isinstance(error, CostMistake) and self.names:
                    self.mistakes.setdefault(f"candidates are refused where their costs have no value: {error}")
        found = self._kept[candidate]
        if isinstance(found, CandidateError):
            raise found.with_traceback(None)
        return found

    def allowed(self, candidate: Point) -> dict[str, Number]:
        """Its costs, by column of the records, of a candidate that is within the limits.

        Raises:
            CandidateError: as a call does, or a cost is outside of a limit.
        """
        costs = self(candidate)
        for name, (least, most) in self.limits.items():
            low, high = -math.inf if least is None else least, math.inf if most is None else most
            if not low <= (cost := costs[self.column[name]]) <= high:
                raise CandidateError(f"{name} is {worded(cost)}, outside of {worded(low)} to {worded(high)}")
        return costs

    def count(self, candidate: Point) -> dict[str, Number]:
        """Its costs by name, counted anew.

        Raises:
            CandidateError: as a call does.
        """
        found: dict[str, Number] = dict(self.ours(candidate)) if self.ours and isinstance(candidate, Candidate) else {}
        ours = set(found)
        scope, given = scope_of(candidate), dict[str, str]()
        for source in self.sources:
            for name, value in source.costs(scope).items():
                if name in given and given[name] != source.label:
                    raise CostMistake(f"{name} is given twice, by {given[name]} and by {source.label}")
                if name in ours and (value < 1 or value % 1):
                    raise CostMistake(
                        f"{source.label} must give a whole number of at least 1 as {name} of a network, got {value}"
                    )
                given[name], found[name] = source.label, int(value) if name in ours else value
        if self.names and set(found) != set(self.names):
            raise CostMistake(
                f"the same costs must be given for every configuration, {', '.join(self.names)}, got "
                f"{', '.join(found) or 'none'} for {_shown(scope)}"
            )
        return found


def known_costs(
    spec: Spec, ours: Callable[[Candidate], Mapping[str, Number]] | None, *, first: Sequence[Point] = ()
) -> KnownCosts:
    """The known costs of a spec's candidates, tried on a few of them.

    Args:
        spec: with its space, its `costs`, and its evaluator's module.
        ours: counts a network's.
        first: candidates that are tried whatever the space holds.

    Raises:
        SpecError: a function cannot be found, gives no numbers, gives others for the same candidate when it is asked
            again, or refuses every candidate; or two sources give the same name.
    """
    found = KnownCosts(_sources(spec), ours, limits=spec.all_limits())
    if not found.sources:
        return _named(found, KNOWN if ours else (), spec)
    refused: CandidateError | None = None
    tried = 0
    for candidate in chain(first, random_candidates(spec, MOST_PROBED)):
        tried += 1
        try:
            costs, again = found.count(candidate), found.count(candidate)
        except CostMistake as mistake:
            raise SpecError(str(mistake), code="LS-COSTS") from None
        except CandidateError as error:
            refused = error
            continue
        _check_same(costs, again, candidate)
        if not found.names:
            _named(found, tuple(costs), spec)
        found.seen.append(found(candidate))
        if len(found.seen) == PROBED:
            break
    if not found.seen:
        why = "the space has none" if refused is None else f"the last because: {refused}"
        raise SpecError(
            f"none of {tried} candidates is possible by what is known before a trial; {why}", code="LS-COSTS"
        )
    return found


def _named(found: KnownCosts, names: tuple[str, ...], spec: Spec) -> KnownCosts:
    """The same costs with their names, among which all limits must be.

    Raises:
        SpecError: a limit is of something else.
    """
    for name in list(found.limits):
        if name not in names and name.replace("-", "_") in names:  # as options are written
            found.limits = {name.replace("-", "_") if one == name else one: pair for one, pair in found.limits.items()}
        elif name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            known = f"known are {', '.join(names)}" if names else "nothing is known here: see [space.known] and costs"
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SpecError(
                f"limits must be of what is known before a trial, got {name!r}; {hint}{known}", code="LS-SPEC-LIMITS"
            )
    found.names, found.column = names, {name: spec.known_column(name) for name in names}
    return found


def _check_same(costs: Mapping[str, Number], again: Mapping[str, Number], candidate: Point) -> None:
    """Costs depend on the candidate alone."""
    for name, value in costs.items():
        if again[name] != value:
            raise SpecError(
                f"what is known before a trial must depend on the configuration alone, got {name}={value} and then "
                f"{again[name]} for {_shown(scope_of(candidate))}",
                code="LS-COSTS",
            )


def _sources(spec: Spec) -> tuple[Source, ...]:
    """What a user adds, in the order of expressions, function, marked functions."""
    space, found = spec.search_space(), list[Source]()
    if isinstance(space, ParameterSpace):
        found += [Source(f"[space.known] {name}", (name,), text) for name, text in space.known.items()]
    if spec.costs is not None:
        found.append(Source(f"costs {label_of(spec.costs)!r}", None, load_function(spec.costs, what="costs")))
    if spec.evaluator is not None:
        load_function(spec.evaluator)  # its module's marks are there when it has been imported
        module = module_of(spec.evaluator)
        marked = {id(function): (name, names, function) for name, (names, function) in marked_in(module).items()}
        found += [Source(f"{module}.{name}", names, function) for name, names, function in marked.values()]
    return tuple(found)


def changed_costs(known: KnownCosts, trials: Iterable[tuple[int, Point, Mapping[str, float]]]) -> str:
    """A sentence where costs are no longer what they were when a run began; empty where they are.

    Args:
        known: the costs as they are now.
        trials: number, candidate and recorded costs of earlier ones, the first of which are looked at.
    """
    for number, candidate, before in islice(trials, PROBED) if known.sources else ():
        try:
            now = known(candidate)
        except CandidateError as error:
            return f"what is known before a trial has changed: trial {number} would be refused now ({error})"
        for column, value in before.items():
            if now.get(column) != value:
                return (
                    f"what is known before a trial has changed: {plain_name(column)} of trial {number} was {value} and "
                    f"is {now.get(column)} now; earlier trials keep what they had"
                )
    return ""


def scope_of(candidate: Point) -> dict[str, Any]:
    """A candidate's fields, or a configuration's parameters, by the names that expressions and functions see."""
    return candidate.to_dict() if isinstance(candidate, Candidate) else candidate.columns()


def worded(number: float) -> str:
    """A number for a message, a whole one without a decimal point."""
    return f"{int(number):,}" if math.isfinite(number) and number == int(number) else f"{number:,}"


def _shown(value: Any) -> str:
    text = " ".join(str(value if isinstance(value, Mapping) else repr(value)).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
