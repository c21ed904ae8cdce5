import io
import json
import logging

import pytest

from search.service.logs import log_json, masked


@pytest.fixture
def lines(monkeypatch):
    """What the service's log has: the objects of its lines."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    loggers = [logging.getLogger(name) for name in ("leni_search", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    log_json()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("leni_0a1b2c3d4e5f_Zm9vYmFy-_x is it", "leni_0a1b2c3d4e5f_*** is it"),
        ("postgresql+psycopg://ada:s3cr:et@h/d?x", "postgresql+psycopg://ada:***@h/d?x"),
        ("http://h:8080/a@b", "http://h:8080/a@b"), ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("/enter?token=abc&x=1", "/enter?token=***&x=1"), ("password = 'x'", "password = 'x'"),
        ("password=hunter2 host=h", "password=*** host=h"),
        ("nothing to hide: a token is needed", "nothing to hide: a token is needed"),
    ],
)  # fmt: skip
def test_secrets_are_masked(text, shown):
    assert masked(text) == shown


def test_line_is_one_line_of_plain_ascii_without_secrets(lines):
    log = logging.getLogger("leni_search.service")
    try:
        raise ValueError("postgresql://ada:s3cret@h/d \x1b[31m\n{} \ud800")
    except ValueError:
        log.exception("it\nbroke", extra={"path": "/enter/leni_0a1b2c3d4e5f_s3cret\x1b[2J\u202e", "ms": 1.5})
    (line,) = lines()
    assert (line["event"], line["ms"], line["level"]) == ("it\nbroke", 1.5, "error")
    assert line["path"] == "/enter/leni_0a1b2c3d4e5f_***\x1b[2J\u202e"
    assert "s3cret" not in json.dumps(line)
    assert json.dumps(line).isascii()
    assert "ValueError" in line["traceback"]


def test_requests_with_secrets_and_control_characters_leave_neither_in_the_log(client, lines):
    token = client.app.state.service.tokens.create("x", "admin")[1]
    client.get(f"/enter?token={token}")
    client.get(f"/{token}/%1b%5B31m%0a", headers={"Authorization": f"Bearer {token}", "Cookie": f"leni_search={token}"})
    client.post("/login", data={"token": token})
    found = [line for line in lines() if line["event"] == "request"]
    assert [line["path"] for line in found] == ["/enter", f"/{token[:18]}***/\x1b[31m\n", "/login"]
    assert token.rpartition("_")[2] not in json.dumps(found)
