"""Searching: what is tried next, how it is trained, what is kept of it.

    import search

    run = search.run(data="digits", trials=24)
    run.front()      # a DataFrame
    run.figure()     # an Altair chart

A user's own function is searched by `search.run(evaluator=..., space=..., objectives=...)`; `search.known` marks a
function that gives what is known of a configuration before its trial, `search.Impossible` refuses one. In the function,
`search.get_checkpoint()` is what its trial continues from, and `search.TrialStopped` what ends one that is to stop.

Torch, Ray and Optuna are imported at the first use of these names, so that the command's --help answers at once.
"""

TYPE_CHECKING = False  # not typing's, which a user's typing.py may hide until the command has mended the path
if TYPE_CHECKING:
    from typing import Any

    from leni.errors import Impossible as Impossible
    from search.driver.run_search import resume as resume
    from search.driver.run_search import run as run
    from search.spec import Spec as Spec
    from search.training.known import known as known
    from search.training.reporter import TrialStopped as TrialStopped
    from search.training.reporter import get_checkpoint as get_checkpoint

__all__ = ["Impossible", "Spec", "TrialStopped", "get_checkpoint", "known", "resume", "run"]

_PLACES = {
    "Impossible": "leni.errors",
    "Spec": "search.spec",
    "TrialStopped": "search.training.reporter",
    "get_checkpoint": "search.training.reporter",
    "known": "search.training.known",
    "resume": "search.driver.run_search",
    "run": "search.driver.run_search",
}


def __getattr__(name: str) -> "Any":
    if name not in _PLACES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
