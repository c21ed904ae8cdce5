"""optuna-dashboard for those who know it: one for each search, at /optuna/ID/, to look at and not to change.

Its pages believe that they live at the root of a host, so the two places where its script says so are rewritten. Where
they are not to be found, in another version, the dashboard is not shown rather than half.
"""

from __future__ import annotations

import io
import sys
import threading
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from search.service.access import caller_of, home_for, search_for
from search.service.arrival import own, path_of
from search.service.problems import Problem, answer
from search.service.state import Service
from search.store.sqlite import open_storage

__all__ = ["dashboard"]

PREFIX = "/optuna"
MISSING = "there is no optuna-dashboard here: `pip install optuna-dashboard` on the server"
HERE = 'location.pathname.split("/dashboard")[0]'
REWRITTEN = {'url_prefix:"/dashboard"': f'url_prefix:{HERE}+"/dashboard"', '(null!=e?e:"")': f"(null!=e?e:{HERE})"}
KEPT = 4
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def dashboard(service: Service) -> ASGIApp:
    """An application to be mounted at /optuna."""
    shown = _Dashboards(service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            response = await run_sync(shown.answer, request)
            await response(scope, receive, send)

    return app


class _Dashboards:
    """The last few searches' dashboards."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        """A page of a search's dashboard, or why not."""
        search_id, _, rest = path_of(request).removeprefix(f"{PREFIX}/").partition("/")
        if request.method not in ("GET", "HEAD"):
            return answer(405, "the dashboard is to look at: this service changes a search by its own pages")
        caller = caller_of(request)
        if caller is None:
            return RedirectResponse(own(request, "/login"), 303)
        try:
            search = search_for(request, caller, search_id)
            home_for(request, caller, search_id)
            if rest in ("", "dashboard"):
                return RedirectResponse(own(request, f"{PREFIX}/{search.id}/dashboard/studies/1"), 307)
            if rest == "static/bundle.js":
                return Response(_script(), media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})
            return _call(self._app(search.id), request, f"/{rest}", own(request, f"{PREFIX}/{search.id}"))
        except Problem as problem:
            return answer(problem.status, problem.detail)

    def _app(self, search_id: str) -> Any:
        """The WSGI application over a search's study."""
        study = self.service.queue.home(search_id).run.study
        if not study.exists():
            raise Problem(404, "this search has no study yet")
        with self._lock:
            if search_id not in self._kept:
                try:
                    from optuna_dashboard import wsgi  # type: ignore[import-untyped]
                except ImportError:
                    raise Problem(404, MISSING) from None
                storage = open_storage(study, skip_compatibility_check=True, skip_table_creation=True)
                self._kept[search_id] = wsgi(storage)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(search_id)
            return self._kept[search_id]


@lru_cache(maxsize=1)
def _script() -> bytes:
    """The dashboard's script, which believes itself wherever it is."""
    try:
        import optuna_dashboard
    except ImportError:
        raise Problem(404, MISSING) from None
    text = (Path(optuna_dashboard.__file__).parent / "public" / "bundle.js").read_text(encoding="utf-8")
    for old, new in REWRITTEN.items():
        if text.count(old) != 1:
            raise Problem(404, "this version of optuna-dashboard cannot be served under another path")
        text = text.replace(old, new)
    return text.encode()


def _call(app: Any, request: Request, path: str, prefix: str) -> Response:
    """Ask a WSGI application for a page."""
    query = request.scope["query_string"].decode("latin-1")
    environ = {
        "REQUEST_METHOD": request.method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False, "HTTP_ACCEPT": request.headers.get("accept", "*/*"),
    }  # fmt: skip
    said: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        said["status"], said["headers"] = int(status.split()[0]), headers

    parts = app(environ, start)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    if said["status"] >= 500:
        raise Problem(503, "optuna-dashboard cannot read the study of this search now")
    kept = {name: value for name, value in said["headers"] if name.lower() == "content-type"}
    if kept.get("Content-Type", "").startswith("text/html"):
        body = body.replace(b'"/static/', f'"{prefix}/static/'.encode())
    return Response(body, said["status"], {**kept, "Content-Security-Policy": POLICY})
