"""Who may do what: roles, tokens and the sessions of the pages.

A token is 256 random bits, shown once, when it is made; the database has its SHA-256. That is enough: what is slow
about a password's hash guards against guessing, and nobody guesses 256 bits. Hashes are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Column, Float, String, Table, delete, insert, select, update

from leni.errors import SpecError
from search.service.store import Store, metadata

__all__ = ["ROLES", "Caller", "Token", "Tokens"]

ROLES = ("read", "submit", "admin")
SESSION_S = 12 * 3600.0
PREFIX = "leni"

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(10), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("search", String(20)),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
)
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("token", String(16), nullable=False),
    Column("expires_at", Float, nullable=False),
)


@dataclass(frozen=True)
class Token:
    """One token, without its secret.

    Attributes:
        id: what it is revoked by.
        name: of its owner, a person or a program.
        role: read, submit or admin; each may do what those before it may.
        search: the one search that it is good for; None for all.
        created_at, expires_at, revoked_at: seconds since 1970, None for never.
    """

    id: str
    name: str
    role: str
    search: str | None
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def valid(self) -> bool:
        """Whether it opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or time.time() < self.expires_at)


@dataclass(frozen=True)
class Caller:
    """Who is calling.

    Attributes:
        id: of the token; "" for this machine's user, where there has never been a token.
        role: what they may do.
        search: the one search that they may see; None for all.
        session: of a browser, what its cookie holds; "" where a token came with the request.
    """

    id: str
    role: str
    search: str | None = None
    session: str = ""

    def may(self, role: str) -> bool:
        """Whether the caller has this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, search_id: str) -> bool:
        """Whether the caller may know of this search."""
        return self.search is None or self.search == search_id


class Tokens:
    """Tokens and sessions in the service's database."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine
        metadata.create_all(self.engine)

    def create(
        self, name: str, role: str, *, days: float | None = None, search: str | None = None
    ) -> tuple[Token, str]:
        """A new token.

        Args:
            name: of its owner, a person or a program.
            role: read, submit or admin.
            days: until it expires; None for never.
            search: an id, where it is to be good for one search only.

        Returns:
            The token and, this once, its text.

        Raises:
            SpecError: there is no such role, or it would have expired already.
        """
        if role not in ROLES:
            raise SpecError(f"role must be read, submit or admin, got {role!r}")
        if days is not None and not days > 0:
            raise SpecError(f"days must be above 0, got {days:g}")
        if role == "admin" and search is not None:
            raise SpecError("a token for a single search has the role read or submit, got admin")
        now, secret = time.time(), secrets.token_urlsafe(32)
        token = Token(secrets.token_hex(6), name[:200], role, search, now, days and now + days * 86400, None)
        with self.engine.begin() as connection:
            connection.execute(insert(tokens).values(**vars(token), hash=_digest(secret)))
        return token, f"{PREFIX}_{token.id}_{secret}"

    def all(self) -> list[Token]:
        """Every token there ever was, the oldest first."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(*_shown()).order_by(tokens.c.created_at)).mappings()
            return [Token(**row) for row in rows]

    def revoke(self, token_id: str) -> bool:
        """Make a token open nothing any more, nor the sessions that it opened; whether there is one of this id."""
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.token == token_id))
            query = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
            done = connection.execute(query.values(revoked_at=time.time())).rowcount
            known = connection.execute(select(tokens.c.id).where(tokens.c.id == token_id)).first()
        return bool(done) or known is not None

    def none_ever(self) -> bool:
        """Whether there has never been a token: only then does a service on loopback trust who calls."""
        with self.engine.connect() as connection:
            return connection.execute(select(tokens.c.id).limit(1)).first() is None

    def some_valid(self) -> bool:
        """Whether there is a token that opens something."""
        return any(token.valid() for token in self.all())

    def check(self, text: str) -> Caller | None:
        """Who comes with this token; None for nobody."""
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        with self.engine.connect() as connection:
            query = select(*_shown(), tokens.c.hash).where(tokens.c.id == token_id[:16])
            row = connection.execute(query).mappings().first()
        known = dict(row) if row else {}
        right = hmac.compare_digest(known.pop("hash", "0" * 64), _digest(secret))
        if not (right and known and prefix == PREFIX):
            return None
        token = Token(**known)
        return Caller(token.id, token.role, token.search) if token.valid() else None

    def open_session(self, caller: Caller) -> str:
        """A browser's session; what its cookie is to hold."""
        text, now = secrets.token_urlsafe(32), time.time()
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at < now))
            connection.execute(insert(sessions).values(hash=_digest(text), token=caller.id, expires_at=now + SESSION_S))
        return text

    def check_session(self, text: str) -> Caller | None:
        """Whose session this is; None for nobody's, or where its token is not valid any more."""
        query = (
            select(*_shown())
            .join(sessions, sessions.c.token == tokens.c.id)
            .where(sessions.c.hash == _digest(text), sessions.c.expires_at > time.time())
        )
        with self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        token = Token(**row) if row else None
        return Caller(token.id, token.role, token.search, text) if token and token.valid() else None

    def close_session(self, text: str) -> None:
        """End a browser's session."""
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.hash == _digest(text)))


def _shown() -> list[Column[object]]:
    return [column for column in tokens.c if column.name != "hash"]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
