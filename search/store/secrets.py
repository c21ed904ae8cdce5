"""Passwords and tokens in addresses: hidden where an address is written or shown, found again where it is used."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import quote

from leni.errors import SpecError

__all__ = ["MASK", "masked", "masked_command", "masked_lines", "with_secrets"]

MASK = "***"
NAMES = r"password|passwd|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key|account[_-]?key"
VARIABLE = r"\$(?:\{\w+\}|\w+)"
KEPT = rf"(?!{VARIABLE}(?:[@&\s'\"]|$))"  # the name of a variable is no secret
DATABASES = "postgres|mysql|mariadb|oracle|mssql"

_RULES = (
    # user:password@ of an address; SQLAlchemy takes a password up to the last @, slashes included
    (re.compile(rf"\b((?:{DATABASES})[\w+.-]*://[^\s:/@]*):{KEPT}\S*@"), rf"\1:{MASK}@"),
    (re.compile(rf"(://[^\s:/@]*):{KEPT}[^\s/]*@"), rf"\1:{MASK}@"),
    # https://token@, which has no user before it
    (re.compile(rf"\b(https?://){KEPT}[^\s:/@]+@"), rf"\1{MASK}@"),
    # ?key=..., &secret=..., and in a command --token=..., password=...
    (re.compile(rf"([?&;](?:[\w.-]*(?:{NAMES})[\w.-]*|key|sig|sas)=){KEPT}[^&;#\s'\"]+", re.I), rf"\1{MASK}"),
    (re.compile(rf"((?:^|[\s'\"])-{{0,2}}[\w.-]*(?:{NAMES})[\w.-]*=){KEPT}[^\s'\"]+", re.I), rf"\1{MASK}"),
)
_SUSPECT = re.compile(rf"://|{NAMES}|[?&;](?:key|sig|sas)=", re.I)
_FLAG = re.compile(rf"-{{1,2}}[\w-]*(?:{NAMES})[\w-]*", re.I)


def masked(text: str) -> str:
    """A text in which every password and token of an address is `***`; names of variables stay.

    Example:
        >>> masked("cannot reach postgresql://me:s3cret@db/runs?sslmode=require")
        'cannot reach postgresql://me:***@db/runs?sslmode=require'
        >>> masked("s3://bucket/run?key=AKIA&secret=abc"), masked("postgresql://me:$PASSWORD@db/runs")
        ('s3://bucket/run?key=***&secret=***', 'postgresql://me:$PASSWORD@db/runs')
    """
    for rule, replacement in _RULES:
        text = rule.sub(replacement, text)
    return text


def masked_lines(text: str) -> str:
    """As `masked`, of a long text: only lines that may hold a secret are looked at closely."""
    return "".join(masked(line) if _SUSPECT.search(line) else line for line in text.splitlines(keepends=True))


def masked_command(words: Sequence[str]) -> list[str]:
    """A command's words, without the values of flags such as --token, and with every address masked."""
    return [
        MASK if before is not None and _FLAG.fullmatch(before) and not word.startswith("-") else masked(word)
        for before, word in zip([None, *words], words, strict=False)
    ]


def with_secrets(address: str) -> str:
    """An address as it is used: variables of the environment filled in, and a masked password of PostgreSQL left out.

    A variable is written `$NAME` or `${NAME}` where a password, a token or a value after `?` stands. PostgreSQL's own
    client takes a password that is left out from PGPASSWORD or ~/.pgpass.

    Args:
        address: of a database, of checkpoints or of a cluster.

    Raises:
        SpecError: a variable is not set, or the address is masked and there is no other place for the secret.
    """

    scheme, slashes, rest = address.partition("://")
    if not slashes:
        return address
    plain = re.match(rf"{DATABASES}|http", scheme) is None  # what fsspec reads is not percent-encoded

    def value(found: re.Match[str]) -> str:
        name = found[0].strip("${}")
        if name not in os.environ:
            raise SpecError(
                f"{masked(address)} names the environment variable {name}, which is not set", code="LS-SECRET"
            )
        return os.environ[name] if plain else quote(os.environ[name], safe="")

    if scheme.startswith("postgres"):
        rest = re.sub(rf"^([^:/@]*):{re.escape(MASK)}@", r"\1@", rest)
    if MASK in rest:
        raise SpecError(
            f"the secret of {address} is not kept in spec.toml: write it there as $NAME, "
            "the name of an environment variable that holds it",
            code="LS-SECRET",
        )
    return scheme + re.sub(rf"(?:(?<=://)|(?<=[:=])){VARIABLE}(?=[:@&;#]|$)", value, f"://{rest}")
