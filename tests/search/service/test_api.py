import json
from http import HTTPStatus

import pytest

import results


def submit(client, spec=None, **headers):
    return client.post("/api/v1/searches", json={"spec": spec or {"trials": 3}}, headers=headers)


def test_submission_is_created_where_its_location_says(client):
    answer = submit(client, {"trials": 3, "data": "digits"})
    assert answer.status_code == 201
    found = client.get(answer.headers["location"]).json()
    assert (found["state"], found["trials"], found["ahead"], found["spec"]) == (
        "queued", 3, 0, {"trials": 3, "data": "digits"},
    )  # fmt: skip


def test_submission_under_the_same_key_is_the_same_search(client):
    first, again = [submit(client, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = submit(client, {"trials": 4}, **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["title"]) == (409, "Conflict")


def test_mistake_is_a_problem_with_the_sentence_of_the_command(client):
    answer = submit(client, {"trails": 3})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "detail": "there is no key 'trails'; did you mean 'trials'?",
        "code": "LS-SPEC-KEY",
    }


MALFORMED = {
    "no JSON": b"{", "a list": b"[]", "another key": b'{"spec": {}, "x": 1}', "no table": b'{"spec": 3}',
    "deep": b'{"spec": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep tables": b'{"spec":' * 900 + b"1" + b"}" * 900,
    "infinite": b'{"spec": {"max_hours": Infinity}}', "NaN": b'{"spec": {"fix": {"width": NaN}}}',
    "digits": b'{"spec": {"trials": ' + b"9" * 5000 + b"}}", "no UTF-8": b'{"name": "\xff"}',
    "half a character": b'{"name": "\\ud800"}', "null": b'{"name": "\\u0000"}', "newline": b'{"name": "a\\nb"}',
    "priority": b'{"priority": 101}', "long": b'{"name": "' + b"a" * 201 + b'"}', "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_body_is_refused_and_queues_nothing(client, case):
    answer = client.post("/api/v1/searches", content=MALFORMED[case], headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/searches").json()["items"] == []


SENTENCES = {
    "no JSON": ("POST", "/searches", b'{"spec": nul}', "the body is not JSON: Expecting value"),
    "a list": ("POST", "/searches", b"[]", "the body must be a JSON object, sent with Content-Type: application/json"),
    "a query": ("GET", "/searches?cursor=x", None, "query.cursor: must match pattern '^[0-9]{1,15}$'"),
    "a method": ("PUT", "/searches", None, "this address does not take PUT, but "),
    "an address": ("GET", "/nowhere", None, "there is nothing at this address"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_mistake_of_form_is_a_sentence_that_says_what_is_right(client, case):
    method, path, content, sentence = SENTENCES[case]
    answer = client.request(method, f"/api/v1{path}", content=content, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(sentence)


def test_queued_search_says_how_many_are_before_it(client):
    ids = [submit(client).json()["id"] for _ in range(3)]
    assert [client.get(f"/api/v1/searches/{search_id}").json()["ahead"] for search_id in ids] == [0, 1, 2]


def test_list_is_paged_from_new_to_old(client):
    made = [submit(client).json()["id"] for _ in range(5)]
    pages, cursor = [], ""
    while True:
        page = client.get(f"/api/v1/searches?limit=2{cursor}").json()
        pages.append([item["id"] for item in page["items"]])
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


def test_list_of_one_state(client, finished):
    other = submit(client).json()["id"]
    of = {state: [item["id"] for item in client.get(f"/api/v1/searches?state={state}").json()["items"]]
          for state in ("ended", "queued", "running")}  # fmt: skip
    assert of == {"ended": [finished.id], "queued": [other], "running": []}
    assert client.get("/api/v1/searches?state=asleep").status_code == 422


def test_what_has_not_changed_is_not_sent_again(client, service, finished):
    for path in ("", "/trials", "/front", "/figure", "/hypervolume", "/files", "/files/trials.parquet", "/trials/1"):
        where = f"/api/v1/searches/{finished.id}{path}"
        first = client.get(where)
        again = client.get(where, headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b""), path
        assert client.get(where, headers={"If-None-Match": '"another"'}).status_code == 200
    service.store.change(finished, note="changed")
    where = f"/api/v1/searches/{finished.id}"
    assert client.get(where, headers={"If-None-Match": client.get(where).headers["etag"]}).status_code == 304


def test_cancel_resume_extend_and_delete_say_what_they_did(client, service, puppets, finished):
    where = f"/api/v1/searches/{finished.id}"
    assert client.post(f"{where}/resume").status_code == 409
    extended = client.post(f"{where}/extend", json={"add_trials": 2})
    assert (extended.status_code, extended.json()["state"], extended.json()["trials"]) == (202, "queued", 8)
    service.queue.tick()
    assert client.delete(where).status_code == 409
    assert client.post(f"{where}/cancel").json()["cancelling"] is True
    puppets.end(service.store.get(finished.id), service.queue.home(finished.id), "interrupted")
    service.queue.tick()
    assert client.post(f"{where}/resume").json()["state"] == "queued"
    assert client.post(f"{where}/cancel").json()["outcome"] == "cancelled"
    assert client.delete(where).status_code == 204
    assert [client.get(where).status_code, client.post(f"{where}/resume").status_code] == [404, 404]


def test_trials_are_those_of_the_folder_in_pages(client, service, finished):
    where = f"/api/v1/searches/{finished.id}/trials"
    first = client.get(f"{where}?limit=4").json()
    rest = client.get(f"{where}?limit=4&cursor={first['next']}").json()
    run = results.load(service.queue.home(finished.id).run.path)
    assert first["items"] + rest["items"] == json.loads(results.to_json(run.trials))
    assert rest["next"] is None
    assert [row["number"] for row in client.get(f"{where}?state=failed").json()["items"]] == [4]
    for state, status in (("extended", 200), ("infeasible", 422)):
        assert client.get(f"{where}?state={state}").status_code == status


def test_front_is_that_of_the_folder(client, service, finished):
    found = client.get(f"/api/v1/searches/{finished.id}/front").json()
    run = results.load(service.queue.home(finished.id).run.path)
    assert found["items"] == json.loads(results.to_json(run.front()))
    assert [row["number"] for row in found["items"]] == [1, 3]
    assert found["objectives"] == {"accuracy": "maximize", "params": "minimize"}


def test_hypervolume_grows_in_order_of_number_and_of_ending(client, service, finished):
    found = client.get(f"/api/v1/searches/{finished.id}/hypervolume").json()
    run = results.load(service.queue.home(finished.id).run.path)
    whole = results.hypervolume(  # error, and the logarithm of params over nine, by hand
        [[0.1, 2.0 / 9], [0.05, 2.6020599913279625 / 9]], [1.0, 1.0]
    )
    assert found["by_trials"][-1]["hypervolume"] == pytest.approx(whole)
    assert found["by_hours"][-1]["hypervolume"] == pytest.approx(whole)
    # started at second n, took 10 - n: all end in second 10 after the first one's start, but for the stopped ones
    assert {row["hours"] for row in found["by_hours"]} == {round(10 / 3600, 6)}
    assert len(run.trials) == 6


def test_trial_has_its_curve_and_404_is_a_problem(client, finished):
    found = client.get(f"/api/v1/searches/{finished.id}/trials/3").json()
    assert found["record"]["number"] == 3
    assert [(point["seed"], point["epoch"]) for point in found["curve"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert client.get(f"/api/v1/searches/{finished.id}/trials/6").status_code == 404
    curves = client.get(f"/api/v1/searches/{finished.id}/curves?numbers=3,77").json()
    assert (curves["3"], curves["77"]) == (found["curve"], [])


def test_figure_has_a_box_to_draw_and_names_its_axes(client, finished):
    figure = client.get(f"/api/v1/searches/{finished.id}/figure").json()
    boxes = [layer["params"] for layer in figure["layer"] if "params" in layer]
    assert boxes == [[{"name": "brush", "select": {"type": "interval", "encodings": ["x", "y"]}}]]
    assert figure["usermeta"] == {"x": "params", "y": "accuracy"}
    assert len(figure["datasets"]["trials"]) == 4


def test_search_that_has_not_begun_has_nothing_and_says_so(client):
    where = f"/api/v1/searches/{submit(client).json()['id']}"
    assert client.get(f"{where}/trials").json() == {"items": [], "next": None}
    assert client.get(f"{where}/front").json()["items"] == []
    assert client.get(f"{where}/files").json() == {"items": []}
    assert client.get(f"{where}/logs").json() == {"text": "", "offset": 0, "next": 0, "size": 0}
    for path in (
        "figure",
        "report",
        "compensation",
        "importance",
        "ablation",
        "figures/front.png",
        "exports/a.pt",
        "files/a.csv",
    ):
        assert client.get(f"{where}/{path}").status_code == 404, path


def test_ablation_and_exports_are_served_once_they_are_there(client, service, finished):
    folder = service.queue.home(finished.id).run.path
    for name in ("exports/trial-3.onnx", "front.png", "ablation/ablation.html"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (folder / "ablation" / "ablation.csv").write_text("factor,difference\nkernel,0.5\nwidth,\n")
    where = f"/api/v1/searches/{finished.id}"
    for path, name in (("exports/trial-3.onnx",) * 2, ("figures/front.png", "front.png")):
        assert client.get(f"{where}/{path}").text == f"this is {name}"
    assert client.get(f"{where}/exports").json() == {"items": ["exports/trial-3.onnx"]}
    assert client.get(f"{where}/ablation").json() == {
        "items": [{"factor": "kernel", "difference": 0.5}, {"factor": "width", "difference": None}]
    }
    page = client.get(f"{where}/files/ablation/ablation.html")
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts;")


def test_studies_are_those_of_the_commands(client, service, finished):
    from results.analyses.compensation import compensation
    from results.analyses.importance import importance

    run = results.load(service.queue.home(finished.id).run.path)
    where = f"/api/v1/searches/{finished.id}"
    found = client.get(f"{where}/compensation").json()
    assert found["sentences"] == list(compensation(run.trials).sentences)
    assert set(found) == {"sentences", "ratios", "gains", "claims", "figure"}
    shares = client.get(f"{where}/importance").json()
    assert shares["sentences"] == list(importance(run.trials, objectives=run.objectives).sentences)
    report = client.get(f"{where}/report")
    assert report.text.lstrip().lower().startswith("<!doctype html>")
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts;")


def test_study_that_is_being_made_is_not_waited_for(client, service, finished):
    reading = service.readings.get(finished.id)
    with reading._studies:
        answer = client.get(f"/api/v1/searches/{finished.id}/compensation")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_logs_are_read_from_where_one_left_off(client, service, finished):
    service.queue.home(finished.id).log.write_bytes("ä one\n".encode() + b"\xff two\n")
    where = f"/api/v1/searches/{finished.id}/logs"
    first = client.get(where).json()
    assert (first["text"], first["next"]) == ("ä one\n\ufffd two\n", 13)
    assert client.get(f"{where}?offset=7").json()["text"] == "\ufffd two\n"
    assert client.get(f"{where}?offset=99").json()["text"] == ""


def test_log_is_without_the_colours_of_a_terminal(client, service, finished):
    service.queue.home(finished.id).log.write_bytes(b"\x1b[33m(raylet)\x1b[0m a [1] b")
    found = client.get(f"/api/v1/searches/{finished.id}/logs").json()
    assert (found["text"], found["next"]) == ("(raylet) a [1] b", 25)


def test_spaces_and_data_are_those_of_the_command(client):
    from search.training.data import names
    from spaces import PRESETS

    assert [item["name"] for item in client.get("/api/v1/spaces").json()["items"]] == list(PRESETS)
    data = {item["name"]: item for item in client.get("/api/v1/data").json()["items"]}
    assert list(data) == list(names())
    assert (data["digits"]["found"], data["digits"]["images"]) == (True, 1797)


def test_document_describes_every_address_and_loads_nothing_from_elsewhere(client):
    document = client.get("/api/v1/openapi.json").json()
    assert "/api/v1/searches/{search_id}/front" in document["paths"]
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert "http://" not in json.dumps(document)
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_health_readiness_and_metrics(client, service, finished):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").status_code == 200
    text = client.get("/metrics").text
    assert 'leni_search_searches{state="ended"} 1.0' in text
    assert 'route="/healthz"' in text
    service.queue.ticked_at -= 1e4
    assert client.get("/readyz").status_code == 503


def test_database_that_is_busy_is_a_problem_that_says_try_again(client, monkeypatch, service):
    from sqlalchemy.exc import OperationalError

    def locked(*_, **__):
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr(service.store, "add", locked)
    answer = submit(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "nothing has been changed" in answer.json()["detail"]


def test_mistake_of_ours_is_a_problem_without_its_traceback(client, monkeypatch, service, caplog):
    monkeypatch.setattr(service.store, "get", lambda _: 1 / 0)
    answer = client.get("/api/v1/searches/x")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "division" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError" in caplog.text
