"""SQLite files at paths of any kind: a path is never pasted into an address, where `?`, `#` and `%` have meanings."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import URL, make_url

__all__ = ["absolute_database", "open_storage", "read_only", "sqlite_url"]


def sqlite_url(path: str | Path) -> URL:
    """The address of a SQLite file for SQLAlchemy.

    Args:
        path: of the file; a relative one is meant from the current folder.
    """
    return URL.create("sqlite", database=str(Path(path).absolute()))


def open_storage(path: str | Path, *, lock: bool = True, **options: Any) -> RDBStorage:
    """Optuna's storage in a SQLite file.

    Args:
        path: of the file.
        lock: whether SQLite locks it; without locks, only one process at a time may use it.
        options: further ones of `RDBStorage`.
    """
    target = str(path) if lock else _uri(Path(path), "nolock=1")
    connect = partial(sqlite3.connect, target, timeout=60, uri=not lock, check_same_thread=False)
    # Optuna takes an address as text, which a path with "?" or "{" does not survive; this one only names the dialect.
    return RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect}, **options)


def read_only(path: str | Path, *, timeout: float) -> sqlite3.Connection:
    """A connection that cannot write.

    Args:
        path: of a SQLite file that exists.
        timeout: seconds to wait for a writer.

    Raises:
        sqlite3.Error: there is no such file, or it cannot be opened.
    """
    return sqlite3.connect(_uri(Path(path), "mode=ro"), uri=True, timeout=timeout)


def absolute_database(address: str) -> str:
    """A database's address, in which the relative path of a SQLite file is made absolute; any other as it is."""
    if not address.startswith("sqlite"):
        return address
    url = make_url(address)
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return address
    return url.set(database=str(Path(url.database).absolute())).render_as_string(hide_password=False)


def _uri(path: Path, query: str) -> str:
    return f"{path.absolute().as_uri()}?{query}"
