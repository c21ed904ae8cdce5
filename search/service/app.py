"""The service's application: wiring alone."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from search.service import api, outcome, pages
from search.service.access import Reader
from search.service.dashboard import dashboard
from search.service.events import Hub
from search.service.guard import Guard
from search.service.launch import Launcher, launcher
from search.service.metrics import Metrics
from search.service.problems import Problem, install
from search.service.queue import Queue
from search.service.reading import Readings
from search.service.settings import Settings
from search.service.state import Service, service_of
from search.service.store import Store
from search.service.tokens import Tokens

__all__ = ["create_app", "serve"]


def create_app(settings: Settings, *, launcher_of: Launcher | None = None) -> FastAPI:
    """The application; its queue is worked from its start to its end.

    Args:
        settings: what the service is told.
        launcher_of: where processes are started, in place of what the settings say.

    Raises:
        StorageError: the database cannot be opened.
        SpecError: there is no Ray at the address of the settings.
    """
    store = Store(settings.database_url)
    queue = Queue(store, settings, launcher_of or launcher(settings.address))
    queue.make_folder()
    service = Service(settings, store, Tokens(store), queue, Readings(queue.home), Metrics(), store.secret())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = threading.Thread(target=queue.work, name="queue", daemon=True)
        worker.start()
        threading.Thread(target=pages.warm, name="warm", daemon=True).start()
        yield
        service.stopping = True
        queue.stop()
        worker.join(timeout=10)
        store.close()

    app = FastAPI(
        title="leni-search",
        version="1",
        description=__doc__,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service, app.state.hub = service, Hub(service)
    routers = (api.router, outcome.router, pages.router)
    for router in routers:
        app.include_router(router)
    app.mount("/static", pages.static())
    app.mount("/optuna", dashboard(service))
    app.add_api_route("/healthz", _alive, include_in_schema=False)
    app.add_api_route("/readyz", _ready, include_in_schema=False)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    install(app, pages.failure, [route for router in (*routers, app) for route in router.routes])
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    return app


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve the application until it is told to stop."""

    class Server(uvicorn.Server):
        """One that tells the event streams, which never end by themselves, before it waits for their end."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.service.stopping = True
            super().handle_exit(sig, frame)

    Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            uds=None if settings.socket is None else str(settings.socket),
            http="h11",  # which limits a request's head to 64 KiB
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the guard's task; uvicorn's own would believe whoever is on this machine
            timeout_keep_alive=75,  # longer than proxies keep theirs, so that none sends into a connection just closed
            timeout_graceful_shutdown=5,
        )
    ).run()


def _alive() -> Response:
    """That the process answers."""
    return JSONResponse({"status": "ok"})


def _ready(request: Request) -> Response:
    """That the database answers, the folder of the searches is there and the queue is worked; or why not."""
    why = service_of(request).not_ready()
    return JSONResponse({"status": "not ready", "detail": why} if why else {"status": "ok"}, 503 if why else 200)


def _metrics(request: Request, caller: Reader) -> Response:
    """Counts, as Prometheus reads them."""
    service = service_of(request)
    if caller.search is not None:
        raise Problem(404, "there is nothing at this address")  # for whom sees a single search
    return Response(service.metrics.text(service.store.counts(), service.queue_age_s()), media_type="text/plain")
