"""A path as a user writes it."""

from __future__ import annotations

import os
from pathlib import Path

from leni.errors import FolderError

__all__ = ["user_path"]


def user_path(path: str | Path) -> Path:
    """A path made absolute, its links followed, and `~` read as the home folder; it need not exist.

    Raises:
        FolderError: there is no home folder, links go round in circles, or the text is no path.
    """
    try:
        text = os.fspath(path)  # as Path, "./~" would be "~"
        return (Path(text).expanduser() if text.startswith("~") else Path(text)).resolve()
    except FileNotFoundError:  # of the current folder
        raise FolderError(f"{path} is meant from the current folder, which has been removed", code="LS-PATH") from None
    except (RuntimeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise FolderError(f"{path} is no path: {reason}", code="LS-PATH") from None
    except ValueError:
        raise FolderError(f"{str(path)!r} is no path: it holds a null character", code="LS-PATH") from None
