"""A user's own modules, as `module:function` names them, also where an installed module has the same name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["hidden_file", "import_user_module"]

PREFIX = "_user_module_"  # of the names under which modules are kept whose own name is taken
OWN = Path(__file__).resolve().parents[1]  # the folder of leni, spaces, search and results


def import_user_module(name: str) -> ModuleType:
    """Import a module by its dotted name; a file of the user's wins over the standard library and installed packages.

    A file whose name is taken, for example `results.py` or `random.py`, is imported beside the module of that name,
    which stays what it is for everything else.

    Args:
        name: such as "evaluate" or "package.module".

    Raises:
        ImportError: there is no such module, or what it imports is missing.
    """
    top, dot, rest = name.partition(".")
    own = _users_own(top)
    if own is None or _origin(top) == own.origin:
        return importlib.import_module(name)
    alias = PREFIX + top
    if alias not in sys.modules:
        _load(alias, own)
    try:
        return importlib.import_module(f"{alias}{dot}{rest}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(alias):
            raise
        raise ModuleNotFoundError(f"No module named {name!r}", name=name) from None


def hidden_file(name: str) -> str | None:
    """The user's file that `import NAME` does not reach, because another module has its name; None where it does."""
    top = name.partition(".")[0]
    own = _users_own(top)
    return None if own is None or _origin(top) == own.origin else own.origin


def _users_own(top: str) -> ModuleSpec | None:
    """The first module of this name on the path outside of what is installed; folders without code do not count."""
    for entry in sys.path:
        if not _installed(Path(entry).resolve()):
            spec = PathFinder.find_spec(top, [entry or "."])
            if spec is not None and spec.origin is not None:
                return spec
    return None


def _installed(entry: Path) -> bool:
    """Whether an entry of the path belongs to Python, to an environment, or to this package."""
    places = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    return entry == OWN or any(entry.is_relative_to(place) for place in places) or "site-packages" in entry.parts


def _origin(top: str) -> str | None:
    """The file that `import TOP` gives."""
    if top in sys.modules:
        return getattr(sys.modules[top], "__file__", None)
    spec = importlib.util.find_spec(top)
    return None if spec is None else spec.origin


def _load(alias: str, own: ModuleSpec) -> None:
    """Import a module's file under another name."""
    spec = importlib.util.spec_from_file_location(
        alias, own.origin, submodule_search_locations=own.submodule_search_locations
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{own.origin} is not a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
