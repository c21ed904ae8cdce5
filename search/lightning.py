"""A Lightning callback that reports to a search: what a `LightningModule` logs becomes the trial's learning curve.

    from search.lightning import ReportCallback

    def evaluate(config, report):
        trainer = Trainer(max_epochs=config["epochs"], callbacks=[ReportCallback(report)])
        trainer.fit(Model(config["lr"]), train_loader, validation_loader)
        return {"accuracy": trainer.callback_metrics["val_acc"]}

It needs the extra `leni-search[lightning]`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["ReportCallback"]

CHECKPOINT = "lightning.ckpt"


class ReportCallback(Callback):
    """Reports after every validation, and ends the training where the trial is to stop.

    Args:
        report: the second argument of the user's function.
        metrics: name in the report by name in `trainer.callback_metrics`; None for all that was logged.
        checkpoint: whether each report brings a checkpoint, a folder with the file `lightning.ckpt`.
    """

    def __init__(
        self,
        report: Callable[..., bool],
        metrics: Mapping[str, str] | None = None,
        *,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.report, self.metrics, self.checkpoint = report, metrics, checkpoint

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report what has been logged; the step is the number of finished epochs."""
        if trainer.sanity_checking or trainer.global_rank != 0:
            return
        logged = trainer.callback_metrics
        names = dict.fromkeys(logged) if self.metrics is None else self.metrics
        found = {given or name: logged[name] for name, given in names.items() if name in logged}
        if self._reported(trainer, found):
            trainer.should_stop = True

    def _reported(self, trainer: Trainer, found: Mapping[str, Any]) -> bool:
        step = trainer.current_epoch + 1
        if not self.checkpoint:
            return self.report(found, step=step)
        with tempfile.TemporaryDirectory(prefix="leni-lightning-") as folder:
            trainer.save_checkpoint(Path(folder, CHECKPOINT))
            return self.report(found, checkpoint=folder, step=step)
