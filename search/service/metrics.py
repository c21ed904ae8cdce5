"""What is measured, in Prometheus's text."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["Metrics"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counts of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "leni_search_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "leni_search_request_seconds", "Time to the end of an answer, streams apart", ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0), registry=self.registry,
        )  # fmt: skip
        self._searches = Gauge("leni_search_searches", "Searches by state", ["state"], registry=self.registry)
        self.streams = Gauge("leni_search_streams", "Event streams open now", registry=self.registry)
        self._tick = Gauge("leni_search_queue_age_seconds", "Since the queue was last worked", registry=self.registry)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more answer; `route` is the address's pattern, so that there are few of them."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        if not route.endswith("/events"):
            self._seconds.labels(route).observe(seconds)

    def text(self, searches: Mapping[str, int], queue_age_s: float) -> bytes:
        """All of it, as Prometheus reads it."""
        for state, count in searches.items():
            self._searches.labels(state).set(count)
        self._tick.set(queue_age_s)
        return generate_latest(self.registry)
