"""A database that is locked or whose disk is full, and a queue that cannot reach it: nothing lost, nothing twice."""

import sqlite3
import threading

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError


@pytest.fixture
def full(service):
    """Let the database grow no further, as on a full disk; call what is given to make room again."""

    def limit(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(service.store.engine, "connect", limit)
    service.store.engine.dispose()

    def make_room():
        event.remove(service.store.engine, "connect", limit)
        service.store.engine.dispose()

    return make_room


def submit(client, **headers):
    body = {"spec": {"trials": 3}, "name": "x" * 200}
    return client.post("/api/v1/searches", json=body, headers={"Accept": "application/json", **headers})


def listed(client):
    return [item["id"] for item in client.get("/api/v1/searches?limit=200").json()["items"]]


def test_submission_waits_for_a_locked_database_which_is_read_meanwhile(client, settings):
    holder = sqlite3.connect(settings.folder / "service.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(submit(client).status_code))
    waiting.start()
    assert listed(client) == []
    assert answers == []
    holder.execute("ROLLBACK")
    holder.close()
    waiting.join()
    assert (answers, len(listed(client))) == ([201], 1)


def test_full_disk_refuses_in_a_sentence_and_takes_the_same_submission_later(client, service, full):
    taken = []
    for number in range(200):
        answer = submit(client, **{"Idempotency-Key": f"k{number}"})
        if answer.status_code != 201:
            break
        taken.append(answer.json()["id"])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "disk of the service's database is full" in answer.json()["detail"]
    assert listed(client) == taken[::-1]
    full()
    again = submit(client, **{"Idempotency-Key": f"k{number}"})
    assert again.status_code == 201
    assert listed(client) == [again.json()["id"], *taken[::-1]]


def test_queue_goes_on_once_the_database_answers_again(service, puppets, monkeypatch):
    search, _ = service.queue.submit({"trials": 3})
    real, failures = service.store.in_state, iter(range(3))

    def unreachable(*states):
        if next(failures, None) is not None:
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return real(*states)

    monkeypatch.setattr(service.store, "in_state", unreachable)
    worker = threading.Thread(target=service.queue.work)
    worker.start()
    while service.store.get(search.id).state != "running":
        pass
    service.queue.stop()
    worker.join()
    assert puppets.launched == [(search.id, 1)]
