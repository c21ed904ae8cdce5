"""Names, notes and errors of any kind: kept and shown, and nothing in them is obeyed by a page, a log or a terminal."""

import json

import pytest

import results

NASTY = "<script>alert(1)</script>\x1b[31m \ud800 \x00 \u202e caf\udce9"


@pytest.fixture
def odd(service, puppets, rows, write_run):
    """A search whose process has ended with such a sentence, and whose records have such texts."""
    search, _ = service.queue.submit({"trials": 6}, name="<b>name</b>")
    service.queue.tick()
    search = service.store.get(search.id)
    home = service.queue.home(search.id)
    write_run(home)
    made = rows(6)
    made[4] |= {
        "error": "</script><img src=x onerror=alert(2)>\x1b[2J",
        "traceback": "Traceback:\n  <i>\x1b[31m\x07here",
    }
    results.write(results.to_frame(made), home.run.trials)
    home.log.write_bytes(b"\x1b]0;title\x07line \xff\x1b[31m<b>\n")
    home.write(home.end, {"attempt": search.attempt, "code": 2, "ended": "failed", "sentence": NASTY})
    puppets.die(search)
    service.queue.tick()
    return service.store.get(search.id)


def test_sentence_of_a_process_is_kept_without_what_nobody_can_show(client, odd):
    note = client.get(f"/api/v1/searches/{odd.id}").json()["note"]
    assert odd.outcome == "failed"
    assert note.startswith("<script>alert(1)</script> ")
    assert note.isprintable()
    note.encode()


def test_queue_goes_on_after_such_a_sentence(service, puppets, odd):
    following, _ = service.queue.submit({"trials": 1})
    service.queue.tick()
    assert service.store.get(following.id).state == "running"


@pytest.mark.parametrize("path", ["/", "/searches/{id}"])
def test_pages_show_names_and_notes_as_text(client, odd, path):
    page = client.get(path.format(id=odd.id)).text
    assert "&lt;b&gt;name&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<b>name" not in page
    assert "\x1b" not in page


def test_report_and_figure_hold_no_markup_of_a_trial(client, odd):
    for path in ("report", "figure", "trials", "front"):
        answer = client.get(f"/api/v1/searches/{odd.id}/{path}")
        assert answer.status_code == 200
        if answer.headers["content-type"].startswith("text/html"):
            assert "<img src=x" not in answer.text
            assert "sandbox" in answer.headers["content-security-policy"]


def test_log_is_text_without_escapes(client, odd):
    text = client.get(f"/api/v1/searches/{odd.id}/logs").json()["text"]
    assert "\x1b" not in text
    assert text.startswith("line ")
    assert "<b>" in text


def test_trial_has_its_traceback_and_the_list_of_trials_has_none(client, odd):
    base = f"/api/v1/searches/{odd.id}/trials"
    trial = client.get(f"{base}/4").json()
    assert trial["traceback"] == "Traceback:\n  <i>\\x07here"
    assert client.get(f"{base}/0").json()["traceback"] == ""
    items = client.get(base).json()["items"]
    assert all("traceback" not in item for item in items)
    assert json.dumps(items)


@pytest.mark.parametrize("name", ["a\x00b", "a\x1b[31m", "a\x9bb", "a\nb"])
def test_name_with_control_characters_is_refused(client, name):
    answer = client.post("/api/v1/searches", json={"spec": {}, "name": name})
    assert (answer.status_code, "name" in answer.json()["detail"]) == (422, True)


def test_records_that_cannot_be_read_are_a_sentence(client, service, finished):
    home = service.queue.home(finished.id)
    home.run.trials.write_bytes(b"PAR1 no parquet")
    for name in ("trials", "trials/1", "front", "figure", "report", "importance"):
        answer = client.get(f"/api/v1/searches/{finished.id}/{name}")
        assert answer.status_code == 503, name
        assert "trials.parquet" in answer.json()["detail"]
    assert client.get(f"/api/v1/searches/{finished.id}").status_code == 200
