import dataclasses

import pytest
from starlette.testclient import TestClient

from search.service.app import create_app
from search.service.guard import Rate


def limited(settings, puppets, **limits):
    app = create_app(dataclasses.replace(settings, **limits), launcher_of=puppets)
    return TestClient(app, base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "[::2]:80"])
def test_name_of_another_site_is_not_answered(client, host):
    assert client.get("/api/v1/searches", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_own_names_are_answered(client, host):
    assert client.get("/api/v1/searches", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:9"}]
)  # fmt: skip
def test_page_of_another_site_changes_nothing(client, headers):
    answer = client.post("/api/v1/searches", json={"spec": {}}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/api/v1/searches").json()["items"] == []


def test_own_page_may(client):
    headers = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/searches", json={"spec": {}}, headers=headers).status_code == 201


def test_large_body_is_refused_also_where_its_length_is_not_said(settings, puppets):
    client = limited(settings, puppets, body_bytes=1000)
    said = client.post("/api/v1/searches", content=b"x" * 1001, headers={"Content-Type": "application/json"})
    assert said.status_code == 413

    def parts():
        for _ in range(30):
            yield b" " * 100

    unsaid = client.post("/api/v1/searches", content=parts(), headers={"Content-Type": "application/json"})
    assert unsaid.status_code == 413
    assert client.post("/api/v1/searches", content=b"", headers={"Content-Length": "-1"}).status_code == 413


def test_rate_fills_again_steadily():
    rate = Rate(10.0, 2)
    taken = [rate.take("a", now) for now in (0.0, 0.0, 0.0, 0.05, 0.1, 0.1)]
    assert taken == pytest.approx([0.0, 0.0, 0.1, 0.05, 0.0, 0.1])
    assert rate.take("b", 0.1) == 0.0


def test_rate_remembers_a_bounded_number_of_callers():
    rate = Rate(1.0, 1, callers=3)
    for caller in "abcdef":
        rate.take(caller, 0.0)
    assert len(rate._buckets) == 3


def test_too_many_requests_are_told_to_wait(settings, puppets):
    client = limited(settings, puppets, burst=3, requests_per_s=0.001)
    answers = [client.get("/healthz").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]
    assert int(client.get("/healthz").headers["retry-after"]) > 0


def test_every_answer_has_the_secure_headers(client, finished):
    for path in ("/", "/login", "/nowhere", f"/searches/{finished.id}", "/static/app.css", "/api/v1/searches"):
        headers = client.get(path).headers
        assert "unsafe" not in headers["content-security-policy"], path
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["cache-control"]


def test_log_has_no_query_in_which_a_token_might_be(client, caplog):
    caplog.set_level("INFO", logger="leni_search.service.access")
    client.get("/enter?token=leni_abc_secret")
    assert [record.path for record in caplog.records] == ["/enter"]
    assert "leni_abc_secret" not in str([vars(record) for record in caplog.records])
