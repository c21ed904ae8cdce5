"""CPUs and GPUs of each trial: the same for all, or by `[resources]` as the configuration says.

    [resources]
    cpus = 2
    gpus = "1 if width < 64 else 4"

Expressions (`spaces.expressions`) see the candidate's fields or the configuration's parameters, and what is known of it
before its trial, as params and macs of a network. A function (`resources = "module:function"`) is called with the same
values as one mapping, and returns a mapping with cpus, gpus or both. What is not said is cpus_per_trial or
gpus_per_trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from leni.errors import CandidateError, LeniSearchError, SpecError
from results.names import plain_name
from search.driver.known_costs import KnownCosts, scope_of
from search.driver.sample import random_candidates
from search.engine.asker import Point
from search.engine.needs import Capacity, Needs
from search.spec import Spec
from search.training.given_functions import label_of
from search.training.metrics import number_of
from search.training.user_functions import failure_sentence, load_function
from spaces.expressions import Expression

__all__ = ["TrialResources", "trial_resources"]

PROBED = 16  # candidates that the expressions or the function are tried on
KEYS: Mapping[str, str] = {"cpus": "cpus", "cpu": "cpus", "CPU": "cpus", "gpus": "gpus", "gpu": "gpus", "GPU": "gpus"}
"""What a function may call them: our names, and Ray's."""


class ResourceMistake(CandidateError):
    """Resources that no trial can have."""

    code = "LS-RESOURCES"


@dataclass
class TrialResources:
    """What each trial needs.

    Attributes:
        usual: where nothing else is said.
        rule: gives cpus, gpus or both by the values of a candidate; None where every trial needs the usual.
        known: costs that the rule sees.
        label: of the rule, for messages.
        seen: what the candidates need that the rule was tried on.
        mistakes: sentences about candidates that were refused because the rule gave nothing usable; each once.
    """

    usual: Needs
    rule: Callable[[Mapping[str, Any]], Any] | None
    known: KnownCosts
    label: str = "resources"
    seen: list[Needs] = field(default_factory=list)
    mistakes: dict[str, None] = field(default_factory=dict)
    _kept: dict[Point, Needs] = field(default_factory=dict)

    def range(self) -> tuple[Needs, Needs]:
        """The least and the most of CPUs and GPUs, of the candidates that were looked at."""
        seen = self.seen or [self.usual]
        cpus, gpus = sorted(one.cpus for one in seen), sorted(one.gpus for one in seen)
        return Needs(cpus[0], gpus[0]), Needs(cpus[-1], gpus[-1])

    def __call__(self, candidate: Point) -> Needs:
        """What a candidate's trial needs.

        Raises:
            CandidateError: the rule gives nothing usable for it, or it is itself impossible.
        """
        if self.rule is None:
            return self.usual
        if candidate not in self._kept:
            self._kept[candidate] = self._needs(candidate, self.rule)
        return self._kept[candidate]

    def check(self, candidate: Point, capacity: Capacity | None) -> None:
        """Refuse a candidate whose trial could not run.

        Args:
            candidate: to be tried.
            capacity: what the machines have; None where that is not known.

        Raises:
            CandidateError: no machine has what it needs, or the rule gives nothing usable.
        """
        try:
            needs = self(candidate)
            if capacity is not None and not capacity.holds(needs):
                raise ResourceMistake(f"{self.label} asks for {needs}, and no machine has as much")
        except ResourceMistake as mistake:
            self.mistakes.setdefault(f"candidates are refused: {mistake}")
            raise

    def _needs(self, candidate: Point, rule: Callable[[Mapping[str, Any]], Any]) -> Needs:
        costs = {plain_name(column): value for column, value in self.known(candidate).items()}
        values = {**costs, **scope_of(candidate)}
        try:
            given = rule(dict(values))
        except LeniSearchError as error:
            raise ResourceMistake(str(error)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's function raises
            raise ResourceMistake(f"{self.label} raised {failure_sentence(error)}") from None
        if not isinstance(given, Mapping) or not given or not set(given) <= set(KEYS):
            raise ResourceMistake(f"{self.label} must return a mapping with cpus, gpus or both, got {given!r}")
        numbers = {KEYS[name]: self._number(name, value) for name, value in given.items()}
        return Needs(numbers.get("cpus", self.usual.cpus), numbers.get("gpus", self.usual.gpus))

    def _number(self, name: str, value: Any) -> float:
        number = number_of(value)
        gpus = KEYS[name] == "gpus"
        if number is None or not math.isfinite(number) or number < 0 or (number == 0 and not gpus):
            least = "at least 0" if gpus else "above 0"
            raise ResourceMistake(f"{self.label}: {name} must be a finite number {least}, got {value!r}")
        if gpus and number > 1 and number % 1:
            raise ResourceMistake(f"{self.label}: {name} above 1 must be a whole number, got {value!r}")
        return float(number)


def trial_resources(spec: Spec, known: KnownCosts, *, gpus: float, first: Sequence[Point] = ()) -> TrialResources:
    """What the trials of a spec need, tried on a few candidates.

    Args:
        spec: with its `resources`.
        known: costs of its candidates.
        gpus: of a trial of which nothing else is said.
        first: candidates that are tried before any other.

    Raises:
        SpecError: the rule gives nothing usable, or asks for something else when it is asked again.
    """
    found = TrialResources(Needs(spec.cpus_per_trial, gpus), _rule(spec), known)
    if found.rule is None:
        return found
    found.label = (
        "[resources]" if isinstance(spec.resources, Mapping) else f"resources {label_of(str(spec.resources))!r}"
    )
    for candidate in islice(chain(first, random_candidates(spec, PROBED, check=known.allowed)), PROBED):
        try:
            needs, again = found._needs(candidate, found.rule), found._needs(candidate, found.rule)
        except ResourceMistake as mistake:
            raise SpecError(str(mistake), code="LS-RESOURCES") from None
        except CandidateError:  # one of `first` that is impossible
            continue
        if needs != again:
            raise SpecError(f"{found.label} must depend on the configuration alone, got {needs} and then {again}")
        found.seen.append(needs)
    if not found.seen:
        raise SpecError(f"{found.label}: there is no candidate that is possible and within the limits")
    return found


def _rule(spec: Spec) -> Callable[[Mapping[str, Any]], Any] | None:
    """The expressions or the function that say what a trial needs."""
    if spec.resources is None:
        return None
    if isinstance(spec.resources, str):
        return load_function(spec.resources, what="resources")
    expressions = {name: Expression(text, f"resources.{name}") for name, text in spec.resources.items()}
    return lambda values: {name: expression(values) for name, expression in expressions.items()}
