"""Checks a search space's dimensions of the recipe against the recipe that they change, before the first trial."""

from __future__ import annotations

from itertools import product
from typing import Any

from leni.errors import SpaceError, SpecError
from search.training.recipe import Recipe
from spaces import SearchSpace
from spaces.dimensions import Dimension, Range
from spaces.recipe_keys import OWNERS
from spaces.recipe_questions import RecipeQuestions
from spaces.walk import run_walk

__all__ = ["check_searched_recipe"]


def check_searched_recipe(space: SearchSpace, recipe: Recipe) -> None:
    """See that every value of the space's dimensions of the recipe gives a recipe that can be.

    Each choice and each end of a range is tried beside the first values of all other dimensions, for each optimizer,
    schedule and policy.

    Args:
        space: whose `training` is checked.
        recipe: of the run.

    Raises:
        SpaceError: a value cannot be; the message names it.
    """
    questions = RecipeQuestions.of(space.training)
    dimensions = questions.dimensions()
    owners = [f"training.{owner}" for owner in OWNERS if f"training.{owner}" in dimensions]
    for chosen in product(*(dimensions[owner].values() or () for owner in owners)):
        fixed = dict(zip(owners, chosen, strict=True))
        for name, values in dimensions.items():
            for value in _ends(values):
                _check(questions, recipe, {**fixed, name: value} if name not in fixed else fixed)


def _check(questions: RecipeQuestions, recipe: Recipe, wanted: dict[str, Any]) -> None:
    training = run_walk(questions.ask(), lambda name, values: wanted.get(name, questions.middle(name, values)))
    try:
        recipe.changed(dict(training))
    except SpecError as error:
        raise SpaceError(f"[space.training]: {error}") from None


def _ends(values: Dimension) -> tuple[Any, ...]:
    """The ends of a range, or all choices."""
    return (values.low, values.high) if isinstance(values, Range) else values.values() or ()
