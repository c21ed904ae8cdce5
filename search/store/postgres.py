"""Which driver reaches a PostgreSQL: the one that is here."""

from __future__ import annotations

import importlib.util

__all__ = ["with_driver"]


def with_driver(url: str) -> str:
    """A database's address, naming psycopg where SQLAlchemy would look for psycopg2 and it is not installed.

    Args:
        url: of any database; only `postgresql://...` changes.

    Example:
        >>> with_driver("sqlite:///study.db")
        'sqlite:///study.db'
    """
    if url.startswith("postgresql://") and importlib.util.find_spec("psycopg2") is None:
        return url.replace("postgresql://", "postgresql+psycopg://", 1)  # its successor, which the extra installs
    return url
