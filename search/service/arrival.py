"""Where a request comes from and what it asks for, behind a proxy or not, and how answers name our own addresses."""

from __future__ import annotations

import string
from urllib.parse import quote, urlsplit, urlunsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import Scope

from search.service.forwarded import Seen
from search.service.settings import ADDRESSES, Settings

__all__ = ["arrive", "own", "path_of", "relative"]


def arrive(scope: Scope, settings: Settings) -> str:
    """Put into the scope where the request comes from and what it asks for, as a trusted proxy has it.

    The scope's `state` gets `direct`, whether no proxy stands between, and `method`: HEAD is answered as GET is, but
    without a body.

    Returns:
        The path without the prefix.
    """
    headers = Headers(scope=scope)
    peer = scope["client"][0] if scope.get("client") else None
    unix = peer is None and settings.socket is None
    seen = Seen() if unix else settings.proxies.seen(headers, peer)
    state = scope.setdefault("state", {})
    state["direct"] = unix or not settings.proxies.trusts(peer)
    state["method"] = scope["method"]
    if scope["method"] == "HEAD":
        scope["method"] = "GET"
    if seen.client is not None:
        scope["client"] = (seen.client, 0)
    if seen.scheme is not None:
        scope["scheme"] = seen.scheme
    if seen.host is not None:
        kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", seen.host.encode("latin-1")), *kept]
    root = settings.root_path if seen.prefix is None else seen.prefix
    path: str = scope["path"]
    ambiguous = root.partition("/")[2].partition("/")[0] in ADDRESSES  # a proxy that says its prefix has taken it away
    if root and not ambiguous and (path == root or path.startswith(f"{root}/")):
        path = path.removeprefix(root) or "/"
    scope["root_path"], scope["path"] = root, root + path
    scope["query_string"] = quote(scope.get("query_string", b""), safe=string.printable).encode()
    return path


def relative(location: str, host: str) -> str:
    """A redirect within this service without scheme and host, which a proxy may know better than we do."""
    parts = urlsplit(location)
    if parts.netloc.lower() != host.lower() or parts.path.startswith("//"):
        return location
    return urlunsplit(parts._replace(scheme="", netloc=""))


def own(request: Request, path: str) -> str:
    """The address of one of our paths, `/login`, as a browser has to ask for it: below the prefix."""
    return f"{_root(request)}{path}"


def path_of(request: Request) -> str:
    """The path that is asked for, without the prefix."""
    path: str = request.scope["path"]
    return path.removeprefix(_root(request))


def _root(request: Request) -> str:
    root: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))  # the first where it is mounted
    return root
