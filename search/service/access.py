"""Who is calling, and whether they may: the dependencies that every address has."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from search.service.guard import SAFE
from search.service.home import Home
from search.service.problems import Problem
from search.service.state import service_of
from search.service.store import Search
from search.service.tokens import Caller

__all__ = ["COOKIE", "Admin", "Reader", "Submitter", "caller_of", "home_for", "needs", "search_for"]

COOKIE = "leni_search"
ID = re.compile(r"[0-9A-Za-z_-]{1,40}")
CHALLENGE = 'Bearer realm="leni-search"'
_documented = HTTPBearer(auto_error=False, description="as `leni-search token create` gives it")


def caller_of(request: Request) -> Caller | None:
    """Who is calling: by token, by a browser's session, or this machine's user where there has never been a token.

    Who comes through a trusted proxy is never this machine's user.
    """
    service = service_of(request)
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    caller = None
    if kind:
        caller = service.tokens.check(text.strip()) if kind.lower() == "bearer" else None
    elif cookie := request.cookies.get(COOKIE):
        caller = service.tokens.check_session(cookie)
    here = service.settings.local and request.state.direct
    if caller is None and not kind and here and service.tokens.none_ever():
        caller = Caller("", "admin")
    if caller is not None:
        request.state.caller = caller.id
    return caller


def needs(role: str) -> Callable[..., Caller]:
    """A dependency: the caller, who has this role.

    Raises:
        Problem: 401 where nobody is known to be calling, 403 where they may not.
    """

    def check(request: Request, _: Annotated[object, Depends(_documented)] = None) -> Caller:
        caller = caller_of(request)
        if caller is None:
            raise Problem(401, "a valid token is needed: Authorization: Bearer TOKEN", WWW_Authenticate=CHALLENGE)
        if not caller.may(role):
            raise Problem(403, f"this needs the role {role}, your token has {caller.role}")
        if caller.session and request.method not in SAFE:
            given = request.headers.get("x-csrf-token", "").encode(errors="replace")
            if not hmac.compare_digest(given, service_of(request).form_token(caller).encode()):
                raise Problem(403, "the page has expired: load it again")
        return caller

    return check


Reader = Annotated[Caller, Depends(needs("read"))]
Submitter = Annotated[Caller, Depends(needs("submit"))]
Admin = Annotated[Caller, Depends(needs("admin"))]


def search_for(request: Request, caller: Caller, search_id: str) -> Search:
    """A search that the caller may see.

    Raises:
        Problem: 404, whether there is none or it is not theirs to know.
    """
    known = ID.fullmatch(search_id) is not None and caller.sees(search_id)
    search = service_of(request).store.get(search_id) if known else None
    if search is None or search.state == "deleting":
        raise Problem(404, f"there is no search {search_id[:40]!r}")
    return search


def home_for(request: Request, caller: Caller, search_id: str) -> Home:
    """The folder of a search that the caller may see.

    Raises:
        Problem: 404 as above; 503 where the folder is missing.
    """
    service, search = service_of(request), search_for(request, caller, search_id)
    if missing := service.missing(search):
        raise Problem(503, missing, Retry_After="30")
    return service.queue.home(search.id)
