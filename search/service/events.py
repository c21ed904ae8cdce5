"""Server-sent events: a search as it is, whenever it is different.

An event's id is made of what it says, so a reader that comes back with Last-Event-ID is told what has changed since,
also by a service that has been started anew meanwhile, and nothing has to be kept for it.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response, StreamingResponse

from search.service.access import caller_of
from search.service.problems import Problem
from search.service.state import Service
from search.service.tokens import Caller

__all__ = ["Hub", "stream"]

LOOK_S, BEAT_S, RETRY_MS = 0.5, 15.0, 2000
HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
"""By which a proxy knows to hand on each event as it comes, and not to collect or compress them."""
GONE = ("", '{"state": "gone"}')


class Hub:
    """What each search is at the moment; looked up once for all who listen."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._known: dict[str, tuple[float, tuple[str, str]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def current(self, search_id: str) -> tuple[str, str]:
        """An event's id and its data; `GONE` where there is no such search."""
        async with self._locks.setdefault(search_id, asyncio.Lock()):
            at, known = self._known.get(search_id, (0.0, GONE))
            if time.monotonic() - at < LOOK_S:
                return known
            try:
                fresh = await run_sync(self._look, search_id)
            except SQLAlchemyError:  # a database that is busy now: what was known stays known
                fresh = known
            self._known[search_id] = (time.monotonic(), fresh)
            return fresh

    def forget(self, search_id: str) -> None:
        """Let go of a search that nobody listens to any more."""
        self._known.pop(search_id, None)
        self._locks.pop(search_id, None)

    def _look(self, search_id: str) -> tuple[str, str]:
        search = self.service.store.get(search_id)
        if search is None or search.state == "deleting":
            return GONE
        text = json.dumps(self.service.describe_one(search))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), text


async def stream(request: Request, hub: Hub, caller: Caller, search_id: str) -> Response:
    """The events of a search, until it has ended: `search` with its JSON at each change, `end` at the end.

    Raises:
        Problem: 429, too many streams are open.
    """
    service = hub.service
    who = caller.id or (request.client.host if request.client else "")
    last = request.headers.get("last-event-id", "")
    event_id, data = await hub.current(search_id)
    if last == event_id and _over(data):
        return Response(status_code=204)  # by which a browser knows not to come back
    if request.state.method == "HEAD":
        return Response(headers=HEADERS, media_type="text/event-stream")
    if sum(service.streams.values()) >= service.settings.streams:
        raise Problem(
            429, f"{service.settings.streams} event streams are open, which is all there are", Retry_After="5"
        )
    if service.streams.get(who, 0) >= service.settings.streams_each:
        raise Problem(429, f"you have {service.settings.streams_each} event streams open already", Retry_After="5")
    service.streams[who] = service.streams.get(who, 0) + 1
    service.metrics.streams.set(sum(service.streams.values()))
    return _Stream(_events(request, hub, search_id, last), service, who)


class _Stream(StreamingResponse):
    """A stream that gives its place back however it ends, also if it never began."""

    def __init__(self, events: AsyncIterator[str], service: Service, who: str) -> None:
        super().__init__(events, media_type="text/event-stream", headers=HEADERS)
        self.service, self.who = service, who

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            left = self.service.streams.get(self.who, 1) - 1
            self.service.streams[self.who] = left
            if not left:
                self.service.streams.pop(self.who)
            self.service.metrics.streams.set(sum(self.service.streams.values()))


async def _events(request: Request, hub: Hub, search_id: str, last: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    heard = time.monotonic()
    while not hub.service.stopping:
        event_id, data = await hub.current(search_id)
        if event_id != last:
            last, heard = event_id, time.monotonic()
            yield f"id: {event_id}\nevent: search\ndata: {data}\n\n"
        if _over(data):
            yield f"id: {event_id}\nevent: end\ndata: {data}\n\n"
            hub.forget(search_id)
            return
        if time.monotonic() - heard > BEAT_S:
            heard = time.monotonic()
            if await run_sync(caller_of, request) is None:  # revoked or expired meanwhile
                return
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_S)


def _over(data: str) -> bool:
    return json.loads(data)["state"] in ("ended", "gone")
