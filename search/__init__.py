"""Searching: what is tried next, how it is trained, what is kept of it.

    import search

    run = search.run(data="digits", trials=24)
    run.front()      # a DataFrame
    run.figure()     # an Altair chart

Torch, Ray and Optuna are imported at the first use of these names, so that the command's --help answers at once.
"""

TYPE_CHECKING = False  # not typing's, which a user's typing.py may hide until the command has mended the path
if TYPE_CHECKING:
    from typing import Any

    from search.driver.run_search import run as run
    from search.spec import Spec as Spec

__all__ = ["Spec", "run"]


def __getattr__(name: str) -> "Any":
    if name == "run":
        from search.driver.run_search import run

        return run
    if name == "Spec":
        from search.spec import Spec

        return Spec
    raise AttributeError(f"module 'search' has no attribute {name!r}")
