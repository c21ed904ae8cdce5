import threading
import time

import httpx
import pytest

from search.service.client import Client, ServiceError


@pytest.fixture
def remote(client, monkeypatch):
    """A client whose requests reach the service in this process; what it sent is kept."""
    sent = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        answer = client.request(
            request.method, str(request.url), content=request.content, headers=dict(request.headers)
        )
        kept = {name: value for name, value in answer.headers.items() if name not in ("content-length",)}
        return httpx.Response(answer.status_code, content=answer.content, headers=kept)

    made = Client("http://127.0.0.1:8080")
    made._http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://127.0.0.1:8080/api/v1/")
    made.sent = sent
    monkeypatch.setattr("search.service.client.PAUSE_S", 0.01)
    yield made
    made.close()


def broken(remote, times, error=None, status=None):
    """Lose the first answers of a service, after it has taken the request."""
    inner = remote._http._transport.handler
    left = [times]

    def handle(request):
        answer = inner(request)
        if left[0]:
            left[0] -= 1
            if error:
                raise error("the answer was lost")
            return httpx.Response(status, json={"detail": "later"})
        return answer

    remote._http._transport = httpx.MockTransport(handle)


def test_submission_whose_answer_is_lost_is_one_search(remote):
    broken(remote, 3, httpx.ReadError)
    search = remote.submit({"trials": 3}, name="mine")
    assert [row["id"] for row in remote.searches()] == [search["id"]]


def test_two_submissions_of_the_same_are_two_searches(remote):
    assert remote.submit({"trials": 3})["id"] != remote.submit({"trials": 3})["id"]


def test_service_that_is_busy_is_asked_again_and_a_refusal_is_not(remote):
    broken(remote, 2, status=503)
    assert list(remote.searches()) == []
    before = len(remote.sent)
    with pytest.raises(ServiceError, match="did you mean 'trials'"):
        remote.submit({"trails": 3})
    assert len(remote.sent) == before + 1


def test_wish_whose_answer_is_lost_is_not_wished_again(remote, finished):
    broken(remote, 1, httpx.ReadError)
    with pytest.raises(ServiceError, match="does not answer"):
        remote.resume(finished.id, add_trials=4)
    assert remote.status(finished.id)["trials"] == 10


def test_searches_are_all_of_them_over_pages(remote, service):
    made = [service.queue.submit({"trials": 3})[0].id for _ in range(201)]
    assert [row["id"] for row in remote.searches()] == made[::-1]


def test_watch_tells_each_change_until_the_end(remote, service, puppets):
    search, _ = service.queue.submit({"trials": 6})

    def work():
        time.sleep(0.8)
        service.queue.cancel(search.id)

    worker = threading.Thread(target=work)
    worker.start()
    assert [state["state"] for state in remote.watch(search.id)] == ["queued", "ended"]
    worker.join()


def test_watch_of_no_search_is_a_sentence(remote):
    with pytest.raises(ServiceError, match="there is no search"):
        list(remote.watch("nothing"))


def test_fetched_folder_is_a_run(remote, service, finished, tmp_path):
    import results

    (service.queue.home(finished.id).run.path / "exports").mkdir()
    (service.queue.home(finished.id).run.path / "exports" / "ä b.json").write_text("{}")
    place = remote.fetch(finished.id, tmp_path / "out")
    assert results.load(place).trials.equals(results.load(service.queue.home(finished.id).run.path).trials)
    assert (place / "exports" / "ä b.json").read_text() == "{}"
    with pytest.raises(ServiceError, match="not an empty folder"):
        remote.fetch(finished.id, place)


@pytest.mark.parametrize("name", ["../x.csv", "/etc/x.csv", "a/../../x.csv", "..\\x.csv", "C:x.csv"])
def test_server_that_names_a_file_outside_is_not_believed(tmp_path, name):
    def handle(request):
        return httpx.Response(200, json={"items": [{"name": "a.csv"}, {"name": name}]})

    with Client("http://x") as made:
        made._http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://x/api/v1/")
        with pytest.raises(ServiceError, match="outside"):
            made.fetch("abc", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names", [[""], ["."], ["a\x00.csv"], ["a\x1b[31m.csv"], ["a.csv", "a.csv/b.csv"], ["x" * 300]]
)
def test_server_that_names_files_which_cannot_be_is_a_sentence(tmp_path, names):
    def handle(request):
        return httpx.Response(200, json={"items": [{"name": name} for name in names]})

    with Client("http://x") as made:
        made._http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://x/api/v1/")
        with pytest.raises(ServiceError, match=r"names an invalid file|cannot be written"):
            made.fetch("abc", tmp_path / "out")


def test_events_that_a_proxy_holds_back_are_asked_for(remote, service, monkeypatch):
    search, _ = service.queue.submit({"trials": 6})
    monkeypatch.setattr("search.service.client.POLL_S", 0.01)
    asked = []

    def held_back(search_id, last):
        asked.append(last)
        raise httpx.ReadTimeout("nothing came")

    monkeypatch.setattr(remote, "_events", held_back)
    watched = remote.watch(search.id)
    assert next(watched)["state"] == "queued"
    service.queue.cancel(search.id)
    assert [state["outcome"] for state in watched] == ["cancelled"]
    assert asked == [""]


def test_id_stays_one_part_of_the_address(remote):
    with pytest.raises(ServiceError, match=r"there is no search|nothing at this address"):
        remote.status("../../metrics")
    assert "metrics" not in remote.sent[-1].url.raw_path.decode().split("/")


def test_server_that_is_not_there_or_no_address_is_a_sentence(monkeypatch):
    monkeypatch.setattr("search.service.client.PAUSE_S", 0.0)
    for server in ("http://127.0.0.1:9", "no address", "http://[", "ftp://x"):
        with pytest.raises(ServiceError), Client(server) as made:
            made.status("x")
