"""A database or a folder of searches that is not where it was: said in a sentence, and used again once it is back."""

import shutil

import pytest

from search.service.queue import Queue


@pytest.fixture
def places(finished):
    base = f"/api/v1/searches/{finished.id}"
    return [base, *(f"{base}/{name}" for name in ("trials", "trials/1", "front", "files", "logs", "report", "events"))]


def sentence(answer):
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    return answer.json()["detail"]


def test_database_that_is_removed_is_a_sentence_and_nothing_is_taken_or_made_in_its_place(client, settings, places):
    database = settings.folder / "service.db"
    kept = database.rename(settings.folder / "kept.db")
    for path in places:
        assert "database is not where it was" in sentence(client.get(path))
    answer = client.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, "database is not where it was" in answer.text) == (503, True)
    assert "database is not where it was" in sentence(client.post("/api/v1/searches", json={"spec": {}}))
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, "database does not answer" in ready.json()["detail"]) == (503, True)
    assert not database.exists()
    kept.rename(database)
    assert client.get(places[0]).status_code == 200
    assert client.post("/api/v1/searches", json={"spec": {}}).status_code == 201


def test_database_that_is_replaced_is_read_anew(client, settings, service):
    first = client.post("/api/v1/searches", json={"spec": {}, "name": "first"}).json()["id"]
    service.store.engine.dispose()  # so that the write-ahead log is in the file
    database, copy = settings.folder / "service.db", settings.folder / "copy.db"
    shutil.copy(database, copy)
    assert client.post("/api/v1/searches", json={"spec": {}}).status_code == 201
    service.store.engine.dispose()
    copy.replace(database)
    assert [item["id"] for item in client.get("/api/v1/searches").json()["items"]] == [first]


def test_folder_of_the_searches_that_vanishes_loses_none_of_them(client, service, settings, puppets, finished, places):
    running, _ = service.queue.submit({"trials": 3})
    service.queue.tick()
    kept = service.queue.folder.rename(settings.folder / "kept")
    puppets.living.clear()  # as if their locks were gone with the folder
    with pytest.raises(OSError, match="not where it was"):
        service.queue.tick()
    assert service.store.get(running.id).state == "running"
    for path in places:
        if not path.endswith("/events") and path != places[0]:
            assert "folder of the searches is not where it was" in sentence(client.get(path))
    listed = {item["id"]: item for item in client.get("/api/v1/searches").json()["items"]}
    assert "folder of the searches" in listed[finished.id]["note"]
    assert "folder of the searches" in client.get("/readyz").json()["detail"]
    kept.rename(service.queue.folder)
    assert client.get(places[2]).status_code == 200
    assert client.get(places[0]).json()["note"] == ""


def test_service_that_starts_without_the_folder_of_its_searches_makes_no_empty_one(
    service, settings, puppets, finished
):
    shutil.rmtree(service.queue.folder)
    Queue(service.store, settings, puppets).make_folder()
    assert not service.queue.folder.exists()


def test_folder_of_one_search_that_vanishes_leaves_the_others(client, service, finished, places):
    shutil.rmtree(service.queue.home(finished.id).path)
    assert f"folder of search {finished.id}" in sentence(client.get(places[1]))
    assert f"folder of search {finished.id}" in client.get(places[0]).json()["note"]
    assert f"folder of search {finished.id}" in client.get(f"/searches/{finished.id}").text
    service.queue.tick()
    assert client.get("/readyz").status_code == 200
    assert client.delete(places[0]).status_code == 204


def test_run_that_never_began_has_no_folder_to_miss(client, service):
    search, _ = service.queue.submit({"trials": 3})
    answer = client.get(f"/api/v1/searches/{search.id}/front")
    assert (answer.status_code, answer.json()["items"]) == (200, [])
