"""A service from Python: submit a search, watch it, fetch what came of it.

with Client("http://localhost:8080") as client:
    search = client.submit({"data": "digits", "trials": 24})
    for state in client.watch(search["id"]):
        print(state["counts"])
    run = results.load(client.fetch(search["id"], "runs/fetched"))
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from leni.errors import LeniSearchError

__all__ = ["Client", "ServiceError"]

TRIES, PAUSE_S = 5, 0.5
SILENCE_S, POLL_S = 40.0, 2.0  # the service's stream says something every 15 s
CHUNK = 1 << 20


class ServiceError(LeniSearchError):
    """A service that refuses, in its own sentence, or that does not answer."""

    code = "LS-SERVICE"


class Client:
    """One service.

    Args:
        server: its address, http://host:8080.
        token: as `leni-search token create` gave it; None for a service on this machine that has no tokens.
        timeout_s: for one answer.
    """

    def __init__(self, server: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=server.rstrip("/") + "/api/v1/", headers=headers, timeout=timeout_s)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ServiceError(
                f"--server must be an address such as http://host:8080, got {server!r}: {error}"
            ) from None
        self.server = server

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def submit(
        self, spec: Mapping[str, Any], *, name: str = "", priority: int = 0, key: str | None = None
    ) -> dict[str, Any]:
        """Queue a search, once, however often the connection breaks meanwhile.

        Args:
            spec: keys as in spec.toml.
            name: to be shown.
            priority: higher ones start first.
            key: of your choice; whoever submits under it again gets the same search. None for a new one.

        Returns:
            The search: id, state, counts, ...

        Raises:
            ServiceError: the spec is refused, or there is no answer.
        """
        body = {"spec": dict(spec), "name": name, "priority": priority}
        found: dict[str, Any] = self._ask("POST", "searches", body=body, key=key or uuid.uuid4().hex)
        return found

    def searches(self) -> Iterator[dict[str, Any]]:
        """All searches, the newest first."""
        cursor = ""
        while True:
            page = self._ask("GET", f"searches?limit=200{cursor}")
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"

    def status(self, search_id: str) -> dict[str, Any]:
        """A search as it is."""
        found: dict[str, Any] = self._ask("GET", f"searches/{quote(search_id, safe='')}")
        return found

    def cancel(self, search_id: str) -> dict[str, Any]:
        """End a search as Ctrl-C does."""
        found: dict[str, Any] = self._ask("POST", f"searches/{quote(search_id, safe='')}/cancel")
        return found

    def resume(self, search_id: str, *, add_trials: int = 0) -> dict[str, Any]:
        """Go on with a search that has ended, perhaps to more trials."""
        where = f"searches/{quote(search_id, safe='')}"
        body = {"add_trials": add_trials} if add_trials else None
        found: dict[str, Any] = self._ask("POST", f"{where}/{'extend' if add_trials else 'resume'}", body=body)
        return found

    def delete(self, search_id: str) -> None:
        """Remove a search that does not run."""
        self._ask("DELETE", f"searches/{quote(search_id, safe='')}")

    def front(self, search_id: str) -> list[dict[str, Any]]:
        """The front as it is now."""
        found: list[dict[str, Any]] = self._ask("GET", f"searches/{quote(search_id, safe='')}/front")["items"]
        return found

    def watch(self, search_id: str) -> Iterator[dict[str, Any]]:
        """The search at each change until it has ended; a connection that breaks is made again.

        Behind a proxy that holds back the event stream, the search is asked for every few seconds instead.

        Raises:
            ServiceError: there is no such search, or no answer for too long.
        """
        last, shown, streaming = "", None, True
        while True:
            if streaming:
                before = last
                try:
                    for kind, event_id, shown in self._events(search_id, before):
                        last = event_id
                        if kind == "end" or shown["state"] == "gone":
                            return
                        yield shown
                except (httpx.TransportError, httpx.StreamError) as error:
                    # Whether the service is there at all, the next question says.
                    streaming = last != before or not isinstance(error, httpx.ReadTimeout)
            state = self.status(search_id)
            if state["state"] == "ended" or (not streaming and state != shown):
                shown = state
                yield state
            if state["state"] == "ended":
                return
            time.sleep(PAUSE_S if streaming else POLL_S)

    def _events(self, search_id: str, last: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(kind, id, data) of each event of one connection."""
        headers = {"Last-Event-ID": last} if last else {}
        where = f"searches/{quote(search_id, safe='')}/events"
        timeout = httpx.Timeout(30.0, read=SILENCE_S)
        with self._http.stream("GET", where, headers=headers, timeout=timeout) as response:
            if response.status_code == 204:
                return
            if response.status_code != 200:
                response.read()
                raise ServiceError(_detail(response), code=_code(response))
            event: dict[str, str] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(":")
                if line and name:
                    event[name] = value.strip()
                elif not line and "data" in event:
                    yield event.get("event", ""), event.get("id", ""), json.loads(event["data"])
                    event = {}

    def fetch(self, search_id: str, folder: str | Path) -> Path:
        """Everything that the run has written for readers, so that `results.load` reads the folder.

        Args:
            search_id: of the search.
            folder: a new or empty one.

        Returns:
            The folder.

        Raises:
            ServiceError: there is no such search, it has written nothing yet, the folder has something in it, or the
                server names a file that would lie outside of it.
        """
        place = Path(folder)
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise ServiceError(f"{place} is not an empty folder; give a new one", code="LS-FOLDER-TAKEN")
        where = f"searches/{quote(search_id, safe='')}/files"
        names = [str(item["name"]) for item in self._ask("GET", where)["items"]]
        if not names:
            raise ServiceError(f"search {search_id} has written nothing yet")
        for name in names:
            parts = PurePosixPath(name)
            if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name:
                raise ServiceError(f"{self.server} names a file that would lie outside of {place}: {name!r}")
            if not parts.parts or not name.isprintable():
                raise ServiceError(f"{self.server} names an invalid file: {name!r}")
        for name in names:
            self._save(f"{where}/{quote(name)}", place / name)
        return place

    def _save(self, where: str, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._http.stream("GET", where) as response, path.open("wb") as stream:
                if response.status_code != 200:
                    response.read()
                    raise ServiceError(_detail(response), code=_code(response))
                for part in response.iter_bytes(CHUNK):
                    stream.write(part)
        except httpx.TransportError as error:
            raise ServiceError(f"{self.server} does not answer: {error}", code="LS-SERVICE-SILENT") from None
        except OSError as error:
            raise ServiceError(f"{path} cannot be written: {error.strerror}", code="LS-FOLDER-WRITE") from None

    def _ask(self, method: str, where: str, *, body: Any = None, key: str | None = None) -> Any:
        """One answer; again where there was none or the service is busy, if that changes nothing twice."""
        headers = {"Idempotency-Key": key} if key else {}
        for attempt in range(TRIES):
            again = attempt + 1 < TRIES and (method == "GET" or key is not None)
            try:
                response = self._http.request(method, where, json=body, headers=headers)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if not again:
                    raise ServiceError(f"{self.server} does not answer: {error}", code="LS-SERVICE-SILENT") from None
            except (TypeError, ValueError) as error:
                raise ServiceError(f"the spec cannot be sent as JSON: {error}") from None
            else:
                if response.is_success:
                    return response.json() if response.content else None
                if response.status_code not in (429, 503) or not again:
                    raise ServiceError(_detail(response), code=_code(response))
            time.sleep(PAUSE_S * 2**attempt)
        raise ServiceError(f"{self.server} does not answer", code="LS-SERVICE-SILENT")


def _code(response: httpx.Response) -> str | None:
    """The code of the service's own error; None where it names none."""
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return None


def _detail(response: httpx.Response) -> str:
    """The service's own sentence."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answers {response.status_code} {response.reason_phrase}"
