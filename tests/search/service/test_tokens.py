import time

import pytest
from sqlalchemy import text

from leni.errors import SpecError
from search.service.store import Store
from search.service.tokens import Tokens


@pytest.fixture
def store(tmp_path):
    made = Store(f"sqlite:///{tmp_path / 'a.db'}")
    yield made
    made.close()


@pytest.fixture
def tokens(store):
    return Tokens(store)


def test_token_opens_with_its_role_and_its_search(tokens):
    made, secret = tokens.create("ada", "submit", search="abc")
    caller = tokens.check(secret)
    assert (caller.id, caller.role, caller.search) == (made.id, "submit", "abc")
    assert [caller.may(role) for role in ("read", "submit", "admin")] == [True, True, False]
    assert (caller.sees("abc"), caller.sees("abd")) == (True, False)


def test_secret_is_nowhere_in_the_database(tokens, store, tmp_path):
    _, secret = tokens.create("ada", "admin")
    with store.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    content = (tmp_path / "a.db").read_bytes()
    assert b"ada" in content
    assert secret.rpartition("_")[2].encode() not in content
    assert secret.encode() not in content


def test_wrong_texts_open_nothing(tokens):
    made, secret = tokens.create("ada", "admin")
    other, _ = tokens.create("bob", "read")
    wrong = ["", "leni", "leni__", f"leni_{made.id}_", secret[:-1], secret + "a", secret.swapcase(), "\ud800",
             secret.replace(made.id, other.id), "x" + secret, f"leni_{made.id}_{'0' * 43}"]  # fmt: skip
    assert [tokens.check(text) for text in wrong] == [None] * len(wrong)


def test_revoked_token_and_its_sessions_open_nothing(tokens):
    made, secret = tokens.create("ada", "admin")
    session = tokens.open_session(tokens.check(secret))
    assert tokens.check_session(session).id == made.id
    assert tokens.revoke(made.id)
    assert tokens.check(secret) is None
    assert tokens.check_session(session) is None
    assert not tokens.revoke("nobody")
    assert (tokens.none_ever(), tokens.some_valid()) == (False, False)


def test_expired_token_and_session_open_nothing(tokens, monkeypatch):
    _, secret = tokens.create("ada", "read", days=1)
    session = tokens.open_session(tokens.check(secret))
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + 13 * 3600)
    assert tokens.check(secret) is not None
    assert tokens.check_session(session) is None
    monkeypatch.setattr(time, "time", lambda: real + 86401)
    assert tokens.check(secret) is None


def test_closed_session_opens_nothing(tokens):
    session = tokens.open_session(tokens.check(tokens.create("ada", "read")[1]))
    tokens.close_session(session)
    assert tokens.check_session(session) is None


@pytest.mark.parametrize("wrong", [{"role": "root"}, {"role": "read", "days": 0}, {"role": "admin", "search": "x"}])
def test_impossible_tokens_are_refused(tokens, wrong):
    with pytest.raises(SpecError):
        tokens.create("ada", **wrong)
    assert tokens.none_ever()
