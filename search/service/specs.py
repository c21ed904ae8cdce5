"""What a spec may say over HTTP: all that a run takes, but nothing that runs the sender's code or reads files.

Whatever is refused is refused before anything is written, with the sentence that the command has for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from leni.errors import SpecError
from search.service.networks import check_networks
from search.service.settings import Settings
from search.spec import Spec
from search.spec_fields import SpecFields, flag_of
from search.training.data import describe, load
from search.training.own_dataset import names_function
from spaces import PRESETS, SearchSpace

__all__ = ["OURS", "accept"]

OURS: Mapping[str, str] = MappingProxyType(
    {name: reason for name in SpecFields.model_fields if (reason := flag_of(name).not_submitted)}
)
"""Keys of a spec that cannot be submitted, and why."""

LOGGERS = ("tensorboard",)  # the others talk to other machines
DEEPEST = 20


def accept(keys: Mapping[str, Any], settings: Settings) -> Spec:
    """The spec, if this service runs it.

    Args:
        keys: as submitted; a value of None is as if it were not given.
        settings: what is allowed here.

    Returns:
        The same object that the command would have made.

    Raises:
        LeniSearchError: it is not possible, or not allowed here; one sentence.
    """
    given = {name: value for name, value in keys.items() if value is not None}
    _check_form(given)
    for name, reason in OURS.items():
        if name in given:
            raise SpecError(f"{name} cannot be set in a submitted spec: {reason}", code="LS-SERVICE-NOT-ALLOWED")
    _check_space(given.get("space"))
    check_networks(given)
    for key in ("evaluator", "costs", "resources"):
        if not (key == "resources" and isinstance(given.get(key), Mapping)):  # expressions run nothing
            _check_function(key, given.get(key), settings)
    if isinstance(data := given.get("data"), str) and names_function(data):
        raise SpecError(
            f"data {data[:200]!r} is not allowed on this service: a submitted spec names no function",
            code="LS-SERVICE-NOT-ALLOWED",
        )
    if (folder := given.get("data_folder")) is not None:
        given["data_folder"] = _allowed_folder(folder, settings)
    loggers = given.get("loggers", ())
    if isinstance(loggers, (list, tuple)) and any(name not in LOGGERS for name in loggers):
        raise SpecError(
            f"loggers of a submitted spec must be of {', '.join(LOGGERS)}, got {loggers[0]!r}",
            code="LS-SERVICE-NOT-ALLOWED",
        )
    try:
        spec = Spec(**given)
    except (OverflowError, RecursionError):
        raise SpecError("a number of the spec is too large, or its tables are too deep") from None
    if spec.trials > settings.trials:
        raise SpecError(
            f"trials must be at most {settings.trials:,} on this service, got {spec.trials:,}",
            code="LS-SERVICE-NOT-ALLOWED",
        )
    if settings.address is None:
        spec.gpus()
    if spec.evaluator is None:
        _check_data(spec)
    return spec


def _check_form(given: Mapping[str, Any]) -> None:
    """That the keys are strict JSON which a database and a TOML file can hold."""
    if _depth(given) > DEEPEST:
        raise SpecError(f"the spec's tables must be at most {DEEPEST} deep")
    try:
        text = json.dumps(given, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (ValueError, TypeError):
        raise SpecError("the spec must be JSON: finite numbers, and texts of whole characters") from None
    if "\\u0000" in text:
        raise SpecError("the spec has a text with a null character in it")


def _depth(value: Any) -> int:
    """How deep tables and lists are; counted without recursion, and not much further than is allowed."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        below: list[Any] = []
        for item in level:
            below.extend(item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ())
        level, depth = below, depth + 1
    return depth


def _check_space(named: Any) -> None:
    if isinstance(named, str) and named not in PRESETS and (named.endswith(".toml") or "/" in named):
        raise SpecError(
            f"space must be one of {', '.join(PRESETS)}, or a table of its own: a submitted spec names no file",
            code="LS-SERVICE-NOT-ALLOWED",
        )


def _check_function(key: str, named: Any, settings: Settings) -> None:
    if named is not None and named not in settings.evaluators:
        known = f"one of {', '.join(settings.evaluators)}" if settings.evaluators else "none, as it was started"
        raise SpecError(
            f"{key} {str(named)[:200]!r} is not allowed on this service; it takes {known}",
            code="LS-SERVICE-NOT-ALLOWED",
        )


def _allowed_folder(named: Any, settings: Settings) -> str:
    """The folder, links followed, if it is inside one of those allowed."""
    try:
        folder = Path(str(named)).resolve()
    except (OSError, ValueError, RuntimeError):
        folder = Path("/")
    if not any(folder == allowed or allowed in folder.parents for allowed in settings.data_folders):
        known = ", ".join(map(str, settings.data_folders)) or "none, as it was started"
        raise SpecError(
            f"data_folder {str(named)[:200]!r} is not allowed on this service; it takes {known}",
            code="LS-SERVICE-NOT-ALLOWED",
        )
    return str(folder)


def _check_data(spec: Spec) -> None:
    """That the data set is here, without reading it: a run of minutes in a queue should not end with a missing file."""
    if not isinstance(spec.search_space(), SearchSpace):
        return
    misfit = spec.image_size is not None and spec.data != "imagefolder"
    if spec.data == "digits":  # always here, and read in a moment: but not for each of many submissions at once
        misfit = misfit or spec.train_size is not None or spec.data_folder is not None
    if misfit or not describe(spec.data, folder=spec.data_folder).found:
        load(
            spec.data,
            folder=spec.data_folder,
            train_size=spec.train_size,
            image_size=spec.image_size,
            skip_broken=spec.skip_broken,
            seed=spec.split_seed,
        )
