"""What came of a search, over HTTP: trials, front, curves, figures, files and logs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse, Response

import results
from leni.placement import Placement
from results.errors import ResultsError
from results.schema import STATES
from results.text import readable
from search.service.access import Reader, home_for
from search.service.api import Cursor, SearchId
from search.service.files import files, named, send_file, send_json, send_page
from search.service.problems import DOCUMENTED, Problem
from search.service.reading import Reading, candidate_of
from search.service.state import service_of
from search.service.tokens import Caller
from search.store.trial_output import output_tail
from spaces import Candidate
from spaces.backbones import backbone
from spaces.backbones.sites import OWN

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/searches/{search_id}", responses=DOCUMENTED, tags=["outcome"])

FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}
LONGEST_LOG = 256 * 1024
LONGEST_OUTPUT = 64 * 1024
TrialNumber = Annotated[int, Path(ge=0, le=10**9, description="of a trial, counted from 0")]
FileName = Annotated[str, Path(max_length=300)]


@router.get("/trials")
def trials(
    request: Request,
    search_id: SearchId,
    caller: Reader,
    state: Annotated[str | None, Query(pattern=f"^({'|'.join(STATES)})$")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
    cursor: Cursor = None,
) -> Response:
    """Trials that have ended, in order of number."""
    reading = _reading(request, caller, search_id)
    if reading is None:
        return send_json(request, '{"items": [], "next": null}')
    after = -1 if cursor is None else int(cursor)
    rows, positions, states = (reading.get(name) for name in ("rows", "positions", "states"))
    numbers = [n for n, position in positions.items() if n > after and state in (None, states[position])]
    items = ",".join(rows[positions[number]] for number in numbers[:limit])
    following = json.dumps(str(numbers[limit - 1])) if len(numbers) > limit else "null"
    return send_json(request, f'{{"items": [{items}], "next": {following}}}')


@router.get("/trials/{number}")
def trial(request: Request, search_id: SearchId, number: TrialNumber, caller: Reader) -> Response:
    """One trial: its record, learning curves, candidate, call sites, where it failed, and what its function printed."""
    reading = _reading(request, caller, search_id)
    position = None if reading is None else reading.get("positions").get(number)
    if reading is None or position is None:
        raise Problem(404, f"there is no trial {number} that has ended")
    home = service_of(request).queue.home(search_id)
    candidate = candidate_of(home, number)
    output = output_tail(home.run.output(number), longest=LONGEST_OUTPUT)
    rest = json.dumps(
        {"candidate": candidate, "sites": _sites(candidate), "traceback": reading.traceback(number), "output": output}
    )  # fmt: skip
    record, curve = reading.get("rows")[position], reading.curve(number)
    return send_json(request, f'{{"record": {record}, "curve": {curve}, {rest[1:]}')


@router.get("/front")
def front(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """The completed trials that no other dominates."""
    reading = _reading(request, caller, search_id)
    objectives = json.dumps(reading.get("objectives") if reading else {})
    return send_json(request, f'{{"items": {reading.get("front") if reading else "[]"}, "objectives": {objectives}}}')


@router.get("/hypervolume")
def hypervolume(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """How the front's hypervolume grew, against trials and against hours."""
    reading = _reading(request, caller, search_id)
    return send_json(request, reading.get("hypervolume") if reading else '{"by_trials": [], "by_hours": []}')


@router.get("/curves")
def curves(
    request: Request,
    search_id: SearchId,
    caller: Reader,
    numbers: Annotated[str, Query(pattern=r"^[0-9]{1,9}(,[0-9]{1,9}){0,99}$", description="of trials, 3,7,12")],
) -> Response:
    """Learning curves of up to a hundred trials, an array of epochs by number."""
    reading = _reading(request, caller, search_id)
    chosen = dict.fromkeys(int(number) for number in numbers.split(","))
    parts = ",".join(f'"{number}": {reading.curve(number) if reading else "[]"}' for number in chosen)
    return send_json(request, f"{{{parts}}}")


@router.get("/figure")
def figure(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """The front's figure as it is now, a Vega-Lite document."""
    reading = _reading(request, caller, search_id)
    if reading is None:
        raise Problem(404, "no trial has ended yet")
    return send_json(request, reading.get("figure"))


@router.get("/figures/{name}", response_class=Response, responses=FILE)
def named_figure(request: Request, search_id: SearchId, name: FileName, caller: Reader) -> Response:
    """A figure that the run has written: front.html, front.png, ..."""
    return send_file(request, named(home_for(request, caller, search_id), name, f"figures/{name}"))


@router.get("/report", response_class=HTMLResponse)
def report(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """The report, one HTML page, of what is known now."""
    return send_page(request, _study(request, caller, search_id, "report"))


@router.get("/compensation")
def compensation(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """The channel compensation of what is known now: sentences, tables and a figure."""
    return send_json(request, _study(request, caller, search_id, "compensation"))


@router.get("/importance")
def importance(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """Which dimension moves what, as far as is known now: sentences, a table and a figure."""
    return send_json(request, _study(request, caller, search_id, "importance"))


@router.get("/ablation")
def ablation(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """The ablation study that has been made of the run, a row for each comparison."""
    home = home_for(request, caller, search_id)
    if (path := files(home).get("ablation/ablation.csv")) is None:
        raise Problem(
            404, "no ablation study of this search has been made: `leni-search ablate` makes one on the server"
        )
    return send_json(request, f'{{"items": {results.to_json(pd.read_csv(path))}}}')


@router.get("/exports")
def exports(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """Networks that have been exported."""
    known = files(home_for(request, caller, search_id))
    return send_json(request, json.dumps({"items": [name for name in known if name.startswith("exports/")]}))


@router.get("/exports/{name:path}", response_class=Response, responses=FILE)
def export(request: Request, search_id: SearchId, name: FileName, caller: Reader) -> Response:
    """A file of an exported network."""
    return send_file(request, named(home_for(request, caller, search_id), f"exports/{name}"))


@router.get("/files")
def list_files(request: Request, search_id: SearchId, caller: Reader) -> Response:
    """Everything that the run has written for readers, with sizes in bytes."""
    items: list[dict[str, Any]] = []
    for name, path in files(home_for(request, caller, search_id)).items():
        try:
            items.append({"name": name, "bytes": path.stat().st_size})
        except OSError:
            continue
    return send_json(request, json.dumps({"items": items}))


@router.get("/files/{name:path}", response_class=Response, responses=FILE)
def file(request: Request, search_id: SearchId, name: FileName, caller: Reader) -> Response:
    """One of these files."""
    return send_file(request, named(home_for(request, caller, search_id), name))


@router.get("/logs")
def logs(
    request: Request,
    search_id: SearchId,
    caller: Reader,
    offset: Annotated[int | None, Query(ge=0, le=2**50, description="in bytes; the last part where not given")] = None,
) -> Response:
    """What the search's processes have said: a part of it, and where the next one begins."""
    home = home_for(request, caller, search_id)
    try:
        with home.log.open("rb") as stream:
            size = stream.seek(0, 2)
            start = max(0, size - LONGEST_LOG // 4) if offset is None else min(offset, size)
            stream.seek(start)
            part = stream.read(LONGEST_LOG)
    except OSError:
        start, size, part = 0, 0, b""
    text = readable(part.decode(errors="replace"))
    return send_json(request, json.dumps({"text": text, "offset": start, "next": start + len(part), "size": size}))


def _reading(request: Request, caller: Caller, search_id: str) -> Reading | None:
    home = home_for(request, caller, search_id)
    try:
        return service_of(request).readings.get(search_id)
    except (ResultsError, OSError) as error:
        raise Problem(503, str(error).replace(f"{home.run.path}/", ""), Retry_After="5") from None


def _study(request: Request, caller: Caller, search_id: str, name: str) -> str:
    reading = _reading(request, caller, search_id)
    if reading is None:
        raise Problem(404, "no trial has ended yet")
    found = reading.study(name)
    if found is None:
        raise Problem(503, "another analysis of this search is being computed; try again", Retry_After="2")
    return found


def _sites(candidate: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Call sites of a candidate's network, with the activation at each; [] where it has none."""
    if not candidate or "backbone" not in candidate:
        return []
    known = Candidate.from_dict(candidate)
    sites = backbone(known.backbone).sites
    chosen = {place: part.activation for part in known.parts for place in Placement.parse(part.placement).select(sites)}
    return [
        {
            "name": site.name, "role": site.role, "stage": site.stage,
            "activation": site.kind if chosen.get(index, OWN) == OWN else chosen[index],
        }
        for index, site in enumerate(sites)
    ]  # fmt: skip
