"""Recipes from the literature by name, and the recipe of a request: what is given, over a named recipe or defaults."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leni.errors import SpecError
from search.training.recipe import KEYS, Recipe
from spaces.recipe_keys import OWNED

__all__ = ["NAMED", "NamedRecipe", "given_recipe", "named_recipe"]


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe that was published.

    Attributes:
        name: as `training.recipe` has it.
        epochs: of the source; a run takes them where it asks for no number of its own.
        values: keys of `Recipe`.
        source: paper and section.
        departures: what differs from the source, and why; empty where nothing does.
    """

    name: str
    epochs: int
    values: Mapping[str, Any]
    source: str
    departures: str = ""


NAMED: Mapping[str, NamedRecipe] = {
    row.name: row
    for row in (
        NamedRecipe(
            "cifar",
            200,
            {
                "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4,
                "batch_size": 128, "schedule": "step", "milestones": (0.3, 0.6, 0.8), "gamma": 0.2, "warmup": 0.0,
                "augmentation": "crop-flip",
            },
            "Zagoruyko & Komodakis, Wide Residual Networks, 1605.07146, section 3",
            "Images are padded with zeros where the paper reflects them.",
        ),
        NamedRecipe(
            "fashion",
            300,
            {
                "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 5e-4,
                "batch_size": 128, "schedule": "step", "milestones": (0.5, 0.75), "gamma": 0.1, "warmup": 0.0,
                "augmentation": "crop-flip", "erasing": 0.5,
            },
            "Zhong et al., Random Erasing Data Augmentation, 1708.04896, section 4, and the fashionmnist.py of its "
            "authors (github.com/zhunzhong07/Random-Erasing)",
            "Erased rectangles have the data set's mean colour, and torchvision's range of areas (0.02 to 0.33) and of "
            "aspect ratios.",
        ),
        NamedRecipe(
            "imagenet-a3",
            100,
            {
                "optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.02, "batch_size": 2048, "schedule": "cosine",
                "warmup": 5.0, "loss": "bce", "augmentation": "resized-crop-flip", "policy": "randaugment",
                "policy_operations": 2, "policy_magnitude": 18, "mixup": 0.1, "cutmix": 1.0,
            },
            "Wightman et al., ResNet strikes back, 2110.00476, table 2, procedure A3",
            "torch has no LAMB: AdamW at 0.0005 x batch size / 512 (Touvron et al., 2012.12877) takes its place. "
            "RandAugment's magnitude 6 of 10 is torchvision's 18 of 30, without noise on it, and its operations are "
            "torchvision's. Images are trained on at --image-size; the source trains at 160 pixels.",
        ),
    )
}  # fmt: skip
"""The recipes that `training.recipe` knows, by name."""

_BY_DATA: Mapping[str, Mapping[str, Any]] = {
    "digits": {"batch_size": 32, "lr": 0.05}
}  # a set this small needs the steps


def named_recipe(name: Any) -> NamedRecipe:
    """The published recipe of a name.

    Raises:
        SpecError: there is no recipe of this name.
    """
    if not isinstance(name, str) or name not in NAMED:
        near = difflib.get_close_matches(str(name), list(NAMED), n=1, cutoff=0.0)
        raise SpecError(f"[training] recipe must be one of {', '.join(NAMED)}, got {name!r}; {near[0]!r} is nearest")
    return NAMED[name]


def given_recipe(training: Mapping[str, Any], *, data: str, epochs: int) -> Recipe:
    """The recipe of a request.

    Args:
        training: keys of `Recipe` but epochs, and "recipe", the name of a published one that the others change.
        data: name of the data set, which decides defaults where no recipe is named.
        epochs: passes over the training part.

    Raises:
        SpecError: a key is unknown, or a value impossible.
    """
    keys = [item.name for item in KEYS if item.name != "epochs"]
    for key in training:
        if key not in (*keys, "recipe"):
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.7)  # epochs is not eps
            known = f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(keys)}"
            raise SpecError(f"[training] has no key {key!r}; {known}", code="LS-SPEC-KEY")
    given = {key: value for key, value in training.items() if key != "recipe"}
    base = named_recipe(training["recipe"]).values if "recipe" in training else _BY_DATA.get(data, {})
    return Recipe(epochs=epochs, **{**_still_meant(base, given), **given}, given=frozenset(given))


def _still_meant(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The base's values, but for those that belong to an optimizer, schedule or policy that is replaced by another."""
    first = {"optimizer": "sgd", "schedule": "cosine", "policy": "none"}
    replaced = {key for key in first if key in given and given[key] != base.get(key, first[key])}
    return {key: value for key, value in base.items() if key not in OWNED or OWNED[key].owner not in replaced}
