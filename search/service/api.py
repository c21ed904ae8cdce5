"""The HTTP interface, version 1: searches, what came of them, and what they may be made of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from search.service.access import Admin, Reader, Submitter, search_for
from search.service.arrival import own
from search.service.events import stream
from search.service.files import send_json
from search.service.problems import DOCUMENTED, Problem
from search.service.queue import Conflict
from search.service.state import service_of
from search.service.store import STATES
from search.training.data import describe, names
from spaces import PRESETS, space

__all__ = ["Cursor", "SearchId", "router"]

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}},
    204: {"description": "it has ended, as the caller knows"},
}
router = APIRouter(prefix="/api/v1", responses=DOCUMENTED, tags=["searches"])

PLAIN = r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*$"
SearchId = Annotated[str, Path(max_length=40, description="of a search")]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,15}$", description="`next` of the page before")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$",
        description="of your choice: a second submission under it is the first one",
    ),
]  # fmt: skip


class Submission(BaseModel):
    """A search to run."""

    model_config = ConfigDict(extra="forbid")

    spec: dict[str, Any] = Field(default_factory=dict, description="the keys of spec.toml, as `leni-search run` takes")
    name: str = Field("", max_length=200, pattern=PLAIN.replace(r"\ud800-\udfff", ""))
    priority: int = Field(0, ge=-100, le=100, description="higher ones start first")


class Extension(BaseModel):
    """How much further a search is to go."""

    model_config = ConfigDict(extra="forbid")

    add_trials: int = Field(ge=1, le=1_000_000)


@router.post("/searches", status_code=201, responses={200: {"description": "the search of this key"}})
def submit(request: Request, submission: Submission, caller: Submitter, key: Key = None) -> Response:
    """Queue a search. 201 where it is new, 200 where this key has submitted it before."""
    if caller.search is not None:
        raise Problem(403, "this token is for a single search, and cannot submit another")
    service = service_of(request)
    search, new = service.queue.submit(
        submission.spec, name=submission.name, owner=caller.id, key=key, priority=submission.priority
    )
    where = own(request, f"/api/v1/searches/{search.id}")
    return JSONResponse(service.describe(search), 201 if new else 200, {"Location": where})


@router.get("/searches")
def list_searches(
    request: Request,
    caller: Reader,
    state: Annotated[list[str] | None, Query(max_length=5)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> Response:
    """Searches, the newest first."""
    service = service_of(request)
    if wrong := [name for name in state or () if name not in STATES]:
        raise Problem(422, f"state must be of {', '.join(STATES)}, got {wrong[0][:40]!r}")
    before = None if cursor is None else int(cursor)
    found = service.store.page(limit=limit + 1, before=before, states=tuple(state or ()), only=caller.search)
    following = str(found[limit - 1].seq) if len(found) > limit else None
    return send_json(request, json.dumps({"items": [*map(service.describe, found[:limit])], "next": following}))


@router.get("/searches/{search_id}")
def read_search(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """A search: its state, its counts of trials, and its place where it is queued."""
    service = service_of(request)
    search = search_for(request, caller, search_id)
    return send_json(request, json.dumps({**service.describe_one(search), "spec": search.spec}))


@router.post("/searches/{search_id}/cancel", status_code=202)
def cancel(request: Request, search_id: SearchId, caller: Submitter) -> Response:
    """End a search as Ctrl-C does: what has been trained is kept, and `resume` continues it."""
    search_for(request, caller, search_id)
    return _changed(request, service_of(request).queue.cancel(search_id), search_id)


@router.post("/searches/{search_id}/resume", status_code=202)
def resume(request: Request, search_id: SearchId, caller: Submitter) -> Response:
    """Go on with a search that has ended before it was complete."""
    search_for(request, caller, search_id)
    return _changed(request, service_of(request).queue.resume(search_id), search_id)


@router.post("/searches/{search_id}/extend", status_code=202)
def extend(request: Request, search_id: SearchId, extension: Extension, caller: Submitter) -> Response:
    """Go on with a search that has ended, to more trials."""
    search_for(request, caller, search_id)
    changed = service_of(request).queue.resume(search_id, add_trials=extension.add_trials)
    return _changed(request, changed, search_id)


@router.delete("/searches/{search_id}", status_code=204)
def delete(request: Request, search_id: SearchId, caller: Admin) -> Response:
    """Remove a search that does not run, and all that it has written."""
    search_for(request, caller, search_id)
    service = service_of(request)
    service.queue.delete(search_id)
    service.forget(search_id)
    return Response(status_code=204)


@router.get("/searches/{search_id}/events", response_class=Response, responses=STREAM)
async def events(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """Server-sent events: `search` at each change, `end` once it has ended."""
    search_for(request, caller, search_id)
    return await stream(request, request.app.state.hub, caller, search_id)


@router.get("/spaces", tags=["knowledge"])
def list_spaces(request: Request, caller: Reader) -> Response:
    """The named search spaces, with their dimensions."""
    rows = []
    for name in PRESETS:
        found = space(name)
        dimensions = [dict(zip(("name", "values", "exists_if"), row, strict=True)) for row in found.rows()]
        rows.append(
            {"name": name, "candidates": found.size, "description": found.description, "dimensions": dimensions}
        )
    return send_json(request, json.dumps({"items": rows}))


@router.get("/data", tags=["knowledge"])
def list_data(request: Request, caller: Reader) -> Response:
    """The data sets, and which of them this service has, in its own places or in a folder that it allows."""
    folders = service_of(request).settings.data_folders
    rows = []
    for name in names():
        places = [folder for folder in folders if name != "digits" and describe(name, folder=folder).found]
        info = describe(name, folder=places[0] if places else None)
        rows.append(
            {
                "name": name, "images": info.images, "classes": info.classes, "input_shape": info.input_shape,
                "found": info.found, "data_folders": [str(folder) for folder in places],
            }
        )  # fmt: skip
    return send_json(request, json.dumps({"items": rows}))


@router.get("/me", tags=["knowledge"])
def me(request: Request, caller: Reader) -> Response:
    """What the caller may do."""
    return send_json(request, json.dumps({"token": caller.id, "role": caller.role, "search": caller.search}))


def _changed(request: Request, search: Any, search_id: str) -> Response:
    if search is None:
        raise Conflict(f"search {search_id} has just been deleted")
    return JSONResponse(service_of(request).describe(search), 202)
