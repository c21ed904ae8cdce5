"""Experiment trackers, through Ray Tune's own callbacks: one run of the tracker for each trial."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ray.tune import Callback

from leni.errors import SpecError
from search.folder import RunFolder

__all__ = ["tracker_callbacks"]

PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


def tracker_callbacks(names: Sequence[str], *, folder: RunFolder | None) -> list[Callback]:
    """A callback for each tracker.

    Args:
        names: of tensorboard, mlflow, wandb.
        folder: of the run, which names the experiment; None only to see that the trackers are installed.

    Raises:
        SpecError: one of them is not installed.
    """
    for name in names:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise SpecError(f"the logger {name} needs {PACKAGES[name]}: pip install 'leni-search[trackers]'")
    return [] if folder is None else [_callback(name, folder) for name in names]


def _callback(name: str, folder: RunFolder) -> Callback:
    if name == "tensorboard":
        from ray.tune.logger import TBXLoggerCallback

        return TBXLoggerCallback()
    if name == "mlflow":
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        return MLflowLoggerCallback(experiment_name=folder.path.name)
    from ray.air.integrations.wandb import WandbLoggerCallback

    return WandbLoggerCallback(project=folder.path.name)
