"""The pages: the list of searches, one search, and a form for a new one; no build step and no external resources."""

from __future__ import annotations

import hmac
import json
import secrets
import subprocess
import sys
import threading
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from leni.errors import LeniSearchError
from results.text import readable
from search.decide.samplers import SAMPLERS
from search.service.access import COOKIE, caller_of, search_for
from search.service.arrival import own
from search.service.problems import Problem
from search.service.state import service_of
from search.service.tokens import SESSION_S, Caller
from search.training.data import describe, names
from spaces import PRESETS, space

__all__ = ["failure", "router", "static", "warm"]

router = APIRouter(include_in_schema=False)

HERE = Path(__file__).parent
PAGE = 50
NUMBERS = ("trials", "epochs", "seeds", "seed", "workers", "train_size", "image_size", "min_params", "max_params")
DECIMALS = ("max_hours",)
TEXTS = ("space", "data", "sampler", "pruner", "evaluator", "data_folder")
PRUNERS = ("improvement", "halving", "asha", "none")

_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


_making = threading.Lock()


def static() -> StaticFiles:
    """Style and scripts."""
    return StaticFiles(directory=HERE / "static")


def _vega() -> bytes:
    with _making:
        return _bundle()


@lru_cache(maxsize=1)
def _bundle() -> bytes:
    """Vega, Vega-Lite and Vega-Embed in one script, as the package that draws the run's own figures has them.

    Made in a process of its own: what bundles it takes 130 MB, and does not give them back.
    """
    words = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle(None))"
    return subprocess.run([sys.executable, "-c", words], capture_output=True, check=True, timeout=300).stdout


def warm() -> None:
    """Compute in advance what takes seconds and is the same for all pages."""
    _vega()
    from results import figures  # noqa: F401


@router.get("/vega.js")
def vega() -> Response:
    """The scripts that draw the figures."""
    return Response(_vega(), media_type="text/javascript", headers={"Cache-Control": "public, max-age=86400"})


@router.get("/")
def list_page(request: Request, before: Annotated[int | None, Query(ge=1, le=2**60)] = None) -> Response:
    """The searches, the newest first."""
    caller = caller_of(request)
    if caller is None:
        return RedirectResponse(own(request, "/login"), 303)
    service = service_of(request)
    found = service.store.page(limit=PAGE + 1, before=before, only=caller.search)
    older = found[PAGE - 1].seq if len(found) > PAGE else None
    rows = [service.describe(search) for search in found[:PAGE]]
    return _page("list.html", request, caller, rows=rows, older=older)


@router.get("/searches/{search_id}")
def search_page(request: Request, search_id: str) -> Response:
    """One search."""
    caller = caller_of(request)
    if caller is None:
        return RedirectResponse(own(request, "/login"), 303)
    search = search_for(request, caller, search_id)
    text = json.dumps(search.spec, indent=2, ensure_ascii=False)
    network = not search.spec.get("evaluator")
    return _page("search.html", request, caller, row=service_of(request).describe(search), spec=text, network=network)


@router.get("/new")
def new_page(request: Request) -> Response:
    """The form for a search."""
    caller = caller_of(request)
    if caller is None:
        return RedirectResponse(own(request, "/login"), 303)
    return _form(request, caller, {}, "", 200)


@router.post("/new")
async def submit_form(request: Request) -> Response:
    """Submit the form; if it has an error, show it again with the error."""
    try:
        async with request.form(max_files=0, max_fields=60) as form:
            fields = {name: readable(value) for name, value in form.items() if isinstance(value, str)}
    except ValueError:  # a character set whose name is none
        raise Problem(400, "the form cannot be read") from None
    return await run_sync(_submit, request, fields)


def _submit(request: Request, fields: dict[str, str]) -> Response:
    caller = _checked(request, fields.pop("form_token", ""))
    if not caller.may("submit") or caller.search is not None:
        raise Problem(403, f"this needs the role submit for all searches, your token has {caller.role}")
    service = service_of(request)
    try:
        name, priority = " ".join(fields.get("name", "").split())[:200], int(fields.get("priority") or 0)
        search, _ = service.queue.submit(
            _keys(fields), name=name, owner=caller.id, key=fields.get("key") or None,
            priority=min(100, max(-100, priority)),
        )  # fmt: skip
    except LeniSearchError as error:
        return _form(request, caller, fields, str(error), 422)
    except ValueError as error:
        return _form(request, caller, fields, str(error), 422)
    return RedirectResponse(own(request, f"/searches/{search.id}"), 303)


def _keys(fields: dict[str, str]) -> dict[str, Any]:
    """The spec of a form: empty fields are left out, and further keys are JSON."""
    keys: dict[str, Any] = {name: fields[name] for name in TEXTS if fields.get(name)}
    for name in (*NUMBERS, *DECIMALS):
        if text := fields.get(name, "").strip():
            try:
                keys[name] = float(text) if name in DECIMALS else int(text)
            except ValueError:
                raise ValueError(f"{name} must be a number, got {text[:40]!r}") from None
    if text := fields.get("objectives", "").strip():
        keys["objectives"] = [name.strip() for name in text.split(",")]
    if text := fields.get("further", "").strip():
        try:
            further = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError('further keys must be one JSON object, such as {"fix": {"lr_factor": 1.0}}') from None
        if not isinstance(further, dict):
            raise ValueError('further keys must be one JSON object, such as {"fix": {"lr_factor": 1.0}}')
        keys.update(further)
    return keys


def _form(request: Request, caller: Caller, fields: dict[str, str], mistake: str, status: int) -> Response:
    settings = service_of(request).settings
    sets = []
    for name in names():
        folder = next((place for place in settings.data_folders if describe(name, folder=place).found), None)
        info = describe(name, folder=folder if name != "digits" else None)
        sets.append({"name": name, "found": info.found, "images": info.images})
    spaces = [(name, space(name)) for name in PRESETS]
    return _page(
        "new.html", request, caller, status=status, fields=fields, mistake=mistake, spaces=spaces, sets=sets,
        samplers=SAMPLERS, pruners=PRUNERS, evaluators=settings.evaluators, folders=settings.data_folders,
        key=fields.get("key") or secrets.token_hex(12),
    )  # fmt: skip


@router.get("/login")
def login_page(request: Request) -> Response:
    """The page on which a token is entered."""
    return _page("login.html", request, None, mistake="")


@router.post("/login")
def login(request: Request, token: Annotated[str, Form(max_length=200)] = "") -> Response:
    """Open a session for a token."""
    return _enter(request, token)


@router.get("/enter")
def enter(request: Request, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The target of a link that shares a search."""
    return _enter(request, token)


@router.post("/logout")
def logout(request: Request, form_token: Annotated[str, Form(max_length=200)] = "") -> Response:
    """End the session."""
    caller = _checked(request, form_token)
    if caller.session:
        service_of(request).tokens.close_session(caller.session)
    response = RedirectResponse(own(request, "/login"), 303)
    response.delete_cookie(COOKIE, path=own(request, "") or "/")
    return response


def failure(request: Request, status: int, detail: str) -> Response:
    """A problem as a page."""
    return _page("failure.html", request, None, status=status, title=HTTPStatus(status).phrase, detail=detail)


def _enter(request: Request, token: str) -> Response:
    service = service_of(request)
    caller = service.tokens.check(token.strip())
    if caller is None:
        mistake = "This token is not valid: it is incomplete, has expired or has been revoked."
        return _page("login.html", request, None, status=401, mistake=mistake)
    # Not by a redirect: a browser that came from elsewhere would not send a strict cookie along.
    response = _page(
        "enter.html", request, None, where=own(request, f"/searches/{caller.search}" if caller.search else "/")
    )
    response.set_cookie(
        COOKIE, service.tokens.open_session(caller), max_age=int(SESSION_S), httponly=True, samesite="strict",
        path=own(request, "") or "/", secure=request.scope["scheme"] == "https",
    )  # fmt: skip
    return response


def _checked(request: Request, form_token: str) -> Caller:
    """The caller who sent a form, checked to come from a page of the service."""
    caller = caller_of(request)
    if caller is None:
        raise Problem(401, "log in first")
    expected = service_of(request).form_token(caller)
    if not hmac.compare_digest(form_token.encode(errors="replace"), expected.encode()):
        raise Problem(403, "the page has expired: load it again")
    return caller


def _page(name: str, request: Request, caller: Caller | None, *, status: int = 200, **values: Any) -> Response:
    form_token = service_of(request).form_token(caller) if caller else ""
    root = own(request, "")
    text = _templates.get_template(name).render(caller=caller, form_token=form_token, root=root, **values)
    return HTMLResponse(text.encode(errors="replace"), status)  # a folder's name may hold bytes that are no text
