"""Experiment trackers, through Ray Tune's own callbacks: a run of the tracker a trial, and a parent with the front.

TensorBoard's files go to the run's folder, under ray/. MLflow is the one of MLFLOW_TRACKING_URI, else a file mlflow.db
in the run's folder; Weights & Biases is as `wandb` itself is set up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Sequence
from typing import Any, Protocol

from ray.tune import Callback
from rich.console import Console

from leni.errors import SpecError
from search.execute.telling import telling
from search.store.folder import RunFolder
from search.store.secrets import masked

__all__ = ["Tracker", "check_trackers", "finish", "trackers"]

PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


class Tracker(Protocol):
    """One tracker during one run."""

    callback: Callback

    def finish(self) -> None:
        """Give the parent the front's table and figure, which are in the run's folder now."""


def check_trackers(names: Sequence[str]) -> None:
    """See that trackers are installed.

    Raises:
        SpecError: one is not; it names the extra that installs them.
    """
    for name in names:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise SpecError(
                f"the logger {name} needs {PACKAGES[name]}: pip install 'leni-search[trackers]'",
                code="LS-PACKAGE-MISSING",
            )


def trackers(names: Sequence[str], folder: RunFolder) -> list[Tracker]:
    """Begin to track a run.

    Args:
        names: of tensorboard, mlflow, wandb.
        folder: of the run; its name is the experiment's.

    Raises:
        SpecError: a tracker cannot begin: its server does not answer, or nobody is logged in.
    """
    begun: list[Tracker] = []
    for name in names:
        try:
            begun.append(_KINDS[name](folder))
        except Exception as error:  # noqa: BLE001 - a tracker raises whatever its server and its login make it raise
            raise SpecError(
                f"the logger {name} cannot begin: {masked(' '.join(str(error).split()))[:300]}", code="LS-TRACKER"
            ) from None
    return begun


def finish(begun: Sequence[Tracker], console: Console) -> None:
    """Give every tracker the front; one that cannot take it costs a line, and nothing of the run."""
    for tracker in begun:
        try:
            tracker.finish()
        except Exception as error:  # noqa: BLE001 - as above
            reason = masked(" ".join(str(error).split()))[:300]
            console.print(f"{type(tracker).__name__} did not take the front: {reason}", markup=False, soft_wrap=True)
        if missed := getattr(tracker.callback, "missed", []):
            text = f"{type(tracker).__name__} could not be told of {len(missed):,} events, first: {masked(missed[0])}"
            console.print(text, markup=False, soft_wrap=True)


class TensorBoard:
    """Event files beside Tune's own."""

    def __init__(self, folder: RunFolder) -> None:
        from ray.tune.logger import TBXLoggerCallback

        self.folder, self.callback = folder, telling(TBXLoggerCallback)()

    def finish(self) -> None:
        """An image and a table in event files of their own."""
        import numpy as np
        from PIL import Image
        from tensorboardX import SummaryWriter

        with SummaryWriter(str(self.folder.ray / "front")) as writer:
            picture = np.asarray(Image.open(self.folder.figures[1]).convert("RGB"))
            writer.add_image("front", picture, dataformats="HWC")
            writer.add_text("front", "    " + self.folder.front.read_text().replace("\n", "\n    "))


class MLflow:
    """A run a trial, below one of the search."""

    def __init__(self, folder: RunFolder) -> None:
        import mlflow
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.path / 'mlflow.db'}"
        self.folder, self.client = folder, mlflow.MlflowClient(address)
        name = folder.path.name
        experiment = self.client.get_experiment_by_name(name)
        place = None if os.environ.get("MLFLOW_TRACKING_URI") else (folder.path / "mlartifacts").as_uri()
        number = (
            experiment.experiment_id if experiment else self.client.create_experiment(name, artifact_location=place)
        )
        self.parent = self.client.create_run(number, run_name=name).info.run_id
        tags = {"mlflow.parentRunId": self.parent}
        self.callback = telling(MLflowLoggerCallback)(tracking_uri=address, experiment_name=name, tags=tags)

    def finish(self) -> None:
        """The front's files as the parent's artifacts."""
        for path in (self.folder.front, *self.folder.figures, self.folder.spec):
            self.client.log_artifact(self.parent, str(path))
        self.client.set_terminated(self.parent)


class WeightsAndBiases:
    """A run a trial, in one group, and one of the search."""

    def __init__(self, folder: RunFolder) -> None:
        from ray.air.integrations.wandb import WandbLoggerCallback

        self.folder = folder
        self.callback = telling(WandbLoggerCallback)(project="leni-search", group=folder.path.name)

    def finish(self) -> None:
        """The front's files as files of a run of its own."""
        import wandb

        name = self.folder.path.name
        with wandb.init(project="leni-search", group=name, name=f"{name}-front", job_type="front") as run:
            run.log({"front": wandb.Image(str(self.folder.figures[1]))})
            for path in (self.folder.front, *self.folder.figures):
                run.save(str(path), base_path=str(self.folder.path), policy="now")


_KINDS: dict[str, Any] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WeightsAndBiases}
