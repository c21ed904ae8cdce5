"""A service in this process, whose searches are made of nothing but their files."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

import results
from search.service.app import create_app
from search.service.client import Client
from search.service.home import Home
from search.service.settings import Settings
from search.service.state import Service
from search.service.store import Search

PUPPETS = Path(__file__).parent / "puppet_service.py"
ENVIRONMENT = {"objectives": {"accuracy": "maximize", "params": "minimize"}, "trials": 6, "ended": "complete"}


class Puppets:
    """A launcher whose processes do what a test says."""

    def __init__(self) -> None:
        self.launched: list[tuple[str, int]] = []
        self.living: set[tuple[str, int]] = set()
        self.killed: list[str] = []
        self.error: OSError | None = None
        self.unknown = False

    def launch(self, search: Search, home: Home) -> None:
        if self.error is not None:
            raise self.error
        if (search.id, search.attempt) not in self.living:
            self.launched.append((search.id, search.attempt))
            self.living.add((search.id, search.attempt))
            home.write(home.process, {"pid": 0, "attempt": search.attempt})

    def alive(self, search: Search, home: Home) -> bool | None:
        return None if self.unknown else (search.id, search.attempt) in self.living

    def kill(self, search: Search, home: Home) -> None:
        self.killed.append(search.id)
        self.living.discard((search.id, search.attempt))

    def end(self, search: Search, home: Home, ended: str = "complete", sentence: str = "") -> None:
        home.write(home.end, {"attempt": search.attempt, "code": 0, "ended": ended, "sentence": sentence})
        self.living.discard((search.id, search.attempt))

    def die(self, search: Search) -> None:
        self.living.discard((search.id, search.attempt))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "service"
    folder.mkdir()
    return Settings(folder, at_once=2, poll_s=0.05)


@pytest.fixture
def puppets() -> Puppets:
    return Puppets()


@pytest.fixture
def app(settings: Settings, puppets: Puppets) -> Iterator[Any]:
    made = create_app(settings, launcher_of=puppets)
    yield made
    made.state.service.store.close()


@pytest.fixture
def service(app: Any) -> Service:
    return app.state.service


@pytest.fixture
def client(app: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8080", follow_redirects=False)


def rows(count: int) -> list[dict[str, Any]]:
    """Unsorted, with ties, a failure and a stopped one; the front is by hand: numbers 1 and 3 for six rows."""
    made: list[dict[str, Any]] = []
    for number in range(count):
        state = {4: "failed", 5: "stopped"}.get(number, "completed")
        made.append(
            {
                "number": number, "state": state, "backbone": "resnet8", "widths": "4-8-16",
                "activation": "<b>leni</b>" if number == 2 else "leni", "placement": "all",
                "accuracy": None if state == "failed" else [0.8, 0.9, 0.7, 0.95][number % 4],
                "accuracy_std": 0.01, "seeds": 2, "params": [300, 100, 200, 400][number % 4], "macs": 1000,
                "wall_s": 10.0 - number % 7, "error": "no" if state == "failed" else "",
                "started_at": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
            }
        )  # fmt: skip
    return made


def write_run(home: Home, count: int = 6, **environment: Any) -> None:
    """A run's folder with so many trials, each with two epochs of two seeds."""
    home.run.path.mkdir(parents=True, exist_ok=True)
    results.write(results.to_frame(reversed(rows(count))), home.run.trials)
    curves = [
        {"number": number, "seed": seed, "epoch": epoch, "accuracy": 0.1 * epoch, "loss": 1.0 / epoch}
        for number in range(count) for seed in (0, 1) for epoch in (1, 2)
    ]  # fmt: skip
    results.write(results.to_curves(curves), home.run.curves)
    home.run.environment.write_text(json.dumps({**ENVIRONMENT, **environment}))


@pytest.fixture
def finished(service: Service, puppets: Puppets) -> Search:
    """A search that has ended, with six trials."""
    search, _ = service.queue.submit({"trials": 6}, name="six")
    service.queue.tick()
    search = service.store.get(search.id)
    home = service.queue.home(search.id)
    write_run(home)
    puppets.end(search, home)
    service.queue.tick()
    return service.store.get(search.id)


def patiently(condition: Any, *, seconds: float = 400.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.1)
    return found


class Server:
    """A server that can be killed and started again, at the same port."""

    def __init__(self, folder: Path, *words: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.words = words or ("-m", "search.cli", "serve", "--folder", str(folder), "--port", str(self.port))
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [str(self.port) if word == "PORT" else word for word in self.words]
        self.process = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
        patiently(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        assert self.process.poll() is None, "the service did not start"
        return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def clean(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        for path in self.folder.glob("searches/*/process.json"):
            if Home(path.parent).alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    driver = psutil.Process(json.loads(path.read_text())["pid"])
                    for process in [*driver.children(recursive=True), driver]:
                        process.kill()
        self.client.close()


@pytest.fixture(name="rows")
def _rows() -> Any:
    return rows


@pytest.fixture(name="write_run")
def _write_run() -> Any:
    return write_run


@pytest.fixture(name="wait_for")
def _wait_for() -> Any:
    return patiently


@contextlib.contextmanager
def made_server(place: Path, *, puppets: bool = False, root: str = "") -> Iterator[Server]:
    """A server in a folder of its own, started by the test; its searches may be puppets."""
    folder = place / "service"
    folder.mkdir()
    made = Server(folder, *((str(PUPPETS), str(folder), "PORT", root) if puppets else ()))
    try:
        yield made
    finally:
        made.clean()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with made_server(tmp_path) as made:
        yield made


@pytest.fixture
def puppet_server(tmp_path: Path) -> Iterator[Server]:
    with made_server(tmp_path, puppets=True) as made:
        yield made


@pytest.fixture
def prefixed_server(tmp_path: Path) -> Iterator[Server]:
    """A server that shows itself below /tools/leni, where requests may come with or without it."""
    with made_server(tmp_path, puppets=True, root="/tools/leni") as made:
        yield made


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with a search of six trials that has ended, and its id; for tests that only look."""
    with made_server(tmp_path_factory.mktemp("shown"), puppets=True) as made:
        made.start()
        search_id = made.client.submit({"trials": 6}, name="six")["id"]
        patiently(lambda: made.client.status(search_id)["state"] == "running")
        made.client.cancel(search_id)
        patiently(lambda: made.client.status(search_id)["state"] == "ended")
        write_run(Home(made.folder / "searches" / search_id))
        yield made, search_id
