"""A candidate's values of the space's dimensions, by the names that they have in an Optuna study."""

from __future__ import annotations

from typing import Any

from search.engine.asker import Point
from spaces import Configuration

__all__ = ["recipe_of"]


def recipe_of(candidate: Point) -> dict[str, Any]:
    """What a pruner is told of a trial before it begins.

    Returns:
        Of a configuration its parameters. Of a network backbone, activation, placement, learning-rate factor, the
        channels of each stage as `width.1`, ..., the activation's own options as `leni.decay`, and keys of the recipe
        as `training.lr`.
    """
    if isinstance(candidate, Configuration):
        return dict(candidate.values)
    return {
        "backbone": candidate.backbone,
        **{name: value for name, value in candidate.columns().items() if name in ("activation", "placement")},
        "lr_factor": candidate.lr_factor,
        **{f"width.{stage}": width for stage, width in enumerate(candidate.widths, start=1)},
        **{f"{part.activation}.{name}": value for part in candidate.parts for name, value in part.options},
        **{f"training.{key}": value for key, value in candidate.training},
    }
