"""A trial's trained network as a file, with a card that says what it is and how sure its accuracy is.

Where the candidate was confirmed, the network is the first of those that `confirm` kept, and its accuracy is that on
the test split. Otherwise it is trained again as in the run, and its accuracy is that on the validation split, by which
the search chose it. Never the best of several seeds: that one's accuracy would be too good.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from scipy import stats
from torch import Tensor

import results
from leni.errors import FolderError, SpecError
from results.files import replace_file
from results.stats.paired import mean_interval
from search.driver.data import spec_data
from search.export.formats import FORMATS, predictions, written
from search.export.model_card import card_text
from search.followup.recorded import (
    epoch_bars,
    keyed,
    recorded_candidate,
    threads,
    trained_record,
    trained_spec,
)
from search.spec import Spec
from search.store.checkpoints import Checkpoints
from search.store.folder import RunFolder, environment, write_text
from search.training.data import Data
from search.training.replicas import Replicas
from search.training.train import EVALUATION_BATCH
from spaces import Candidate, Exported, cost
from spaces.exported import state_on_cpu

__all__ = ["Export", "export"]

LEVEL = 0.95


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        path: the network's file.
        card: what stands in the card, NAME-card.json; NAME-card.md says the same for people.
        files: all that was written.
    """

    path: Path
    card: Mapping[str, Any]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Trained:
    """A candidate's trained networks, and the accuracies that are known of them."""

    state: Mapping[str, Tensor]
    seeds: tuple[int, ...]
    split: str
    accuracies: tuple[float, ...]
    origin: str


def export(
    folder: str | Path,
    number: int,
    *,
    form: str = "state-dict",
    out: str | Path | None = None,
    console: Console | None = None,
    quiet: bool = False,
) -> Export:
    """Write a trial's trained network and its card.

    Args:
        folder: of a run.
        number: of a completed trial.
        form: "state-dict" (read by `spaces.load_exported`), "torch-export" or "onnx".
        out: the file, or a folder for it; None for one in the run's folder.
        console: where progress goes; None for standard error.
        quiet: whether none is shown.

    Returns:
        What was written; the file has been read back, and gives the network's predictions.

    Raises:
        FolderError: no run, no such trial, none that completed, or a place that cannot be written.
        SpecError: an unknown form, one that needs a package which is missing, or trials without a network.
        DataError: the data set is missing or broken.
        EvaluationError: the training came to nothing, or the file does not give the network's predictions.
        RunUnreadable: there are no records in the folder.
    """
    _check(form)
    place = RunFolder(folder)
    spec = trained_spec(place)
    run = results.load(place.path)
    record = _completed(run, number)
    path = _path(place, number, form, out)
    candidate, data = recorded_candidate(record), spec_data(spec, console=console, quiet=quiet)
    found = _confirmed(place, candidate) or _trained_again(run, record, spec, candidate, data, console, quiet)
    exported = Exported(
        candidate, in_channels=data.input_shape[0], classes=data.classes, mean=data.mean, std=data.std,
        state=found.state,
    )  # fmt: skip
    part = data.test if found.split == "test" else data.validation
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, written(exported, part.images[:2], form))
        labels = predictions(exported, part.images, EVALUATION_BATCH)
        right, agreement = int((labels == part.labels).sum()), FORMATS[form].check(path, part.images, labels)
        checked = {"images": len(part.labels), "same_predictions": agreement}
        card = {
            "trial": number, "run": place.path.name, **_file_facts(path, form, data), "checked": checked,
            "accuracy": _accuracy(found, right, len(part.labels)), **_facts(spec, candidate, data, found),
        }  # fmt: skip
        cards = tuple(path.with_name(f"{path.stem}-card{suffix}") for suffix in (".json", ".md"))
        write_text(cards[0], json.dumps(card, indent=2) + "\n")
        write_text(cards[1], card_text(card))
    except OSError as error:
        raise FolderError(f"{path.parent} cannot be written: {error.strerror}", code="LS-FOLDER-WRITE") from None
    return Export(path, card, (path, *cards))


def _completed(run: results.Run, number: int) -> dict[str, Any]:
    """The record of a trial that has completed."""
    record = trained_record(run, number)
    if record["state"] != "completed":
        raise FolderError(
            f"trial {number} of {run.folder} was stopped early; export one that has completed", code="LS-TRIAL"
        )
    return record


def _check(form: str) -> None:
    """Raise where there is no such format, or what it needs is not installed."""
    if form not in FORMATS:
        raise SpecError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    if missing := [name for name in FORMATS[form].packages if importlib.util.find_spec(name) is None]:
        raise SpecError(
            f"the format {form} needs {' and '.join(missing)}: pip install 'leni-search[onnx]'",
            code="LS-PACKAGE-MISSING",
        )


def _path(place: RunFolder, number: int, form: str, out: str | Path | None) -> Path:
    """Where the network goes: a file of the form's own suffix, or one in a folder."""
    name = f"network{FORMATS[form].suffix}"
    if out is None:
        place.check_links()
        return place.exports / f"trial-{number:06d}-{form}" / name
    given = Path(out).expanduser()
    if given.suffix == FORMATS[form].suffix:
        return given
    if given.suffix in {row.suffix for row in FORMATS.values()} or given.is_file():
        raise FolderError(f"{given} is not a place for {form}: give a folder, or a file that ends in {name[7:]}")
    return given / name


def _confirmed(place: RunFolder, candidate: Candidate) -> _Trained | None:
    """What `confirm` kept of the candidate; None where there is nothing."""
    folder = RunFolder(place.confirm)
    if not folder.trials.is_file() or not folder.spec.is_file():
        return None
    trials = keyed(results.load(folder.path).trials)
    rows = trials[(trials["candidate"] == candidate.to_json()) & (trials["state"] == "completed")]
    if rows.empty:
        return None
    record = rows.iloc[-1]
    address = folder.weights_address(Spec.read(folder.spec).checkpoint_address())
    try:
        kept = Checkpoints(address).load(int(record["number"]))
    except FolderError:  # the network is trained again, as where none was kept
        return None
    if not isinstance(kept, Mapping) or kept.get("candidate") != candidate.to_dict():
        return None
    accuracies = tuple(json.loads(record["test_accuracies"]))
    return _Trained(kept["states"][0], tuple(kept["seeds"]), "test", accuracies, "kept by `leni-search confirm`")


def _trained_again(
    run: results.Run,
    record: Mapping[str, Any],
    spec: Spec,
    candidate: Candidate,
    data: Data,
    console: Console | None,
    quiet: bool,
) -> _Trained:
    """The trial's training once more, with its seeds, in the way and on the threads that the run chose."""
    number = record["number"]
    curve = run.curves[run.curves["number"] == number]
    seeds = tuple(int(seed) for seed in dict.fromkeys(curve["seed"])) or spec.first_seeds()
    device = "cuda" if record.get("device", "cpu") != "cpu" and torch.cuda.is_available() else "cpu"
    with threads(max(1, int(spec.cpus_per_trial))), epoch_bars(console, quiet) as watch:
        replicas = Replicas(candidate, data, spec.recipe(), seeds=seeds, device=device, how=record.get("replicas"))
        for epoch in replicas:
            watch(f"trial {number}", epoch.epoch, spec.epochs)
        network = replicas.networks()[0]
    accuracies = epoch.accuracies
    recorded = float(record["accuracy"])
    same = math.isclose(sum(accuracies) / len(accuracies), recorded, abs_tol=1e-12)
    verdict = "exactly as recorded" if same else f"not to the recorded mean accuracy of {recorded:.4f}"
    return _Trained(state_on_cpu(network), seeds, "validation", accuracies, f"trained again as in the run, {verdict}")


def _file_facts(path: Path, form: str, data: Data) -> dict[str, Any]:
    """What a reader of the file has to know."""
    row = FORMATS[form]
    return {
        "file": path.name,
        "format": form,
        "load": [line.format(file=path.name) for line in row.load],
        "input": {"name": "images", "kind": row.kind, "dtype": "uint8", "values": "0..255",
                  "shape": ["N", *data.input_shape], "normalisation": "inside the network"},
        "output": {"name": "logits", "dtype": "float32", "shape": ["N", data.classes]},
    }  # fmt: skip


def _facts(spec: Spec, candidate: Candidate, data: Data, found: _Trained) -> dict[str, Any]:
    """What the network is, and what it came from."""
    here = environment()
    costs = cost(candidate, input_shape=data.input_shape, classes=data.classes)
    sizes = {name: len(getattr(data, name).labels) for name in ("train", "validation", "test")}
    return {
        "candidate": candidate.to_dict(),
        "params": costs.params,
        "macs": costs.macs,
        "weights": found.origin,
        "seed": found.seeds[0],
        "data": {"name": data.name, "classes": data.classes, "images": sizes, "split_seed": spec.split_seed,
                 "mean": list(data.mean), "std": list(data.std), "augmentation": data.augmentation},
        "recipe": spec.recipe().changed(dict(candidate.training)).values(),
        "versions": {"python": here["python"], **here["versions"]},
        "git_revision": here["git_revision"],
    }  # fmt: skip


def _accuracy(found: _Trained, right: int, images: int) -> dict[str, Any]:
    """This network's accuracy with an interval over images, and its candidate's with one over seeds; fractions."""
    over_images = stats.binomtest(right, images).proportion_ci(LEVEL, method="wilson")
    values: Sequence[float] = found.accuracies
    ends = mean_interval(values, level=LEVEL, method="t") if len(values) > 1 else None
    return {
        "split": found.split,
        "network": right / images,
        "network_interval": [float(over_images.low), float(over_images.high)],
        "images": images,
        "mean": sum(values) / len(values),
        "mean_interval": [max(0.0, ends.low), min(1.0, ends.high)] if ends else None,
        "level": LEVEL,
        "seeds": list(found.seeds),
        "each": list(values),
    }
