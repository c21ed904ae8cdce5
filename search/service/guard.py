"""What stands before every address: who may ask from where, how much, how often, and what a browser may do with it.

- Host: only names that this service is reached by, so that another site's name cannot be pointed at it.
- Origin: a browser's request that changes something must come from our own pages.
- size and rate limits, secure headers, a line in the log and a count for each answer.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.service.metrics import Metrics
from search.service.problems import answer
from search.service.settings import Settings

__all__ = ["Guard", "Rate"]

log = logging.getLogger("leni_search.service.access")
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Rate:
    """A bucket for each caller, which fills at a steady rate.

    Args:
        per_s: tokens a second.
        burst: that a bucket holds.
        callers: remembered; the one that has not been seen for longest is forgotten.
    """

    def __init__(self, per_s: float, burst: int, *, callers: int = 4096) -> None:
        self.per_s, self.burst, self.callers = per_s, burst, callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now: float) -> float:
        """Take one token; 0.0 if there was one, else the seconds until there is."""
        level, before = self._buckets.pop(caller, (float(self.burst), now))
        level = min(float(self.burst), level + (now - before) * self.per_s)
        short = level < 1.0
        self._buckets[caller] = (level if short else level - 1.0, now)
        if len(self._buckets) > self.callers:
            self._buckets.popitem(last=False)
        return (1.0 - level) / self.per_s if short else 0.0


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.rate = Rate(settings.requests_per_s, settings.burst)
        self.rate_of_address = Rate(4 * settings.requests_per_s, 4 * settings.burst)  # of many callers behind a proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, request_id = time.perf_counter(), secrets.token_hex(8)
        seen = {"status": 0}

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-ID"] = request_id
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is not None:
                await refused(scope, receive, dressed)
            else:
                await self.app(scope, _limited(receive, self.settings.body_bytes), dressed)
        except Exception:  # here, so that also this answer is dressed, and no traceback leaves the house
            log.exception("mistake", extra={"request": request_id})
            if not seen["status"]:
                broken = answer(500, "the service has made a mistake; its log says which")
                await broken(scope, receive, dressed)
        finally:
            self._note(scope, seen["status"], time.perf_counter() - started, request_id)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is not let through, None if it is."""
        headers = Headers(scope=scope)
        host = _host_name(headers.get("host", ""))
        if host not in self.settings.known_hosts:
            return answer(421, "this service is not reached by this name; `serve --host-name NAME` makes it so")
        if scope["method"] not in SAFE and _foreign(headers):
            return answer(403, "a page of another site cannot change anything here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.settings.body_bytes:
            return answer(413, f"a body is at most {self.settings.body_bytes:,} bytes here")
        address, now = (scope.get("client") or ("",))[0], time.monotonic()
        wait = self.rate_of_address.take(address, now) or self.rate.take(_caller(headers, address), now)
        if wait:
            return answer(429, "too many requests: slow down", {"Retry-After": str(int(wait) + 1)})
        return None

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """A line and a count; of the address its pattern or its path, never a query, which may hold a token."""
        route = scope.get("route")
        pattern = str(getattr(route, "path", "other"))
        self.metrics.answered(scope["method"], pattern, status, seconds)
        caller = scope.get("state", {}).get("caller", "")
        log.info(
            "request",
            extra={
                "method": scope["method"], "path": scope["path"][:300], "status": status,
                "ms": round(1000 * seconds, 1), "caller": caller, "request": request_id,
            },
        )  # fmt: skip


def _limited(receive: Receive, limit: int) -> Receive:
    """A body that ends the request where it is longer than was said."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, f"a body is at most {limit:,} bytes here")
        return message

    return counted


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that this request was made by a page of another site."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _caller(headers: Headers, address: str) -> str:
    """Whose rate it is: the token's, whether it is good or not, else the address's."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    return f"{address} {text[:24]}" if kind.lower() == "bearer" else address
