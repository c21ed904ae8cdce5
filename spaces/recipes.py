"""Other recipes of one network: the same candidate at other learning rates, starts and decays."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from leni.errors import CandidateError
from spaces.assigned import activation_row
from spaces.candidate import Candidate

__all__ = ["RECIPE_OPTIONS", "other_recipes"]

WIDEST = 9.0  # factor between the candidate's own learning rate and the most extreme one
RECIPE_OPTIONS: dict[str, tuple[Any, ...]] = {"init_std": (0.01, 0.0, 0.1), "decay": (False, True)}
"""Options that are a matter of training, not of what a network is, and the values that are tried."""
PATIENCE = 64  # recipes that are made in vain before there are taken to be no more


def other_recipes(candidate: Candidate, count: int, *, held: Collection[str] = ()) -> tuple[Candidate, ...]:
    """A candidate at its own recipe, and at others that are spread evenly.

    The learning rate's factor is spread in its logarithm, up to nine times up and down; options of the activation that
    are a matter of training (`RECIPE_OPTIONS`) take turns. The recipes are the same ones, relative to its own, for
    every candidate that has the same options.

    Args:
        candidate: the network.
        count: of recipes, its own included, at least 1.
        held: names that keep the candidate's own value: lr_factor, init_std, decay.

    Returns:
        The candidates, its own first; fewer than count where there are not so many.

    Raises:
        CandidateError: count is below 1.

    Example:
        >>> base = Candidate("resnet8", (4, 8, 16), "relu")
        >>> [each.lr_factor for each in other_recipes(base, 3)]
        [1.0, 0.333, 3.0]
    """
    if count < 1:
        raise CandidateError(f"a search of recipes needs at least one, got {count}")
    options = activation_row(candidate.activation).options
    choices = {name: values for name, values in RECIPE_OPTIONS.items() if name in options and name not in held}
    found = {candidate: None}
    vain = 0
    for step in _steps():
        if len(found) >= count or vain > PATIENCE:
            break
        factor = 1.0 if "lr_factor" in held else WIDEST ** (2.0 * _spread(step, 2) - 1.0)
        chosen = dict(candidate.options)
        for base, (name, values) in zip((3, 5), choices.items(), strict=False):
            chosen[name] = values[int(_spread(step, base) * len(values))]
        made = replace(candidate, lr_factor=float(f"{candidate.lr_factor * factor:.3g}"), options=tuple(chosen.items()))
        vain = vain + 1 if made in found else 0
        found[made] = None
    return tuple(found)


def _steps() -> Iterator[int]:
    """Places of the sequence; the first one would be the candidate's own rate again."""
    return itertools.count(2)


def _spread(step: int, base: int) -> float:
    """The radical inverse of a whole number, in [0, 1): van der Corput's sequence."""
    share, scale = 0.0, 1.0
    while step:
        step, digit = divmod(step, base)
        scale /= base
        share += digit * scale
    return share
