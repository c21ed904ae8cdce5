"""The fields of a spec: their types, defaults and descriptions, written once.

`search.spec.Spec` adds the checks that a type cannot express, and `search/cli/spec_flags.py` makes the options of `run`
and `submit` from these fields: a field that is added here has its option and its help in both. Nothing that is slow to
import (torch, Ray, Optuna) is imported here, as `--help` reads this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from search.decide.stopping.keep import KEEP

__all__ = ["Flag", "Limit", "SpecFields", "UserPath", "flag_of"]


@dataclass(frozen=True)
class Flag:
    """How a field is written on the command line, where this does not follow from its name and its type.

    Attributes:
        names: the option's names; the field's name with hyphens if there are none.
        metavar: placeholder of the value in the help.
        absent: why neither `run` nor `submit` has the option; empty where they have it.
        not_submitted: why `submit` does not have it, and why the service refuses it; empty where it is accepted.
    """

    names: tuple[str, ...] = ()
    metavar: str | None = None
    absent: str = ""
    not_submitted: str = ""


def _user_path(path: Path) -> Path:
    from search.store.user_path import user_path  # its errors come with torch

    return user_path(path)


UserPath = Annotated[Path, AfterValidator(_user_path)]


class Limit(BaseModel):
    """The least and the greatest value of a known cost that is tried, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)


class SpecFields(BaseModel):
    """One search: what can be asked for. Each field's meaning is its `description`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: Any = Field(
        "channel-compensation",
        description="Search space: a preset (see `leni-search spaces`), the path of a .toml file, or a table.",
    )
    fix: Annotated[dict[str, Any], Flag(metavar="NAME=VALUE")] = Field(
        default_factory=dict, description="Dimension of the space to hold constant, such as lr_factor=1.0."
    )
    data: str = Field(
        "digits", description="Data set (see `leni-search data`), or module:function that returns a torch data set."
    )
    data_folder: UserPath | None = Field(None, description="Folder with the data set's files; digits needs none.")
    download: Annotated[bool, Flag(not_submitted="nothing is fetched on a server's behalf")] = Field(
        False, strict=True, description="Download missing files of the data set into that folder."
    )
    train_size: int | None = Field(
        None, ge=1, strict=True, description="Number of training images to use, stratified by class; all if not given."
    )
    image_size: int | None = Field(
        None, ge=1, strict=True, description="Side in pixels to which the images of imagefolder are resized."
    )
    skip_broken: bool = Field(
        False,
        strict=True,
        description="Leave out images that cannot be read, and count them; the first one is an error otherwise.",
    )
    split_seed: int = Field(
        0, ge=0, lt=2**32, strict=True, description="Seed of the split into training, validation and test images."
    )
    objectives: Annotated[tuple[str, ...], Flag(metavar="NAME[:max|min],...")] = Field(
        ("accuracy", "params"),
        description="Objectives: of accuracy, params, macs, latency_ms, top5_accuracy, validation_loss, "
        "balanced_accuracy, macro_f1, calibration_error; of an evaluator, NAME:max or NAME:min.",
    )
    bounds: Annotated[dict[str, tuple[float, float]], Flag(metavar="NAME=LOW:HIGH")] = Field(
        default_factory=dict,
        description="Range of values of an objective that are of interest: the scale on which sampler and pruner judge "
        "what a trial adds. If not given, the sampler takes it from the trials, and accuracy ranges from 0 to 1.",
    )
    min_params: int | None = Field(
        None, ge=1, strict=True, description="Networks with fewer parameters are never trained."
    )
    max_params: int | None = Field(
        None, ge=1, strict=True, description="Networks with more parameters are never trained."
    )
    min_macs: int | None = Field(
        None, ge=1, strict=True, description="Networks with fewer multiply-adds are never trained."
    )
    max_macs: int | None = Field(
        None, ge=1, strict=True, description="Networks with more multiply-adds are never trained."
    )
    limits: Annotated[dict[str, Limit], Flag(metavar="NAME=LEAST:MOST")] = Field(
        default_factory=dict,
        description="Limits of a value that is known before a trial, by name; either end may be left out, and what is "
        "outside is never tried. --max-NAME VALUE and --min-NAME VALUE are short for it.",
    )
    trials: int = Field(24, ge=1, strict=True, description="Number of trials to begin.")
    max_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Hours after which no further trial begins."
    )
    grace_s: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after max_hours in which running trials can still end by themselves. They are then ended "
        "and recorded as failed, and a training continues when the run is resumed. If not given: a twentieth of "
        "max_hours, and at least 10 s. It is also the time that an evaluator has to end in once its trial is to stop.",
    )
    max_trial_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Hours after which a trial is ended and recorded as failed."
    )
    max_gpu_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="GPU hours, summed over all trials, after which no trial begins."
    )
    until_stable: int | None = Field(
        None,
        ge=1,
        strict=True,
        description="End the search when the hypervolume has not grown over this number of completed trials.",
    )
    stable_threshold: float = Field(
        0.001, gt=0, allow_inf_nan=False, description="Growth that until_stable counts, a fraction of the hypervolume."
    )
    epochs: int = Field(12, ge=1, strict=True, description="Epochs of every training.")
    seeds: int = Field(
        1,
        ge=1,
        le=1000,
        strict=True,
        description="Number of seeds with which every candidate is trained, at the same time where that is faster. "
        "Records have the mean, the standard deviation and each value.",
    )
    duplicates: Literal["skip", "reseed", "allow"] = Field(
        "skip",
        description="If the sampler proposes a candidate that is already finished: skip asks for another one, reseed "
        "trains the candidate with further seeds, allow trains it again with the same seeds.",
    )
    training: Annotated[dict[str, Any], Flag(metavar="NAME=VALUE")] = Field(
        default_factory=dict,
        description="Key of the training recipe: recipe (cifar, fashion or imagenet-a3), optimizer, lr, batch_size, "
        "weight_decay, schedule, warmup, label_smoothing, augmentation and others; see docs/recipes.md. On digits, "
        "batch_size is 32 and lr is 0.05 if not given.",
    )
    sampler: str | None = Field(
        None,
        description="Sampler: known-cost, tpe, nsga2, nsga3, gp, qmc or random. If not given: known-cost where an "
        "objective is known before training, otherwise tpe.",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, strict=True, description="Seed of the sampler, and the first seed of every candidate."
    )
    pruner: Annotated[str | None, Flag(names=("--pruner", "--stopper"))] = Field(
        None,
        description="Pruner (early stopping): learned, halving, asha or none; see docs/pruning.md. If not given: "
        "learned where trainings have more than 8 epochs. The older name `stopper` is accepted.",
    )
    keep: float = Field(
        KEEP,
        gt=0,
        le=1,
        strict=True,
        allow_inf_nan=False,
        description="Fraction of the hypervolume that the pruner learned keeps, by its own estimate.",
    )
    references: bool = Field(
        True, strict=True, description="Try ReLU everywhere and LENI everywhere, at full width, first."
    )
    enqueue: Annotated[UserPath | None, Flag(not_submitted="it names a file of the server")] = Field(
        None, description="File with candidates to try first, as JSON lines or a JSON list."
    )
    candidates: Annotated[tuple[str, ...], Flag(absent="`confirm` and `ablate` set it")] = Field(
        (),
        description="JSON of the only candidates to train. The sampler is then never asked; `trials` is their number.",
    )
    test: Annotated[bool, Flag(absent="it needs `candidates`")] = Field(
        False,
        strict=True,
        description="Measure the test split after every training; for `candidates` alone, since a search that sees the "
        "test split leaves nothing to test with.",
    )
    keep_weights: Annotated[bool, Flag(absent="`confirm` and `ablate` set it; `export` trains a trial again")] = Field(
        False, strict=True, description="Keep the trained networks."
    )
    warm_start: Annotated[UserPath | None, Flag(not_submitted="it names a folder of the server")] = Field(
        None,
        description="Folder of a run whose completed trials are taken over. Data, recipe and objectives must agree.",
    )
    prior: Annotated[tuple[UserPath, ...], Flag(metavar="DIR", not_submitted="it names folders of the server")] = Field(
        (),
        description="Folder of an earlier run over the same space, whose data and recipe may differ. The sampler "
        "known-cost (or gp) tries first what was good there, and uses it further as far as it helps.",
    )
    proxies: Annotated[tuple[str, ...], Flag(names=("--proxy",), metavar="NAME")] = Field(
        (),
        description="Zero-cost proxy of the untrained networks: synflow, grad or naswot. The sampler known-cost (or "
        "gp) uses it as it uses `prior`.",
    )
    evaluator: str | None = Field(None, description="module:function that is called in place of a training.")
    costs: str | None = Field(
        None,
        description="module:function that is called with a configuration and returns what is known of it before a "
        "trial, by name. It raises search.Impossible, or returns None, for a configuration that cannot be.",
    )
    cpus_per_trial: float = Field(
        1.0, gt=0, strict=True, allow_inf_nan=False, description="CPUs of one trial; a fraction shares one."
    )
    gpus_per_trial: float | None = Field(
        None,
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="GPUs of one trial; a fraction shares one. If not given: 1 where this machine has one.",
    )
    resources: Annotated[str | dict[str, Any] | None, Flag(metavar="MODULE:FUNCTION")] = Field(
        None,
        description="CPUs and GPUs of each trial by its configuration: module:function that returns cpus, gpus or "
        "both; in a spec also a table of expressions, as gpus = '1 if width < 64 else 4'.",
    )
    workers: int | None = Field(
        None, ge=1, strict=True, description="Largest number of trials at the same time; as many as fit if not given."
    )
    address: Annotated[str | None, Flag(not_submitted="the service knows where its searches run")] = Field(
        None, description="Address of a Ray cluster to join; one on this machine is started if not given."
    )
    retries: int = Field(
        2,
        ge=0,
        strict=True,
        description="Number of times that a trial continues elsewhere after its process or node died.",
    )
    checkpoint_s: float = Field(
        5.0, ge=0, allow_inf_nan=False, description="Least number of seconds between two checkpoints of a training."
    )
    checkpoints: Annotated[str | None, Flag(not_submitted="the service keeps them in the search's folder")] = Field(
        None,
        description="Where checkpoints are kept: a folder that all nodes see, or an fsspec address; in the run's "
        "folder if not given.",
    )
    storage: Annotated[str | None, Flag(not_submitted="the service keeps the study in the search's folder")] = Field(
        None,
        description="Address of the study's database, postgresql://user@host/name; SQLite in the run's folder if not "
        "given.",
    )
    patience_s: float = Field(
        180.0, ge=0, allow_inf_nan=False, description="Seconds to wait for a database that does not answer."
    )
    loggers: Annotated[tuple[str, ...], Flag(names=("--logger",), metavar="NAME")] = Field(
        (), description="Experiment tracker that receives every trial: tensorboard, mlflow or wandb."
    )
    lock: Annotated[bool, Flag(not_submitted="the service locks the folders of its searches")] = Field(
        True,
        strict=True,
        description="Lock the run's folder against a second process; --no-lock is for file systems without locks.",
    )
    out: Annotated[UserPath | None, Flag(not_submitted="the service has a folder for each search")] = Field(
        None, description="Folder of the run; the next free one under runs/ if not given."
    )


def flag_of(name: str) -> Flag:
    """How a field is written on the command line.

    Args:
        name: of the field.
    """
    found = [part for part in SpecFields.model_fields[name].metadata if isinstance(part, Flag)]
    return found[0] if found else Flag()
