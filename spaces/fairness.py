"""What a fair comparison of activations needs, as every preset has it."""

from __future__ import annotations

from typing import Any

__all__ = ["FAIR", "LENI"]

FAIR = [0.3, 1.0, 3.0]
"""Factors on the learning rate, so that each activation has its own."""
LENI: dict[str, list[Any]] = {"init_std": [0.01, 0.0, 0.1], "decay": [False, True]}
"""LENI's start (the spread of K), and whether its parameters decay."""
