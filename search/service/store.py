"""The service's database: one row per search, and the only way to change it.

A row changes by compare and set: whoever read an older version of it changes nothing, and reads again. So a search
is never started twice and no wish is lost, whoever else is writing, and wherever the service is killed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, DisconnectionError, IntegrityError, SQLAlchemyError

from leni.errors import StorageError
from search.store.postgres import with_driver
from search.store.secrets import masked

__all__ = ["ACTIVE", "STATES", "Search", "Store", "Vanished", "open_engine"]

STATES = ("queued", "starting", "running", "ended", "deleting")
ACTIVE = ("starting", "running")
SCHEMA_VERSION = "1"

metadata = MetaData()
facts = Table("facts", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))
searches = Table(
    "searches",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("owner", String(40), nullable=False),
    Column("key", String(200)),
    Column("spec", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("outcome", String(20), nullable=False),
    Column("note", Text, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("version", Integer, nullable=False),
    UniqueConstraint("owner", "key"),
    sqlite_autoincrement=True,
)


class Vanished(SQLAlchemyError):
    """The file of the database is not where it was."""


@dataclass(frozen=True)
class Search:
    """One row.

    Attributes:
        seq: order of submission.
        id: what it is called everywhere.
        name: what its submitter calls it; shown, never a path.
        owner: token that submitted it, "" for this machine's user.
        key: that the submitter gave, so that a repeated submission is the same search.
        spec: keys of the spec, as submitted.
        priority: higher ones start first.
        state: queued, starting, running, ended, deleting.
        outcome: once ended: complete, exhausted, time, gpu-hours, stable, cancelled, failed, lost.
        note: a sentence on what went wrong, or "".
        trials: asked for in all, extensions included.
        attempt: counted from 1, a number for each process that drove it.
        losses: processes that died without a word since the last one that did not.
        cancel: whether it is to end now.
        created_at, started_at, ended_at: seconds since 1970.
        version: counted at each change.
    """

    seq: int
    id: str
    name: str
    owner: str
    key: str | None
    spec: dict[str, Any]
    priority: int
    state: str
    outcome: str
    note: str
    trials: int
    attempt: int
    losses: int
    cancel: bool
    created_at: float
    started_at: float | None
    ended_at: float | None
    version: int


class Store:
    """Searches in a database.

    Args:
        url: SQLAlchemy's address of it.

    Raises:
        StorageError: it cannot be opened, or is that of a newer version.
    """

    def __init__(self, url: str | URL) -> None:
        try:
            self.engine = open_engine(url)
            metadata.create_all(self.engine)
            found = self.fact("schema_version", SCHEMA_VERSION)
        except (SQLAlchemyError, ImportError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StorageError(f"the service's database cannot be opened: {reason}", code="LS-STORAGE-OPEN") from None
        if found != SCHEMA_VERSION:
            raise StorageError(f"the service's database has version {found}, this leni-search knows {SCHEMA_VERSION}")

    def fact(self, name: str, default: str) -> str:
        """What is written under a name; the first to ask writes the default."""
        with self.engine.begin() as connection:
            known = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
            if known is not None:
                return str(known)
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(facts).values(name=name, value=default))
        except IntegrityError:  # somebody else was first
            return self.fact(name, default)
        return default

    def secret(self) -> bytes:
        """Secret of this service, with which its pages are signed."""
        return self.fact("secret", secrets.token_hex(32)).encode()

    def add(
        self, *, spec: Mapping[str, Any], trials: int, name: str, owner: str, key: str | None, priority: int
    ) -> tuple[Search, bool]:
        """A new search, queued; or the one that this owner has submitted under this key.

        Returns:
            The search, and whether it is new.
        """
        values: dict[str, Any] = {
            "id": secrets.token_hex(6), "name": name, "owner": owner, "key": key, "spec": dict(spec),
            "priority": priority, "state": "queued", "outcome": "", "note": "", "trials": trials, "attempt": 0,
            "losses": 0, "cancel": False, "created_at": time.time(), "version": 1,
        }  # fmt: skip
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(searches).values(**values))
        except IntegrityError:
            known = self._one(searches.c.owner == owner, searches.c.key == key) if key is not None else None
            if known is None:
                raise
            return known, False
        added = self.get(values["id"])
        if added is None:
            raise StorageError("the service's database did not keep a search that it had taken")
        return added, True

    def get(self, search_id: str) -> Search | None:
        """A search by its id."""
        return self._one(searches.c.id == search_id)

    def _one(self, *conditions: Any) -> Search | None:
        found = self._all(select(searches).where(*conditions))
        return found[0] if found else None

    def page(
        self, *, limit: int, before: int | None = None, states: tuple[str, ...] = (), only: str | None = None
    ) -> list[Search]:
        """Searches, the newest first.

        Args:
            limit: so many, at most.
            before: a sequence number; older ones only.
            states: any of these; any at all if none is given.
            only: an id; no other.
        """
        query = select(searches).where(searches.c.state != "deleting").order_by(searches.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(searches.c.seq < before)
        if states:
            query = query.where(searches.c.state.in_(states))
        if only is not None:
            query = query.where(searches.c.id == only)
        return self._all(query)

    def in_state(self, *states: str) -> list[Search]:
        """Every search in one of these states, the oldest first."""
        return self._all(select(searches).where(searches.c.state.in_(states)).order_by(searches.c.seq))

    def next_queued(self) -> Search | None:
        """The search to start next: of the highest priority the oldest."""
        order = (searches.c.priority.desc(), searches.c.seq)
        found = self._all(select(searches).where(searches.c.state == "queued").order_by(*order).limit(1))
        return found[0] if found else None

    def ahead(self, search: Search) -> int:
        """How many are queued before this one."""
        earlier = (searches.c.priority > search.priority) | (
            (searches.c.priority == search.priority) & (searches.c.seq < search.seq)
        )
        query = select(func.count()).select_from(searches).where(searches.c.state == "queued", earlier)
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def begun(self) -> bool:
        """Whether there is a search that has been started, and so has a folder."""
        with self.engine.connect() as connection:
            return connection.execute(select(searches.c.id).where(searches.c.attempt > 0).limit(1)).first() is not None

    def counts(self) -> dict[str, int]:
        """Searches by state; every state is there."""
        query = select(searches.c.state, func.count()).group_by(searches.c.state)
        with self.engine.connect() as connection:
            return {**dict.fromkeys(STATES, 0), **{row[0]: row[1] for row in connection.execute(query)}}

    def change(self, search: Search, **values: Any) -> Search | None:
        """Change a search that is still as it was read.

        Returns:
            The search as it is now; None where somebody else has changed it meanwhile, and nothing was written.
        """
        query = update(searches).where(searches.c.id == search.id, searches.c.version == search.version)
        with self.engine.begin() as connection:
            if connection.execute(query.values(**values, version=search.version + 1)).rowcount != 1:
                return None
        return self.get(search.id)

    def remove(self, search: Search) -> None:
        """Take a search that is being deleted out of the database."""
        with self.engine.begin() as connection:
            connection.execute(searches.delete().where(searches.c.id == search.id, searches.c.state == "deleting"))

    def answers(self) -> bool:
        """Whether the database answers."""
        try:
            with self.engine.connect() as connection:
                connection.execute(select(facts.c.name).limit(1)).all()
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def _all(self, query: Any) -> list[Search]:
        with self.engine.connect() as connection:
            return [Search(**row) for row in connection.execute(query).mappings()]


def open_engine(url: str | URL) -> Engine:
    """An engine; SQLite with a write-ahead log, and with patience where somebody else is writing.

    Raises:
        StorageError: this is no address of a database.
    """
    try:
        if isinstance(url, str) and not url.startswith("sqlite"):
            return create_engine(with_driver(url), pool_pre_ping=True, json_serializer=_json)
        engine = create_engine(url, connect_args={"timeout": 20}, json_serializer=_json)
    except ArgumentError:
        raise StorageError(
            f"--database must be an address such as postgresql://user@host/name, got {masked(str(url))!r}",
            code="LS-STORAGE-OPEN",
        ) from None

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what was answered to a submitter outlives a power cut

    _watch_file(engine)
    return engine


def _watch_file(engine: Engine) -> None:
    """Refuse to continue with a SQLite file that is gone, and take the one that is put back.

    SQLite itself would read and write the removed file as long as a connection is open, and begin an empty one in its
    place with the next.
    """
    path = engine.url.database
    if not path or path == ":memory:":
        return
    known: list[tuple[int, int]] = []

    def look() -> tuple[int, int]:
        try:
            status = Path(path).stat()
        except OSError as error:
            raise Vanished(f"the service's database {path} cannot be found any more: {error.strerror}") from None
        return status.st_dev, status.st_ino

    @event.listens_for(engine, "do_connect")
    def before(*_: Any) -> None:
        if known:  # the first connection may make the file
            look()

    @event.listens_for(engine, "connect")
    def opened(_: Any, record: Any) -> None:
        record.info["file"] = look()
        known[:] = [record.info["file"]]

    @event.listens_for(engine, "checkout")
    def taken(_: Any, record: Any, __: Any) -> None:
        if record.info.get("file") != look():
            raise DisconnectionError("the file has been replaced")  # by which the pool connects anew


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
