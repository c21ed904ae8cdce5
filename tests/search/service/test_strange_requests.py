"""Requests that no browser makes: each gets a sentence, and none a server error."""

import asyncio
import json

import pytest

HOST = (b"host", b"127.0.0.1:8080")


def ask(app, method, path, *, query=b"", headers=(), body=b""):
    """What the application answers to exactly these bytes: (status, headers, body)."""
    said = []

    async def send(message):
        said.append(message)

    async def receive():
        if ask.told:
            return {"type": "http.disconnect"}
        ask.told = True
        return {"type": "http.request", "body": body, "more_body": False}

    ask.told = False
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": b"", "query_string": query, "root_path": "",
        "headers": [HOST, *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 30))
    text = b"".join(message.get("body", b"") for message in said[1:])
    return said[0]["status"], {name.decode(): value.decode() for name, value in said[0]["headers"]}, text


def is_sentence(status, headers, body):
    if status < 400:
        return True
    if headers["content-type"] == "application/problem+json":
        detail = json.loads(body)["detail"]
        return status < 500 and " " in detail and detail.replace("\n", "").isprintable()
    return status < 500 and headers["content-type"].startswith("text/html")


def places(search_id):
    base = f"/api/v1/searches/{search_id}"
    return [
        "", "*", "nopath", "//", "//evil.example/", "/a\nb", "/\ud800", "/\ufffd", "/static/\x00", "/static/../app.py",
        f"/static/{'a' * 5000}", "/searches/\x00", "/searches/a/b", f"/optuna/{search_id}/\ud800", "/optuna/\x00/",
        "/api/v1/searches/a/b", f"/api/v1/searches/{'a' * 9000}", f"{base}/files//etc/passwd", f"{base}/files/\x00",
        f"{base}/files/../../../service.db", f"{base}/figures/\ud800", f"{base}/trials/{'9' * 40}",
        f"{base}/trials/\u0661",
        f"{base}/trials/-1", "/api/v1/searches", "/new", "/login", "/enter", "/metrics", "/readyz", base,
        f"{base}/logs",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE", "get", "BREW\ud800", "PUT", "POST"])
def test_any_method_at_any_place_gets_a_sentence(app, finished, method):
    for path in places(finished.id):
        answer = ask(app, method, path)
        assert method == "HEAD" or is_sentence(*answer), (path, answer)
        assert answer[0] < 500
        if method == "HEAD":
            assert answer[2] == b""


@pytest.mark.parametrize(
    "query", [b"\xff\xfe", b"limit=\xff", b"cursor=%00", b"before=abc", b"before=" + b"9" * 300, b"token=%00%ff",
              b"state=%d9%a1", b"limit=9e9", b"offset=-1", b"numbers=,,", b"=&=&;", b"a=" * 900, b"accept=\x1b[31m"]
)  # fmt: skip
def test_any_query_gets_a_sentence(app, finished, query):
    for path in places(finished.id):
        answer = ask(app, "GET", path, query=query)
        assert is_sentence(*answer), (path, answer)


HEADERS = [
    (b"authorization", b"Bearer \xff"), (b"authorization", b"Bearer leni_'_x"), (b"cookie", b"leni_search=\xff; ;;="),
    (b"if-none-match", b"\xff*"), (b"last-event-id", b"\xff"), (b"content-length", b"abc"),
    (b"content-length", b"\xb2"),
    (b"idempotency-key", b"\xff"), (b"x-csrf-token", b"\xff"), (b"accept", b"text/html"), (b"x-evil", b"a\x00\x1b[31m"),
    (b"content-type", b"\xff/\xff"), (b"content-type", b"multipart/form-data; boundary="),
    (b"accept-encoding", b"\xff"),
    (b"content-type", b"application/json; charset=utf-16"), (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-type", b"multipart/form-data; boundary=x; charset=raw_unicode_escape"), (b"expect", b"the unexpected"),
    (b"content-type", b"multipart/form-data; boundary=x; charset=\x00"), (b"content-encoding", b"gzip"),
]  # fmt: skip
BODIES = [
    b"", b"\xff\xfe\x00", b"{", b"[]", b'{"spec": {"space": "\\ud800"}}', b'{"\\ud800": 1}',
    b'{"spec": {"\\u0000": 1}}',
    b'{"name": "\\ud800\\u0000<b>"}', b'{"name": "\\u009b31m"}', b"[" * 90_000, b'{"spec": {"trials": 1e999}}',
    b'{"spec": {"trials": %s}}' % (b"9" * 5000), b'{"spec": {"seed": -1e308}}', b"name=%00%ff&trials=%E9&further={",
    b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\\ud800\r\n--x--\r\n', b"form_token=%ff",
    b"token=%ff%00",
    b"form_token=TOKEN&name=%00%1b[31m&trials=3", b"form_token=TOKEN&priority=" + b"9" * 30,
    b"form_token=TOKEN&trials=9e99",
    b'form_token=TOKEN&further={"space": "\\ud800"}', b"form_token=TOKEN&objectives=%1b",
    b"form_token=TOKEN&key=%ff%00",
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=repr)
def test_any_header_and_any_body_get_a_sentence(app, service, finished, header):
    page = ask(app, "GET", "/new")[2].decode()
    token = page.partition('name="form-token" content="')[2][:64].encode()
    for path in ("/api/v1/searches", f"/api/v1/searches/{finished.id}/extend", "/new", "/login", "/logout"):
        for body in BODIES:
            answer = ask(app, "POST", path, headers=[header], body=body.replace(b"TOKEN", token))
            assert is_sentence(*answer), (path, body[:80], answer)
    for path in places(finished.id):
        answer = ask(app, "GET", path, headers=[header])
        assert is_sentence(*answer), (path, answer)


def test_headers_that_are_too_long_are_refused(app):
    status, _, body = ask(app, "GET", "/healthz", headers=[(b"x-a", b"a" * 40_000)])
    assert (status, "headers" in json.loads(body)["detail"]) == (431, True)


def test_options_says_what_an_address_takes(client, finished):
    for path, methods in (
        ("/api/v1/searches", "GET, HEAD, OPTIONS, POST"),
        (f"/api/v1/searches/{finished.id}", "DELETE, GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"), ("/login", "GET, HEAD, OPTIONS, POST"), ("/static/app.css", "GET, HEAD"),
    ):  # fmt: skip
        answer = client.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (204, methods)
    refused = client.request("PROPFIND", "/api/v1/searches")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


def test_head_is_get_without_its_body(client, finished):
    base = f"/api/v1/searches/{finished.id}"
    for path in (
        "/",
        f"/searches/{finished.id}",
        "/static/app.css",
        base,
        f"{base}/files/trials.parquet",
        f"{base}/front",
    ):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"], path
        assert head.headers.get("etag") == get.headers.get("etag")


def test_head_of_an_event_stream_ends(client, service):
    search, _ = service.queue.submit({"trials": 6})
    answer = client.head(f"/api/v1/searches/{search.id}/events")
    assert (answer.status_code, answer.headers["x-accel-buffering"]) == (200, "no")
    assert "no-transform" in answer.headers["cache-control"]
    assert service.streams == {}
