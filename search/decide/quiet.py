"""Optuna without its lines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna

__all__ = ["without_optunas_lines"]


@contextmanager
def without_optunas_lines() -> Iterator[None]:
    """Optuna says a line for each study and each trial; whoever shows progress says them once."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
