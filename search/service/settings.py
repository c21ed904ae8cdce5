"""What a service is told when it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from leni.errors import SpecError

__all__ = ["Settings", "is_loopback"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Settings:
    """One service.

    Attributes:
        folder: of its database and of a folder for each search; one service at a time.
        database: address of the database; None for SQLite in the folder.
        host, port: what it listens at.
        address: of a Ray cluster's dashboard, http://head:8265, where the searches run as Ray jobs; the folder must be
            the same there. None for a process each on this machine.
        at_once: searches that run at the same time, at most.
        evaluators: `module:function` that a spec may name; the modules are looked for where the service was started.
        data_folders: folders that a spec may name, or folders inside of them.
        hosts: names that this service is reached by, beside those of this machine: the Host headers it answers.
        trials: that one search may ask for, at most.
        body_bytes: of a request, at most.
        requests_per_s, burst: of one caller, on average and at once.
        streams, streams_each: event streams that are open at the same time, in all and of one caller.
        poll_s: seconds between two looks at what runs.
        cancel_s: how long a cancelled search has to end by itself before its process is killed.
        restarts: how often a search whose process died is gone on with, until one that comes to an end.
    """

    folder: Path
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    address: str | None = None
    at_once: int = 1
    evaluators: tuple[str, ...] = ()
    data_folders: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    trials: int = 100_000
    body_bytes: int = 256 * 1024
    requests_per_s: float = 100.0
    burst: int = 500
    streams: int = 256
    streams_each: int = 128
    poll_s: float = 0.5
    cancel_s: float = 120.0
    restarts: int = 3
    known_hosts: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).expanduser().resolve())
        folders = tuple(Path(path).expanduser().resolve() for path in self.data_folders)
        for path in folders:
            if not path.is_dir():
                raise SpecError(f"--allow-data-folder must be a folder, {path} is none")
        object.__setattr__(self, "data_folders", folders)
        for name in self.evaluators:
            if not all(name.partition(":")) or name.count(":") != 1:
                raise SpecError(f"--allow-evaluator must be written module:function, got {name!r}")
        if self.at_once < 1:
            raise SpecError(f"--at-once must be at least 1, got {self.at_once}")
        own = (self.host,) if self.host not in ("0.0.0.0", "::") else ()
        object.__setattr__(self, "known_hosts", frozenset(name.lower() for name in (*LOCAL_HOSTS, *own, *self.hosts)))

    @property
    def local(self) -> bool:
        """Whether nothing but this machine can reach it."""
        return is_loopback(self.host) and not self.hosts

    @property
    def database_url(self) -> str:
        """The database, as SQLAlchemy takes it."""
        return self.database or f"sqlite:///{self.folder / 'service.db'}"


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, and nobody else's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
