"""What stands before every address: who may ask from where, how much, how often, and what a browser may do with it.

- what a trusted proxy says of client, scheme, host and prefix takes the place of what the connection has.
- Host: only names that this service is reached by, so that another site's name cannot be pointed at it. Probes come by
  address, and are answered under any; so is /metrics with a token.
- Origin: a browser's request that changes something must come from our own pages.
- size and rate limits, secure headers, a line in the log and a count for each answer.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.service.arrival import arrive, relative
from search.service.hosts import parse_host
from search.service.metrics import Metrics
from search.service.origin import foreign
from search.service.problems import answer
from search.service.settings import Settings

__all__ = ["Guard", "Rate"]

log = logging.getLogger("leni_search.service.access")
SAFE = ("GET", "HEAD", "OPTIONS")
PROBES = ("/healthz", "/readyz")
CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
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
        path = arrive(scope, self.settings)
        seen = {"status": 0}
        dressed = _dressed(scope, send, seen, request_id)
        try:
            refused = self._refusal(scope, path)
            if refused is not None:
                await refused(scope, receive, dressed)
            else:
                await self.app(scope, _limited(receive, self.settings.body_bytes), dressed)
        except Exception:  # here, so that also this answer is dressed, and no traceback leaves the house
            log.exception("mistake", extra={"request": request_id})
            if not seen["status"]:
                broken = answer(500, f"internal error; the server's log has the details under request {request_id}")
                await broken(scope, receive, dressed)
        finally:
            self._note(scope, path, seen["status"], time.perf_counter() - started, request_id)

    def _refusal(self, scope: Scope, path: str) -> Response | None:
        """Why a request is not let through, None if it is."""
        headers, method = Headers(scope=scope), scope["state"]["method"]
        if not method.isascii() or any(CONTROLS.search(value) for _, value in headers.raw):
            return answer(400, "the request has a method or a header that HTTP does not allow")
        if sum(len(name) + len(value) for name, value in headers.raw) > self.settings.header_bytes:
            return answer(431, f"the headers of a request are at most {self.settings.header_bytes:,} bytes here")
        open_to_all = path in PROBES or (path == "/metrics" and "authorization" in headers)
        if not open_to_all and not self.settings.answers_to(parse_host(headers.get("host", "")), scope["scheme"]):
            return answer(421, "this service is not reached by this name; `serve --host-name NAME` makes it so")
        if method not in SAFE and foreign(headers, scope["scheme"]):
            return answer(403, "a page of another site cannot change anything here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.settings.body_bytes:
            return answer(413, f"a body is at most {self.settings.body_bytes:,} bytes here")
        address, now = (scope.get("client") or ("",))[0], time.monotonic()
        wait = self.rate_of_address.take(address, now) or self.rate.take(_caller(headers, address), now)
        if wait:
            return answer(429, "too many requests: slow down", {"Retry-After": str(int(wait) + 1)})
        return None

    def _note(self, scope: Scope, path: str, status: int, seconds: float, request_id: str) -> None:
        """A line and a count; of the address its pattern or its path, never a query, which may hold a token."""
        route = scope.get("route")
        pattern = str(getattr(route, "path", "other"))
        method, caller = scope["state"]["method"], scope["state"].get("caller", "")
        self.metrics.answered(method, pattern, status, seconds)
        log.info(
            "request",
            extra={
                "method": method, "path": path[:300], "status": status, "ms": round(1000 * seconds, 1),
                "client": (scope.get("client") or ("",))[0], "caller": caller, "request": request_id,
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


def _dressed(scope: Scope, send: Send, seen: dict[str, int], request_id: str) -> Send:
    """The same `send`, which adds the headers that every answer has, and keeps the body of a HEAD to itself."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen["status"] = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            headers["X-Request-ID"] = request_id
            if (location := headers.get("location")) is not None:
                headers["location"] = relative(location, Headers(scope=scope).get("host", ""))
        elif message["type"] == "http.response.body" and scope["state"]["method"] == "HEAD":
            message = {**message, "body": b""}
        await send(message)

    return dressed


def _caller(headers: Headers, address: str) -> str:
    """Whose rate it is: the token's, whether it is good or not, else the address's."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    return f"{address} {text[:24]}" if kind.lower() == "bearer" else address
