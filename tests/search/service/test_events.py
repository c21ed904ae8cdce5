import dataclasses
import json
import threading
import time

import pytest
from starlette.testclient import TestClient

from search.service import events as module
from search.service.app import create_app


@pytest.fixture
def told(monkeypatch):
    """Waits until a stream tells that a search is in a state."""
    changed, states, inner = threading.Condition(), [], module.Hub.current

    async def current(hub, search_id):
        found = await inner(hub, search_id)
        if hub.service.streams:  # it is a stream that asks, and tells it
            with changed:
                states.append(json.loads(found[1])["state"])
                changed.notify_all()
        return found

    def wait(state):
        with changed:
            assert changed.wait_for(lambda: state in states, 120), state

    monkeypatch.setattr(module.Hub, "current", current)
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    return wait


def read(client, search_id, **headers):
    """All events of a search that ends: (kind, id, data)."""
    answer = client.get(f"/api/v1/searches/{search_id}/events", headers=headers)
    parts = [dict(line.split(": ", 1) for line in part.splitlines()) for part in answer.text.split("\n\n") if part]
    return answer, [(part["event"], part["id"], json.loads(part["data"])) for part in parts if "event" in part]


def test_ended_search_is_told_once_and_the_stream_ends(client, finished):
    answer, events = read(client, finished.id)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [kind for kind, _, _ in events] == ["search", "end"]
    assert (events[0][2]["outcome"], events[0][2]["id"]) == ("complete", finished.id)


def test_who_knows_the_end_is_told_not_to_come_back(client, finished):
    _, events = read(client, finished.id)
    answer, none = read(client, finished.id, **{"Last-Event-ID": events[-1][1]})
    assert (answer.status_code, none) == (204, [])
    _, again = read(client, finished.id, **{"Last-Event-ID": "something else"})
    assert [kind for kind, _, _ in again] == ["search", "end"]


def test_changes_are_told_while_they_happen(client, service, puppets, told):
    search, _ = service.queue.submit({"trials": 6})

    def work():
        told("queued")
        service.queue.tick()
        told("running")
        puppets.end(service.store.get(search.id), service.queue.home(search.id))
        service.queue.tick()

    worker = threading.Thread(target=work)
    worker.start()
    _, events = read(client, search.id)
    worker.join()
    states = [data["state"] for kind, _, data in events if kind == "search" and data["state"] != "starting"]
    assert states == ["queued", "running", "ended"]
    assert len({event_id for kind, event_id, _ in events if kind == "search"}) >= 3


def test_deleted_search_ends_its_streams(client, service, told):
    search, _ = service.queue.submit({"trials": 6})
    worker = threading.Thread(target=lambda: (told("queued"), service.queue.delete(search.id)))
    worker.start()
    _, events = read(client, search.id)
    worker.join()
    assert [data["state"] for _, _, data in events] == ["queued", "gone", "gone"]


def test_streams_are_limited_and_their_places_come_back(settings, puppets):
    app = create_app(dataclasses.replace(settings, streams_each=1), launcher_of=puppets)
    client, service = TestClient(app, base_url="http://127.0.0.1:8080"), app.state.service
    search, _ = service.queue.submit({"trials": 6})
    first = threading.Thread(target=read, args=(client, search.id))
    first.start()
    while not service.streams:
        time.sleep(0.01)
    assert client.get(f"/api/v1/searches/{search.id}/events").status_code == 429
    service.queue.cancel(search.id)
    first.join()
    assert service.streams == {}
    assert client.get(f"/api/v1/searches/{search.id}/events").status_code == 200


def test_service_that_stops_ends_its_streams(client, service, told):
    search, _ = service.queue.submit({"trials": 6})
    worker = threading.Thread(target=lambda: (told("queued"), setattr(service, "stopping", True)))
    worker.start()
    _, events = read(client, search.id)
    worker.join()
    assert [data["state"] for _, _, data in events] == ["queued"]
