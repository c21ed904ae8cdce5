"""When a search has had enough: trials, wall time, GPU hours, or a front that no longer grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from leni.errors import SpecError
from results.indicators import hypervolume_curve, observed_bounds

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """How far a search may go. What is reached first ends it; trials that are running then run to their end.

    Of wall time they have a grace, after which they are ended too.

    Attributes:
        trials: to begin.
        wall_s: seconds since the search, or its resumption, began; None for no limit.
        gpu_s: seconds of GPUs in all, of trials that are over and of running ones; None for no limit.
        stable_trials: end when the hypervolume has not grown by `stable_threshold` over so many completed trials.
        stable_threshold: as a fraction of the hypervolume.
        grace_s: seconds that running trials have after `wall_s`; None for a twentieth of it, and 10 s at least.
        trial_s: seconds that one trial may run; None for no limit.

    Raises:
        SpecError: a limit that ends the search before it begins.
    """

    trials: int
    wall_s: float | None = None
    gpu_s: float | None = None
    stable_trials: int | None = None
    stable_threshold: float = 0.001
    grace_s: float | None = None
    trial_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("wall_s", "gpu_s", "stable_trials", "stable_threshold", "trial_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SpecError(f"{name} must be above 0, got {value!r}")

    def spent(
        self, *, begun: int, elapsed_s: float, gpu_s: float, completed: Sequence[Mapping[str, float]],
        objectives: Mapping[str, str],
    ) -> str:  # fmt: skip
        """Why no further trial begins: complete, time, gpu-hours, stable; empty while one may.

        Args:
            begun: trials so far, those that are running included.
            elapsed_s: seconds so far.
            gpu_s: seconds of GPUs so far.
            completed: values of the objectives, of every completed trial in order of completion.
            objectives: "maximize" or "minimize" by name.
        """
        if begun >= self.trials:
            return "complete"
        if self.wall_s is not None and elapsed_s >= self.wall_s:
            return "time"
        if self.gpu_s is not None and gpu_s >= self.gpu_s:
            return "gpu-hours"
        return "stable" if self.is_stable(completed, objectives) else ""

    @property
    def limits_trials(self) -> bool:
        """Whether a trial can run for too long."""
        return self.wall_s is not None or self.trial_s is not None

    def overdue(self, *, running_s: float, elapsed_s: float) -> str:
        """Why a trial must end now; empty while it may continue.

        Args:
            running_s: seconds that it has run.
            elapsed_s: seconds since the search, or its resumption, began.
        """
        if self.trial_s is not None and running_s >= self.trial_s:
            return f"it ran for longer than a trial may, {self.trial_s / 3600:g} h (max_trial_hours)"
        if self.wall_s is not None:
            grace_s = max(10.0, self.wall_s / 20) if self.grace_s is None else self.grace_s
            if elapsed_s >= self.wall_s + grace_s:
                return f"the search's {self.wall_s / 3600:g} h (max_hours) were over for {grace_s:g} s"
        return ""

    def is_stable(self, completed: Sequence[Mapping[str, float]], objectives: Mapping[str, str]) -> bool:
        """Whether the last `stable_trials` completed trials have hardly moved the hypervolume.

        The scale is that of all completed trials, so that a new extreme counts as growth.
        """
        if self.stable_trials is None or len(completed) <= self.stable_trials:
            return False
        frame = pd.DataFrame(list(completed)).assign(number=range(len(completed)), state="completed")
        bounds = observed_bounds(frame, objectives=objectives)
        curve = hypervolume_curve(frame, objectives=objectives, bounds=bounds)["hypervolume"].to_numpy()
        return bool(curve[-1] - curve[-1 - self.stable_trials] <= self.stable_threshold * curve[-1])
