"""One service's parts, and how it describes a search to whoever may see it."""

from __future__ import annotations

import hmac
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fastapi import Request

from search.service.metrics import Metrics
from search.service.queue import Queue
from search.service.reading import Readings, count_trials
from search.service.settings import Settings
from search.service.store import Search, Store
from search.service.tokens import Caller, Tokens

__all__ = ["Service", "service_of"]

FOLDER_GONE = "the folder of the searches is not where it was; put it back, and the service continues"
FRESH_S = 0.4  # for so long a running search's counts are good; one look serves every reader


@dataclass
class Service:
    """What the addresses work with."""

    settings: Settings
    store: Store
    tokens: Tokens
    queue: Queue
    readings: Readings
    metrics: Metrics
    secret: bytes
    streams: dict[str, int] = field(default_factory=dict)
    stopping: bool = False
    _counts: dict[str, tuple[float, int, dict[str, int]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counts(self, search: Search) -> dict[str, int]:
        """Trials of a search by state."""
        with self._lock:
            at, version, counts = self._counts.get(search.id, (0.0, -1, {}))
        resting = search.state == "ended" and version == search.version
        if resting or (version == search.version and time.monotonic() - at < FRESH_S):
            return counts
        if search.attempt and not self.missing(search):
            counts = count_trials(self.queue.home(search.id))
        with self._lock:
            self._counts[search.id] = (time.monotonic(), search.version, counts)
        return counts

    def describe(self, search: Search) -> dict[str, Any]:
        """A search as JSON has it."""
        version = self.readings.version(search.id) if search.attempt else ""
        records = version and sha256(version.encode()).hexdigest()[:16]
        return {
            "id": search.id,
            "name": search.name,
            "state": search.state,
            "outcome": search.outcome,
            "note": search.note or self.missing(search),
            "cancelling": search.cancel,
            "priority": search.priority,
            "trials": search.trials,
            "counts": {"running": 0, "completed": 0, "stopped": 0, "failed": 0, **self.counts(search)},
            "attempt": search.attempt,
            "created_at": _iso(search.created_at),
            "started_at": _iso(search.started_at),
            "ended_at": _iso(search.ended_at),
            "records": records,
        }

    def describe_one(self, search: Search) -> dict[str, Any]:
        """The same, with how many are queued before it, None where it is not queued."""
        return {**self.describe(search), "ahead": self.store.ahead(search) if search.state == "queued" else None}

    def forget(self, search_id: str) -> None:
        """Let go of what is remembered of a search."""
        self.readings.forget(search_id)
        with self._lock:
            self._counts.pop(search_id, None)

    def form_token(self, caller: Caller) -> str:
        """What a form of this caller's pages must bring along, which no page of another site can know."""
        return hmac.new(self.secret, f"form {caller.session}".encode(), sha256).hexdigest()

    def missing(self, search: Search) -> str:
        """Why nothing that a search has written can be read; "" where it can, or it has written nothing yet."""
        if not search.attempt or search.state == "starting" or self.queue.home(search.id).path.is_dir():
            return ""
        if not self.queue.folder.is_dir():
            return FOLDER_GONE
        return f"the folder of search {search.id} is not where it was; put it back, or delete the search"

    def not_ready(self) -> str:
        """Why it cannot work now; "" while the database answers, the folder is there and the queue is worked."""
        if not self.store.answers():
            return "the service's database does not answer"
        if not self.queue.folder.is_dir():
            return FOLDER_GONE
        age = self.queue_age_s()
        return f"the queue has not been worked for {age:.0f} s" if age > max(30.0, 20 * self.settings.poll_s) else ""

    def queue_age_s(self) -> float:
        """Seconds since the queue was last worked."""
        return time.monotonic() - self.queue.ticked_at


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
