"""Objectives as a spec and options have them: NAME:max or NAME:min, and which of ours need no direction."""

from __future__ import annotations

from collections.abc import Sequence

from leni.errors import SpecError

__all__ = ["DIRECTIONS", "OBJECTIVES", "check_objectives", "parsed_objective"]

OBJECTIVES = {
    "accuracy": "maximize", "params": "minimize", "macs": "minimize", "latency_ms": "minimize",
    "top5_accuracy": "maximize", "validation_loss": "minimize", "balanced_accuracy": "maximize", "macro_f1": "maximize",
    "calibration_error": "minimize",
}  # fmt: skip
DIRECTIONS = {"max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize"}


def parsed_objective(text: str) -> tuple[str, str]:
    """NAME:max as name and direction; the direction is empty where there is none."""
    name, colon, direction = text.rpartition(":")
    return (name, direction) if colon else (text, "")


def check_objectives(objectives: Sequence[str], *, trained: bool, own: bool) -> None:
    """See that objectives can be optimised.

    Args:
        objectives: NAME, NAME:max or NAME:min.
        trained: whether a network of ours is trained, so that accuracy must be among them and no other than ours.
        own: whether the space is of a user's own parameters, so that any direction is possible.

    Raises:
        SpecError: a name is missing, unknown or there twice, or a direction is missing or impossible.
    """
    names = [name for name, _ in map(parsed_objective, objectives)]
    if trained and (unknown := [name for name in names if name not in OBJECTIVES]):
        raise _wrong(f"objectives must be of {', '.join(OBJECTIVES)}, got {unknown[0]!r}")
    if trained and (len(set(names)) != len(names) or "accuracy" not in names):
        raise _wrong(f"objectives must hold accuracy, and each once, got {', '.join(objectives)}")
    if len(set(names)) != len(names) or not all(names) or not names:
        raise _wrong(f"objectives must be there, each once, got {', '.join(objectives)}")
    for text in objectives:
        _check_direction(text, own=own)


def _check_direction(text: str, *, own: bool) -> None:
    """An objective's direction is one, and that of ours where it is ours."""
    name, direction = parsed_objective(text)
    if direction and direction not in DIRECTIONS:
        raise _wrong(f"objective {name} must be NAME:max or NAME:min, got {text!r}")
    if not direction and name not in OBJECTIVES:
        raise _wrong(f"objective {name} needs a direction: {name}:max or {name}:min")
    if name in OBJECTIVES and direction and DIRECTIONS[direction] != OBJECTIVES[name] and not own:
        raise _wrong(f"objective {name} is to {OBJECTIVES[name]}, got {text!r}")


def _wrong(sentence: str) -> SpecError:
    return SpecError(sentence, code="LS-SPEC-OBJECTIVES")
