"""A trial's network and its ReLU baseline, trained again: what their activations keep, on the validation images.

A run keeps no weights, and needs none: on the CPU a training is a function of candidate, data, recipe, seed and torch's
thread count, all of which the run's folder has. Whether the training came out as the record has it is said, not
assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

import results
from leni.errors import EvaluationError
from leni.negative_information import SiteInformation, information
from search.driver.data import spec_data
from search.followup.recorded import epoch_bars, recorded_candidate, threads, trained_record, trained_spec
from search.spec import Spec
from search.store.folder import RunFolder, environment
from search.training.augment import normalise
from search.training.data import Data
from search.training.train import EVALUATION_BATCH, Epoch, Training
from spaces import Candidate
from spaces.backbones.sites import OWN

__all__ = ["Inspection", "inspect"]

TWIN = "ReLU baseline"


@dataclass(frozen=True)
class Inspection:
    """A trial's network compared with its ReLU baseline.

    Attributes:
        number: of the trial.
        candidate: what the trial tried.
        rows: records of `leni.information`: the network's, named after its activation, then the baseline's.
            The baseline's are left out where the candidate has nothing but ReLU.
        accuracy: on the validation part, 0..1, of the network trained again.
        recorded: the same as the run recorded it, of this seed; None if it recorded none.
        loss: mean training loss of its last epoch, which tells networks apart that are right equally often.
        recorded_loss: the same as recorded; None if the run recorded none.
        twin_accuracy: of the ReLU baseline; None where the candidate has nothing but ReLU.
        device: what was trained on.
        differences: what the run's numbers depended on and these do not, in words; empty where they agree.
    """

    number: int
    candidate: Candidate
    rows: tuple[SiteInformation, ...]
    accuracy: float
    recorded: float | None
    loss: float
    recorded_loss: float | None
    twin_accuracy: float | None
    device: str
    differences: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the training came out exactly as recorded."""
        return self.accuracy == self.recorded and self.recorded_loss in (None, self.loss)

    @property
    def verdict(self) -> str:
        """One sentence on that."""
        text = f"validation accuracy {self.accuracy:.4f}"
        if self.recorded is None:
            return f"{text}; the run recorded none"
        if self.same:
            return f"{text}, exactly as recorded"
        what = f"{text}, not the recorded {self.recorded:.4f}"
        if self.accuracy == self.recorded:
            what = f"{text} as recorded, but a training loss of {self.loss:.6g}, not {self.recorded_loss:.6g}"
        why = f"; the run had {', '.join(self.differences)}" if self.differences else ""
        return f"{what}, so this is another network than the run's{why}"

    def figure(self) -> Any:
        """See `results.information_figure`."""
        title = f"Trial {self.number}: what its activations keep"
        twin = "" if self.twin_accuracy is None else f"; {TWIN} {self.twin_accuracy:.4f}"
        return results.information_figure(pd.DataFrame(self.rows), title=title, subtitle=f"{self.verdict}{twin}")


def inspect(folder: str | Path, number: int, *, console: Console | None = None, quiet: bool = False) -> Inspection:
    """Train a trial's network again, and its baseline with ReLU at every site, and measure both.

    Args:
        folder: of a run.
        number: of a completed or stopped trial; a stopped one is trained as far as the run did, one of several seeds
            with the first of them.
        console: where progress goes; None for standard error.
        quiet: whether none is shown.

    Returns:
        What came of it. Torch's thread count is the run's meanwhile, and afterwards what it was.

    Raises:
        FolderError: the folder has no spec, no such trial, or nothing was trained in it.
        SpecError: the run's evaluator is a user's function, so that there is no network.
        RunUnreadable: there are no records in the folder.
        DataError: the data set is missing or broken.
        EvaluationError: a loss is not finite.
    """
    place = RunFolder(folder)
    spec = trained_spec(place)
    run = results.load(place.path)
    record = trained_record(run, number)
    candidate = recorded_candidate(record)
    relu = replace(candidate, activation=OWN, options=(), placement="all", also=())
    data = spec_data(spec, console=console, quiet=quiet)
    recorded_device = str(record.get("device", "cpu"))
    device = "cuda" if recorded_device != "cpu" and torch.cuda.is_available() else "cpu"
    epochs = int(record.get("epochs", spec.epochs))
    seed, recorded, recorded_loss = _first_seed(run, record, spec)
    names = {f"trial {number}": candidate}
    if any(part.activation not in (OWN, relu.activation) for part in candidate.parts):
        names[f"the {TWIN} of trial {number}"] = relu
    trainings, ends = [], []
    with threads(max(1, int(spec.cpus_per_trial))), epoch_bars(console, quiet) as watch:
        for name, wanted in names.items():
            trainings.append(Training(wanted, data, spec.recipe(), seed=seed, device=device))
            ends.append(_train(trainings[-1], epochs, name, watch))
        twin = trainings[1].evaluated if len(trainings) > 1 else None
        rows = information(trainings[0].evaluated, _validation(data), twin=twin, names=(candidate.activation, TWIN))
    used = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return Inspection(
        number=number,
        candidate=candidate,
        rows=tuple(rows),
        accuracy=ends[0].accuracy,
        recorded=recorded,
        loss=ends[0].loss,
        recorded_loss=recorded_loss,
        twin_accuracy=ends[1].accuracy if twin is not None else None,
        device=used,
        differences=_differences(run, record, used),
    )


def _first_seed(run: results.Run, record: Mapping[str, Any], spec: Spec) -> tuple[int, float | None, float | None]:
    """The first seed that a trial was trained with, and the accuracy and loss of its last epoch."""
    curve = run.curves[run.curves["number"] == record["number"]]
    if curve.empty:
        return spec.seed, record.get("accuracy"), None
    first = curve["seed"].iloc[0]
    last = curve[curve["seed"] == first].iloc[-1]
    accuracy, loss = (None if pd.isna(last[name]) else float(last[name]) for name in ("accuracy", "loss"))
    # Runs number their seeds from the spec's on; where a curve says 0 for want of a seed, it is the spec's own.
    return max(int(first), spec.seed), accuracy, loss


def _differences(run: results.Run, record: Mapping[str, Any], device: str) -> tuple[str, ...]:
    """What the numbers of a training depend on, where the run had it otherwise."""
    now, then = environment(), run.environment
    torch_then = dict(then.get("versions") or {}).get("torch")
    pairs = [
        (record.get("device", device), device, "device"),
        (torch_then, now["versions"]["torch"], "torch"),
        (then.get("processor"), now["processor"], "processor"),
        (then.get("git_revision"), now["git_revision"], "revision"),
    ]
    found = [f"{name} {was}" for was, here, name in pairs if was and here and was != here]
    if record.get("seeds", 1) > 1:
        found.append(f"{record['seeds']} seeds, trained at once")
    return tuple(found)


def _train(training: Training, epochs: int, name: str, watch: Callable[[str, int, int], None]) -> Epoch:
    """The last of so many epochs; the schedule is the whole recipe's, as in the run."""
    watch(name, 0, epochs)
    try:
        for epoch in training:
            watch(name, epoch.epoch, epochs)
            if epoch.epoch >= epochs:
                break
    except EvaluationError as error:
        raise EvaluationError(f"{name}: {error}") from None
    return epoch


def _validation(data: Data) -> Iterator[torch.Tensor]:
    """The validation images as networks see them."""
    for images in data.validation.images.split(EVALUATION_BATCH):
        yield normalise(images, data.mean, data.std)
