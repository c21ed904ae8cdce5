"""Errors over HTTP, as problem+json (RFC 9457): the command's sentence, and a number that says whose mistake it was.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from leni.errors import LeniSearchError, StorageError
from results.errors import ResultsError
from results.text import readable
from search.service.arrival import path_of
from search.service.queue import Conflict
from search.service.store import Vanished

__all__ = ["DOCUMENTED", "Problem", "answer", "install"]

log = logging.getLogger("leni_search.service")
BUSY = "the service's database does not answer now; nothing has been changed, try again"
GONE = "the service's database is not where it was; nothing has been changed, put it back and try again"
FULL = "the disk of the service's database is full; nothing has been changed, try again when there is room"


class Problem(Exception):
    """An answer that is not what was asked for.

    Args:
        status: HTTP's number for it.
        detail: one sentence: what was wrong, and what would be right.
        headers: that go with it.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


_BODY: dict[str, Any] = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "code"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string", "description": "one sentence"},
                    "code": {"type": "string", "description": "stable; docs/faq.md explains each"},
                },
            }
        }
    }
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    304: {"description": HTTPStatus(304).phrase},
    **{
        status: {"description": HTTPStatus(status).phrase, **_BODY}
        for status in (400, 401, 403, 404, 405, 409, 413, 415, 421, 422, 429, 431, 500, 503)
    },
}
"""What any of the addresses may answer instead, for the OpenAPI document."""


def answer(status: int, detail: str, headers: dict[str, str] | None = None, *, code: str | None = None) -> Response:
    """A problem as a response; its code is that of the error, or of the status."""
    detail = readable(detail, 2000)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code or f"LS-HTTP-{status}",
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI, page: Any, routes: Iterable[BaseRoute]) -> None:
    """Make every error of the application a problem, and answer OPTIONS.

    Args:
        app: the application.
        page: `page(request, status, detail)`, the response for a reader of pages.
        routes: by which an address says what methods it takes.
    """
    known = tuple(routes)

    def tell(
        request: Request, status: int, detail: str, headers: dict[str, str] | None = None, *, code: str | None = None
    ) -> Response:
        if path_of(request).startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return answer(status, detail, headers, code=code)
        response: Response = page(request, status, readable(detail, 2000))
        response.headers.update(headers or {})
        return response

    def refused(request: Request, error: Exception) -> Response:
        code = getattr(error, "code", None)
        return tell(request, 503 if isinstance(error, StorageError) else 422, str(error), code=code)

    def problem(request: Request, error: Exception) -> Response:
        if not isinstance(error, Problem):
            raise error
        return tell(request, error.status, error.detail, error.headers)

    def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        detail, headers = str(error.detail), dict(error.headers or {})
        if error.status_code == 404:
            detail = "there is nothing at this address"
        elif error.status_code == 405:
            headers["Allow"] = _allowed(path_of(request), known) or headers.get("Allow", "GET, HEAD")
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=headers)
            detail = f"this address does not take {request.method}, but {headers['Allow']}"
        return tell(request, error.status_code, detail, headers)

    def invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        return tell(request, 422, _sentence(error))

    def conflict(request: Request, error: Exception) -> Response:
        return tell(request, 409, str(error))

    def busy(request: Request, error: Exception) -> Response:
        return tell(request, 503, _database_sentence(error), {"Retry-After": "2"})

    app.add_exception_handler(LeniSearchError, refused)
    app.add_exception_handler(ResultsError, refused)
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Conflict, conflict)
    app.add_exception_handler(SQLAlchemyError, busy)


def _database_sentence(error: Exception) -> str:
    """What to say of a database that does not answer; its own words are for the log."""
    reason = " ".join(str(getattr(error, "orig", error)).split())[:300]
    log.warning("database", extra={"error": reason})
    full = "disk is full" in reason or "No space left" in reason  # SQLite's words, PostgreSQL's
    return GONE if isinstance(error, Vanished) else FULL if full else BUSY


def _allowed(path: str, routes: Iterable[BaseRoute]) -> str:
    """The methods that an address takes, as `Allow` lists them; "" where no route is known for it."""
    methods: set[str] = set()
    for route in routes:
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""


def _sentence(error: RequestValidationError) -> str:
    """The first complaint about a request as one sentence."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first.get('ctx', {}).get('error', '')}"[:500]
    if first["loc"] == ("body",):
        return "the body must be a JSON object, sent with Content-Type: application/json"
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    message = str(first["msg"]).replace("Input should", "must", 1).replace("String should", "must", 1)
    return f"{where}: {message}"[:500]
