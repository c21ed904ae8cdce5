"""Whether a request that changes something comes from a page of another site (cross-site request forgery).

Source: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers

from search.service.hosts import parse_host

__all__ = ["foreign"]


def foreign(headers: Headers, scheme: str) -> bool:
    """Whether a browser says that this request was made by a page of another site.

    `Sec-Fetch-Site` is the browser's own judgement, which no page can set, and holds also where a proxy has changed the
    Host header. Browsers send it over TLS and to this machine alone; without it, Origin must name this host. Where
    neither is there, the request is no browser's, or that of a browser's own form, which has a token.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    parts, own = _split(origin), parse_host(headers.get("host", ""))
    if parts is None or parts.scheme not in ("http", "https") or (scheme == "https" and parts.scheme != "https"):
        return True
    theirs = parse_host(parts.netloc)
    if theirs is None or own is None or theirs.name != own.name:
        return True
    return theirs.port_for(parts.scheme) != own.port_for(parts.scheme)


def _split(origin: str) -> SplitResult | None:
    try:
        return urlsplit(origin)
    except ValueError:  # [::1 without its end
        return None
