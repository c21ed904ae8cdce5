"""The space of an Optuna objective: it declares its parameters itself, so that no space has to be named beside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from leni.errors import SpecError
from search.spec import Spec
from search.training.user_functions import load_function
from spaces.define_by_run import DEFINE_BY_RUN, DefineByRunSpace

__all__ = ["with_declared_space"]


def with_declared_space(spec: Spec) -> Spec:
    """The spec, with a define-by-run space where it names none and its evaluator is an Optuna objective.

    Raises:
        SpecError: the evaluator cannot be imported, or is an objective beside another space, or the spec asks for what
            such a space does not have.
    """
    if spec.evaluator is None or not _takes_trial(load_function(spec.evaluator)):
        return spec
    if "space" in spec.model_fields_set:
        if isinstance(spec.search_space(), DefineByRunSpace):
            return spec
        raise SpecError(
            f"evaluator {spec.evaluator!r} is an objective of Optuna's and declares its parameters itself: "
            f"leave out the space, or let the function take (config, report)",
            code="LS-EVALUATOR",
        )
    given = {name: getattr(spec, name) for name in spec.model_fields_set}
    return Spec(**{**given, "space": DEFINE_BY_RUN})


def _takes_trial(function: Callable[..., Any]) -> bool:
    """Whether a function's only argument is a trial, by its annotation or its name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if len(parameters) != 1:
        return False
    told = parameters[0].annotation
    written = told if isinstance(told, str) else getattr(told, "__name__", "")
    return written.rpartition(".")[2] in ("Trial", "BaseTrial") or parameters[0].name == "trial"
