"""The spec: everything a search is told, from TOML, flags or Python, checked before anything starts."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leni.errors import LeniSearchError, SpecError
from search.decide.samplers import sampler
from search.training.data import describe, names
from search.training.recipe import Recipe
from spaces import SearchSpace, space

__all__ = ["OBJECTIVES", "Spec"]

OBJECTIVES = {"accuracy": "maximize", "params": "minimize", "macs": "minimize"}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "digits": {"batch_size": 32, "lr": 0.05}
}  # a set this small needs the steps


class Spec(BaseModel):
    """One search.

    Attributes:
        space: name of a preset, path of a TOML file, or a table (`spaces.SearchSpace`).
        fix: dimensions held constant, by name: {"lr_factor": 1.0}.
        data: name of a data set.
        data_folder: where its files are; digits needs none.
        download: whether files that are missing may be fetched; nothing is otherwise.
        train_size: stratified part of the training images, a count; None for all.
        image_size: side in pixels that imagefolder's images are brought to.
        split_seed: of the split into training, validation and test.
        objectives: of accuracy, params, macs; accuracy first.
        trials: how many to begin.
        epochs: of every training.
        training: the rest of the recipe (`search.training.Recipe`): lr, batch_size, weight_decay, ...; digits has a
            batch_size of 32 and an lr of 0.05 unless they are given.
        sampler: tpe, nsga2, nsga3, gp, qmc or random.
        seed: of the sampler and of every training.
        references: whether ReLU and LENI everywhere at full width are tried first.
        evaluator: `module:function` in place of a training.
        cpus_per_trial: CPUs of one trial; fractions share one.
        gpus_per_trial: GPUs of one trial; fractions share one; None for one where there is one.
        workers: trials at once, at most; None for as many as fit.
        address: of a Ray cluster; None for one on this machine.
        out: the run's folder; None for the next free one under runs/.

    Raises:
        SpecError: one sentence that says which key is wrong, where, and what would be right.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    space: str | dict[str, Any] | SearchSpace = "channel-compensation"
    fix: dict[str, Any] = Field(default_factory=dict)
    data: str = "digits"
    data_folder: Path | None = None
    download: bool = Field(False, strict=True)
    train_size: int | None = Field(None, ge=1, strict=True)
    image_size: int | None = Field(None, ge=1, strict=True)
    split_seed: int = Field(0, ge=0, lt=2**32, strict=True)
    objectives: tuple[str, ...] = ("accuracy", "params")
    trials: int = Field(24, ge=1, strict=True)
    epochs: int = Field(12, ge=1, strict=True)
    training: dict[str, Any] = Field(default_factory=dict)
    sampler: str = "tpe"
    seed: int = Field(0, ge=0, lt=2**31, strict=True)
    references: bool = Field(True, strict=True)
    evaluator: str | None = None
    cpus_per_trial: float = Field(1.0, gt=0, strict=True, allow_inf_nan=False)
    gpus_per_trial: float | None = Field(None, ge=0, strict=True, allow_inf_nan=False)
    workers: int | None = Field(None, ge=1, strict=True)
    address: str | None = None
    out: Path | None = None

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_sentence(error)) from None

    @model_validator(mode="after")
    def _check(self) -> Spec:
        """What pydantic's types do not say; each of these raises an error that names what is wrong."""
        sampler(self.sampler, seed=self.seed)
        self.recipe()
        self.search_space()
        if unknown := [name for name in self.objectives if name not in OBJECTIVES]:
            raise SpecError(f"objectives must be of {', '.join(OBJECTIVES)}, got {unknown[0]!r}")
        if len(set(self.objectives)) != len(self.objectives) or "accuracy" not in self.objectives:
            raise SpecError(f"objectives must hold accuracy, and each once, got {', '.join(self.objectives)}")
        if self.evaluator is None and self.data not in names():
            describe(self.data)
        return self

    @classmethod
    def read(cls, path: str | Path | None, **flags: Any) -> Spec:
        """A spec from a TOML file, with flags over it.

        Args:
            path: of the file; None for defaults and flags alone.
            flags: values by key; None is as if it were not given. Of `fix` and `training`, key by key.

        Raises:
            SpecError: the file cannot be read or is no TOML, or as the class; the message names the file.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        if path is None:
            return cls(**given)
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SpecError(f"{path}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SpecError(f"{path} is not a TOML file: {error}") from None
        for key in ("fix", "training"):
            given[key] = {**_table(table, key, path), **given.get(key, {})}
        try:
            return cls(**{**table, **given})
        except LeniSearchError as error:
            raise SpecError(f"{path}: {error}") from None

    def search_space(self) -> SearchSpace:
        """The space, with what is fixed in it.

        Raises:
            SpaceError: it does not exist, cannot be read, or has no dimension that is to be fixed.
        """
        if isinstance(self.space, SearchSpace):
            found = self.space
        else:
            found = space(self.space) if isinstance(self.space, str) else SearchSpace.from_dict(self.space)
        return found.fix(self.fix)

    def recipe(self) -> Recipe:
        """The training recipe.

        Raises:
            SpecError: [training] has an unknown key or an impossible value.
        """
        keys = [item.name for item in fields(Recipe) if item.name != "epochs"]
        for key in self.training:
            if key not in keys:
                raise SpecError(f"[training] has no key {key!r}; {_near(key, keys)}")
        return Recipe(epochs=self.epochs, **{**RECIPES.get(self.data, {}), **self.training})

    def directions(self) -> dict[str, str]:
        """Objectives with their directions."""
        return {name: OBJECTIVES[name] for name in self.objectives}

    def gpus(self) -> float:
        """GPUs of one trial: as asked for, or one where this machine has one.

        Raises:
            SpecError: more than this machine has, and no cluster is joined.
        """
        here = torch.cuda.device_count()
        if self.gpus_per_trial is None:
            return 1.0 if here and self.address is None else 0.0
        if self.address is None and self.gpus_per_trial > here:
            raise SpecError(f"gpus_per_trial is {self.gpus_per_trial:g}, but this machine has {here} GPUs")
        return self.gpus_per_trial

    def to_toml(self) -> str:
        """The spec as a TOML file: every key with a value, the whole recipe, a space of one's own as a table."""
        table = self.model_dump(mode="python", exclude_none=True, exclude={"out"})
        if isinstance(self.space, SearchSpace):
            table["space"] = self.space.to_dict()
        elif isinstance(self.space, str) and self.space.endswith(".toml"):
            table["space"] = space(self.space).to_dict()
        table["objectives"] = list(self.objectives)
        table["training"] = {key: value for key, value in vars(self.recipe()).items() if key != "epochs"}
        if self.data_folder is not None:
            table["data_folder"] = str(self.data_folder.expanduser().resolve())
        scalars = {name: value for name, value in table.items() if not isinstance(value, dict)}
        return tomli_w.dumps(
            {**scalars, **{name: value for name, value in table.items() if value and name not in scalars}}
        )


def _table(table: Mapping[str, Any], key: str, path: str | Path) -> Mapping[str, Any]:
    """A table inside the file, checked before flags are laid over it."""
    part = table.get(key, {})
    if not isinstance(part, Mapping):
        raise SpecError(f"{path}: [{key}] must be a table, got {part!r}")
    return part


def _near(key: str, keys: list[str]) -> str:
    near = difflib.get_close_matches(key, keys, n=1)
    return f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(keys)}"


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints as one sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        return f"there is no key {key!r}; {_near(key, list(Spec.model_fields))}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    message = first["msg"].replace("Input should be", "must be", 1).replace("Input is not", "is not", 1)
    message = message.partition(" for <class")[0]
    return f"{key} {message}, got {first['input']!r}"
