"""What a sampler has answered: a candidate to try, and what a storage keeps of where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution

from spaces import Candidate, Configuration

__all__ = ["Asked", "Point"]

Point = Candidate | Configuration


@dataclass(frozen=True)
class Asked:
    """A candidate to try, and what a storage keeps of where it came from.

    Attributes:
        candidate: what to try.
        parameters: its answers to the space's dimensions, with their `distributions`; empty where it lies outside.
        trial: number of the sampler's own trial, None where the sampler does not know of it.
        repeat: how often it has been tried before, with other seeds.
        attributes: what the sampler has noted at its trial, and needs again after a resume.
    """

    candidate: Point
    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    trial: int | None
    repeat: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
