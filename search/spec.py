"""The spec: everything a search is told, from TOML, flags or Python, checked before anything starts."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w
import torch
from pydantic import ValidationError, model_validator

from leni.errors import CandidateError, LeniSearchError, SpecError
from leni.near_names import did_you_mean
from results.names import metric_column, parameter_column
from search.decide.samplers import HINTED, sampler
from search.decide.stopping.rules import ALIASES, default_pruner, pruner
from search.objectives import DIRECTIONS, OBJECTIVES, check_objectives, parsed_objective
from search.spec_fields import SpecFields
from search.store.checkpoints import absolute_folder
from search.store.secrets import masked, with_secrets
from search.store.sqlite import absolute_database
from search.store.user_path import user_path
from search.training.data import describe, names
from search.training.given_functions import function_name
from search.training.named_recipes import given_recipe, named_recipe
from search.training.proxies import check_proxies
from search.training.recipe import Recipe
from search.training.searched_recipe import check_searched_recipe
from spaces import Candidate, Configuration, ParameterSpace, SearchSpace, space
from spaces.configuration import check_name
from spaces.define_by_run import DEFINE_BY_RUN, DefineByRunSpace
from spaces.expressions import Expression
from spaces.recipe_keys import OWNERS

__all__ = ["KNOWN", "Spec"]

KNOWN = ("params", "macs")  # before a network is trained
LOGGERS = ("tensorboard", "mlflow", "wandb")


class Spec(SpecFields):
    """One search. `search/spec_fields.py` describes each field.

    Raises:
        SpecError: one sentence that says which key is wrong, where, and what would be right.
    """

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_sentence(error), code=_code(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Functions by name, older keys by their names of today, a named recipe's epochs where none are given."""
        found = _renamed(_named_functions(values))
        training = found.get("training")
        if isinstance(training, Mapping) and "recipe" in training and found.get("epochs") is None:
            found["epochs"] = named_recipe(training["recipe"]).epochs
        return found

    @model_validator(mode="after")
    def _check(self) -> Spec:
        """What pydantic's types do not say; each of these raises an error that names what is wrong."""
        if not isinstance(self.space, (str, dict, SearchSpace, ParameterSpace)):
            raise SpecError(
                f"space must be the name of a preset, the path of a .toml file or a table, got {self.space!r}"
            )
        sampler(self.sampler or "random", seed=self.seed)
        self.recipe()
        where = self.search_space()
        if isinstance(where, SearchSpace):
            check_searched_recipe(where, self.recipe())
        own = isinstance(where, ParameterSpace)
        if isinstance(where, DefineByRunSpace):
            self._check_declared()
        if own and self.evaluator is None:
            raise SpecError("a space of parameters needs an evaluator, module:function: there is no network to train")
        for name, _ in map(parsed_objective, self.objectives):
            check_name(name, "an objective's name")
        check_objectives(self.objectives, trained=self.evaluator is None, own=own)
        self._check_bounds()
        pruner(self.pruner_name(), epochs=self.epochs, keep=self.keep)
        self._check_limits(own=own)
        self._check_resources()
        self._check_candidates()
        self._check_hints()
        if wrong := [name for name in self.loggers if name not in LOGGERS]:
            raise SpecError(f"loggers must be of {', '.join(LOGGERS)}, got {wrong[0]!r}")
        if self.evaluator is None and self.data not in names():
            describe(self.data)
        return self

    def _check_declared(self) -> None:
        """A space that the function declares as it runs has nothing to know, to list or to repeat before."""
        needs = {name: bool(getattr(self, name)) for name in ("costs", "limits", "enqueue", "candidates")}
        needs |= {f"sampler {self.sampler}": self.sampler in ("known-cost", "gp")}
        needs |= {"duplicates reseed": self.duplicates == "reseed"}
        if found := [name for name, given in needs.items() if given]:
            raise SpecError(
                f"{found[0]} needs a space that is known before the trials, and {DEFINE_BY_RUN} is declared by the "
                f"function while it runs",
            )

    def _check_limits(self, *, own: bool) -> None:
        """Limits leave something between them, and each is given once."""
        for name, (least, most) in self.all_limits().items():
            if name in KNOWN and name in self.limits and (getattr(self, f"min_{name}") or getattr(self, f"max_{name}")):
                raise SpecError(f"give limits of {name} as min_{name} and max_{name}, or in limits, not both")
            if least is not None and most is not None and least > most:
                low, high = (f"min_{name}", f"max_{name}") if name in KNOWN else (f"limits.{name}.min", "max")
                raise SpecError(f"{low} must not be above {high}, got {least} and {most}")
            if not own and self.costs is None and self.evaluator is None and name not in KNOWN:
                raise SpecError(
                    f"limits must be of {' and '.join(KNOWN)}, which are known of networks, got {name!r}",
                    code="LS-SPEC-LIMITS",
                )

    def _check_hints(self) -> None:
        """What the sampler is told before the first trial is of use to it."""
        if (self.prior or self.proxies) and self.sampler not in (None, *HINTED):
            raise SpecError(f"prior and proxies need the sampler {' or '.join(HINTED)}, got {self.sampler!r}")
        check_proxies(self.proxies)
        if self.proxies and self.evaluator is not None:
            raise SpecError(f"proxies are of networks that are trained, and trials are calls of {self.evaluator!r}")

    def _check_resources(self) -> None:
        """Resources are expressions for CPUs and GPUs; a function is looked at when a run is prepared."""
        if not isinstance(self.resources, dict):
            return
        if not self.resources or not set(self.resources) <= {"cpus", "gpus"}:
            raise SpecError(f"resources must be a table with cpus, gpus or both, got {', '.join(self.resources)!r}")
        for name, text in self.resources.items():
            Expression(text, f"resources.{name}")

    def all_limits(self) -> dict[str, tuple[float | None, float | None]]:
        """Least and greatest value that is tried, by the name of a known cost; those that have a limit."""
        pairs = {name: (getattr(self, f"min_{name}"), getattr(self, f"max_{name}")) for name in KNOWN}
        pairs |= {name: (limit.min, limit.max) for name, limit in self.limits.items()}
        return {name: pair for name, pair in pairs.items() if pair != (None, None)}

    def known_column(self, name: str) -> str:
        """The column that records have a known cost in: of an objective of this name that one."""
        shared = metric_column(name)
        return shared if shared in self.directions() else metric_column(name, taken=self.columns())

    def _check_candidates(self) -> None:
        """A fixed list is a list of candidates, each once, and nothing else is trained."""
        if self.test and not self.candidates:
            raise SpecError("test needs candidates: a search that saw the test split would leave nothing to test with")
        if (self.test or self.keep_weights) and self.evaluator is not None:
            raise SpecError(f"test and keep_weights are for trainings, and trials are calls of {self.evaluator!r}")
        if not self.candidates:
            return
        found = self.only_candidates()
        if len(set(found)) < len(found):
            raise SpecError("candidates must be different from one another")
        if self.trials != len(found) or self.enqueue is not None:
            raise SpecError(f"with candidates, trials must be their number {len(found)}, and nothing can be enqueued")

    def only_candidates(self) -> tuple[Candidate | Configuration, ...]:
        """The candidates of a fixed list; none of a search.

        Raises:
            CandidateError: a text is not the JSON of one.
        """
        kind = Configuration if isinstance(self.search_space(), ParameterSpace) else Candidate
        return tuple(kind.from_dict(_parsed(text)) for text in self.candidates)

    def _check_bounds(self) -> None:
        """Bounds are of objectives, and finite."""
        names = [name for name, _ in map(parsed_objective, self.objectives)]
        for name, (low, high) in self.bounds.items():
            if name not in names:
                raise SpecError(
                    f"bounds must be of the objectives {', '.join(names)}, got {name!r}", code="LS-SPEC-OBJECTIVES"
                )
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise SpecError(f"bounds of {name} must be finite with least < greatest, got {low:g} and {high:g}")

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
            raise SpecError(f"{path}: {error.strerror}", code="LS-SPEC-FILE") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SpecError(f"{path} is not a TOML file: {error}", code="LS-SPEC-FILE") from None
        for key in ("fix", "training", "bounds"):
            given[key] = {**_table(table, key, path), **given.get(key, {})}
        table = _renamed(table)
        try:
            return cls(**{**table, **given})
        except LeniSearchError as error:
            raise SpecError(f"{path}: {error}", code=error.code) from None

    def search_space(self) -> SearchSpace | ParameterSpace:
        """The space, with what is fixed in it.

        Raises:
            SpaceError: it does not exist, cannot be read, or has no dimension that is to be fixed.
        """
        found = self.space if isinstance(self.space, (SearchSpace, ParameterSpace)) else space(self.space)
        return found.fix(self.fix)

    def column_bounds(self) -> dict[str, tuple[float, float]]:
        """Bounds of objectives, by the column that records have them in."""
        names = [name for name, _ in map(parsed_objective, self.objectives)]
        columns = dict(zip(names, self.directions(), strict=True))
        return {columns[name]: limits for name, limits in self.bounds.items()}

    def pruner_name(self) -> str:
        """The pruner that was asked for, or the default."""
        if self.pruner is not None:
            return ALIASES.get(self.pruner, self.pruner)
        directions = self.directions()
        curved = self.evaluator is not None or next(iter(directions)) == "accuracy"
        return default_pruner(self.epochs) if curved and len(directions) > 1 else "none"

    def recipe(self) -> Recipe:
        """The training recipe.

        Raises:
            SpecError: [training] has an unknown key or an impossible value.
        """
        training = self.training
        if isinstance(path := training.get("weights"), str) and path:
            training = {**training, "weights": str(user_path(path))}
        return given_recipe(training, data=self.data, epochs=self.epochs)

    def _told_recipe(self) -> dict[str, Any]:
        """The whole recipe; what was given of it alone where the space has several optimizers, schedules or policies,
        each with defaults of its own."""
        where = self.search_space()
        searched = isinstance(where, SearchSpace) and any(owner in where.training for owner in OWNERS)
        return dict(self.training) if searched else self.recipe().values()

    def directions(self) -> dict[str, str]:
        """Objectives with their directions, by the column that records have them in (`results.names`)."""
        where = self.search_space()
        taken = where.columns() if isinstance(where, SearchSpace) else ()
        return {
            metric_column(name, taken=taken): DIRECTIONS[given] if given else OBJECTIVES[name]
            for name, given in map(parsed_objective, self.objectives)
        }

    def columns(self) -> tuple[str, ...]:
        """Columns of the records that say what was tried."""
        where = self.search_space()
        if isinstance(where, SearchSpace):
            return where.columns()
        objectives = self.directions()
        return tuple(parameter_column(name, taken=objectives) for name in where.columns())

    def first_seeds(self) -> tuple[int, ...]:
        """Seeds of a candidate that is new: the same for every candidate, so that differences are paired."""
        return tuple(range(self.seed, self.seed + self.seeds))

    def gpus(self) -> float:
        """GPUs of one trial: as asked for, or one where this machine has one.

        Raises:
            SpecError: more than this machine has, and no cluster is joined.
        """
        here = torch.cuda.device_count()
        if self.gpus_per_trial is None:
            return 1.0 if here and self.address is None else 0.0
        if self.address is None and self.gpus_per_trial > here:
            raise SpecError(
                f"gpus_per_trial is {self.gpus_per_trial:g}, but this machine has {here} GPUs", code="LS-RESOURCES"
            )
        return self.gpus_per_trial

    def database_address(self) -> str | None:
        """The study's database, with its secrets; None for SQLite in the run's folder.

        Raises:
            SpecError: a secret cannot be found.
        """
        return None if self.storage is None else with_secrets(self.storage)

    def checkpoint_address(self) -> str | None:
        """Where states are kept, the same from every folder and with its secrets; None for the run's folder.

        Raises:
            SpecError: a secret cannot be found.
        """
        return None if self.checkpoints is None else absolute_folder(with_secrets(self.checkpoints))

    def to_toml(self) -> str:
        """The spec as a TOML file: every key with a value, the whole recipe, a space of one's own as a table.

        Secrets of addresses are left out, and paths are absolute, so that the file means the same from every folder.
        """
        table = self.model_dump(mode="python", exclude_none=True, exclude={"out"})
        if isinstance(self.space, (SearchSpace, ParameterSpace)):
            table["space"] = self.space.to_dict()
        elif isinstance(self.space, str) and self.space.endswith(".toml"):
            table["space"] = space(self.space).to_dict()
        for key in ("objectives", "loggers", "candidates", "prior", "proxies"):
            table[key] = list(map(str, table[key]))
        for key in ("enqueue", "warm_start", "data_folder"):
            if key in table:
                table[key] = str(table[key])
        for key, whole in (("storage", absolute_database), ("checkpoints", absolute_folder), ("address", str)):
            if key in table:
                table[key] = masked(whole(table[key]))
        table["training"] = {
            **{key: value for key, value in self.training.items() if key == "recipe"},
            **{key: value for key, value in self._told_recipe().items() if key != "epochs" and value is not None},
        }
        scalars = {name: value for name, value in table.items() if not isinstance(value, dict)}
        return tomli_w.dumps(
            {**scalars, **{name: value for name, value in table.items() if value and name not in scalars}}
        )


def _named_functions(values: Mapping[str, Any]) -> dict[str, Any]:
    """Functions that were given in place of their names, by name; parameters without a table around them with one.

    Raises:
        SpecError: a function cannot be sent to workers.
    """
    found = dict(values)
    for key in ("evaluator", "costs", "resources"):
        if callable(found.get(key)):
            found[key] = function_name(found[key], what=key)
    where = found.get("space")
    plain = isinstance(where, Mapping) and "parameters" not in where and not _is_of_networks(where)
    if plain and found.get("evaluator"):
        found["space"] = {"parameters": where}
    return found


def _is_of_networks(table: Mapping[str, Any]) -> bool:
    """Whether a table is meant for a space of networks: each of its keys is one of those, or nearly."""
    keys = [item.name for item in fields(SearchSpace)]
    known = all(difflib.get_close_matches(str(key), keys, n=1, cutoff=0.75) for key in table)
    return known and bool({"backbone", "activation"} & set(table))


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys by the names that they have today.

    Raises:
        SpecError: a key is there by both of its names.
    """
    found = dict(values)
    if "stopper" in found:
        if "pruner" in found:
            raise SpecError("stopper is the older name of pruner; give one of them")
        found["pruner"] = found.pop("stopper")
    return found


def _parsed(text: str) -> Any:
    """A candidate's JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise CandidateError(f"a candidate must be a JSON object: {error}") from None


def _table(table: Mapping[str, Any], key: str, path: str | Path) -> Mapping[str, Any]:
    """A table inside the file, checked before flags are laid over it."""
    part = table.get(key, {})
    if not isinstance(part, Mapping):
        raise SpecError(f"{path}: [{key}] must be a table, got {part!r}")
    return part


def _code(error: ValidationError) -> str | None:
    """The code of the first of pydantic's complaints, where it is one of our own errors."""
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        return "LS-SPEC-KEY"
    return getattr(first.get("ctx", {}).get("error"), "code", None)


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints as one sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(key, list(Spec.model_fields), otherwise="keys are")
        return f"there is no key {key!r}; {hint}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    message = first["msg"].replace("Input should be", "must be", 1).replace("Input is not", "is not", 1)
    message = message.partition(" for <class")[0]
    return f"{key} {message}, got {first['input']!r}"
