"""What a service is told when it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL

from leni.errors import SpecError
from search.service.forwarded import Proxies, clean_prefix
from search.service.hosts import HostPort, parse_host
from search.store.secrets import with_secrets
from search.store.sqlite import sqlite_url
from search.store.user_path import user_path

__all__ = ["ADDRESSES", "Settings", "is_loopback"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
SOCKET = "unix:"
ADDRESSES = frozenset(
    ("api", "enter", "healthz", "login", "logout", "metrics", "new", "optuna", "readyz", "searches", "static")
) | {"vega.js"}
"""First parts of the service's own paths."""


@dataclass(frozen=True)
class Settings:
    """One service.

    Attributes:
        folder: of its database and of a folder for each search; one service at a time.
        database: address of the database; None for SQLite in the folder.
        host, port: what it listens at; a host `unix:PATH` is a unix socket, and has no port.
        address: of a Ray cluster's dashboard, http://head:8265, where the searches run as Ray jobs; the folder must be
            the same there. None for a process each on this machine.
        at_once: searches that run at the same time, at most.
        evaluators: `module:function` that a spec may name; the modules are looked for where the service was started.
        data_folders: folders that a spec may name, or folders inside of them.
        hosts: names that this service is reached by, beside those of this machine: the Host headers it answers. One
            with a port is answered at this port alone.
        trusted_proxies: addresses and networks of the proxies whose `X-Forwarded-*` and `Forwarded` are believed;
            `unix` for who connects through the unix socket.
        root_path: the path below which a proxy shows this service, `/tools/leni-search`; "" at a host's root. Requests
            may come with it or without it.
        trials: that one search may ask for, at most.
        body_bytes, header_bytes: of a request, at most.
        requests_per_s, burst: of one caller, on average and at once.
        streams, streams_each: event streams that are open at the same time, in all and of one caller.
        poll_s: seconds between two looks at what runs.
        cancel_s: how long a cancelled search has to end by itself before its process is killed.
        restarts: how often a search whose process died is continued, until it is given up.
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
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""
    trials: int = 100_000
    body_bytes: int = 256 * 1024
    header_bytes: int = 32 * 1024
    requests_per_s: float = 100.0
    burst: int = 500
    streams: int = 256
    streams_each: int = 128
    poll_s: float = 0.5
    cancel_s: float = 120.0
    restarts: int = 3
    known_hosts: frozenset[HostPort] = field(init=False)
    proxies: Proxies = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", user_path(self.folder))
        folders = tuple(map(user_path, self.data_folders))
        for path in folders:
            if not path.is_dir():
                raise SpecError(f"--allow-data-folder must be a folder, and {path} is not one")
        object.__setattr__(self, "data_folders", folders)
        for name in self.evaluators:
            if not all(name.partition(":")) or name.count(":") != 1:
                raise SpecError(f"--allow-evaluator must be written module:function, got {name!r}", code="LS-EVALUATOR")
        if self.at_once < 1:
            raise SpecError(f"--at-once must be at least 1, got {self.at_once}")
        own = (self.host,) if self.host not in ("0.0.0.0", "::") and self.socket is None else ()
        bare = tuple(f"[{name}]" if ":" in name else name for name in (*LOCAL_HOSTS, *own))
        known = frozenset(_host_name(name) for name in (*bare, *self.hosts))
        object.__setattr__(self, "known_hosts", known)
        object.__setattr__(self, "proxies", Proxies(self.trusted_proxies))
        object.__setattr__(self, "root_path", _root_path(self.root_path))

    @property
    def local(self) -> bool:
        """Whether nothing but this machine can reach it."""
        return (is_loopback(self.host) or self.socket is not None) and not self.hosts

    @property
    def socket(self) -> Path | None:
        """The unix socket that it listens at; None where it listens at a port."""
        return Path(self.host.removeprefix(SOCKET)) if self.host.startswith(SOCKET) else None

    def answers_to(self, host: HostPort | None, scheme: str) -> bool:
        """Whether this service is reached by a host, as a Host header names it, over http or https."""
        if host is None:
            return False
        return not self.known_hosts.isdisjoint({HostPort(host.name), HostPort(host.name, host.port_for(scheme))})

    @property
    def database_url(self) -> str | URL:
        """The database, as SQLAlchemy takes it."""
        return with_secrets(self.database) if self.database else sqlite_url(self.folder / "service.db")


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, and nobody else's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(text: str) -> HostPort:
    """A name as an option gives it; one of other letters than ASCII as the network has it."""
    try:
        written = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        written = ""
    host = parse_host(written)
    if host is None and ":" in written:  # an IPv6 address needs no brackets here
        host = parse_host(f"[{written}]")
    if host is None:
        raise SpecError(
            f"--host-name must be a name or an address such as searches.example.org or 10.0.0.7, with or without a "
            f"port, and without http://, got {text!r}"
        )
    return host


def _root_path(text: str) -> str:
    """The path of `--root-path`, "" for none."""
    path = clean_prefix(text)
    if path is None:
        raise SpecError(
            f"--root-path must be a path such as /tools/leni-search, of letters, digits and ._~+:@=-, got {text!r}"
        )
    first = path.split("/")[1] if path else ""
    if first in ADDRESSES:
        raise SpecError(f"--root-path must not begin with /{first}, which is a path of the service's own")
    if "/dashboard" in path:
        raise SpecError(f"--root-path must not hold /dashboard, which optuna-dashboard takes for its own, got {path!r}")
    return path
