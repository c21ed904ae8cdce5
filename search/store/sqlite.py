"""SQLite files at paths of any kind: a path is never pasted into an address, where `?`, `#` and `%` have meanings."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import URL, make_url

__all__ = ["absolute_database", "open_storage", "quicken", "read_only", "sqlite_url"]


def sqlite_url(path: str | Path) -> URL:
    """The address of a SQLite file for SQLAlchemy.

    Args:
        path: of the file; a relative one is meant from the current folder.
    """
    return URL.create("sqlite", database=str(Path(path).absolute()))


def open_storage(path: str | Path, *, lock: bool = True, **options: Any) -> RDBStorage:
    """Optuna's storage in a SQLite file, with a write-ahead log.

    Args:
        path: of the file.
        lock: whether SQLite locks it; without locks, only one process at a time may use it.
        options: further ones of `RDBStorage`.
    """
    connect = partial(_connect, str(Path(path).absolute()), lock=lock)
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


def quicken(connection: sqlite3.Connection) -> None:
    """Give a connection a write-ahead log, which halves the price of a trial."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA trusted_schema=OFF")  # what a view or trigger of somebody else's file calls is refused


def _connect(path: str, *, lock: bool) -> sqlite3.Connection:
    """A connection for a pool; for a file without locks, without the write-ahead log, which needs them."""
    if lock:
        connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        quicken(connection)
        return connection
    connection = sqlite3.connect(_uri(Path(path), "nolock=1"), uri=True, check_same_thread=False)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # folds in the log that an earlier run may have left
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA locking_mode=NORMAL")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


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
