"""The service under load, measured by ApacheBench: python tests/benchmarks/service_load.py [--rounds 5]

The real service on this machine. While a search has both cores: 200 submissions at once, 200 more under one key, then
100 event streams, and beside them reads of that search and of a run of 5,000 trials, each round by four readers at a
time; in the end that run in a browser. Needs `ab` (Debian's apache2-utils); the last line Playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import results
from search.service.client import Client
from search.service.home import Home
from search.service.store import Store
from search.service.tokens import Tokens

TRIALS, SUBMISSIONS, STREAMS = 5000, 200, 100
BUSY = {"trials": 100_000, "epochs": 3, "seeds": 2}
API = "/api/v1/searches"
READS = (
    API, "BUSY", "BUSY/trials", "BUSY/front", "BUSY/figure", "BIG", "BIG/trials?limit=500", "BIG/trials?limit=5000",
    "BIG/trials/77", "BIG/front", "BIG/figure", "BIG/hypervolume", "/", "/searches/BIG",
)  # fmt: skip


def main() -> None:
    """Print what was measured, a table row an address."""
    parser = argparse.ArgumentParser(description="The service under load.")
    parser.add_argument("--rounds", type=int, default=5, help="of reads")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name)) as (server, pid, fresh),
        Client(server, token=fresh()) as client,
    ):
        big = write_big(client, Path(name))
        with searching(client) as busy:
            print(f"memory {memory_mb(pid):.0f} MB\n")
            submissions(server, client, fresh)
            with listened(server, busy, fresh()) as heard:
                print(f"\nwith {STREAMS} event streams open:")
                reads(server, pid, fresh, 1, busy=busy, big=big)
            print(f"\nstreams: {min(heard)} to {max(heard)} events each, {heard.count(-1)} broken off")
            reads(server, pid, fresh, given.rounds, busy=busy, big=big)
            displayed(server, big, fresh())
            print(f"memory {memory_mb(pid):.0f} MB")


@contextmanager
def searching(client: Client) -> Iterator[str]:
    """A search that has both cores meanwhile; its id."""
    busy = client.submit(BUSY, priority=100)["id"]
    try:
        wait_for(lambda: client.status(busy)["counts"]["completed"] > 3)
        yield busy
        print(f"the search has trained {client.status(busy)['counts']['completed']} candidates meanwhile")
    finally:
        for row in client.searches():
            if row["state"] != "ended":
                client.cancel(row["id"])
        wait_for(lambda: client.status(busy)["state"] == "ended")


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int, Callable[[], str]]]:
    """A service: its address, the number of its process, and what makes a token; a token has a rate of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = Store(f"sqlite:///{folder / 'service.db'}")
    words = [sys.executable, "-m", "search.cli", "serve", "--folder", str(folder), "--port", str(port)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port))
        yield f"http://127.0.0.1:{port}", process.pid, lambda: Tokens(store).create("load", "submit")[1]
    finally:
        process.terminate()
        process.wait(60)
        store.close()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it did not come to this in time")
        time.sleep(0.2)


def write_big(client: Client, folder: Path) -> str:
    """A search that has ended, with 5,000 trials that nobody trained; its id."""
    search_id = client.submit({"trials": TRIALS}, name="five thousand trials")["id"]
    wait_for(lambda: client.status(search_id)["state"] == "running")
    client.cancel(search_id)
    wait_for(lambda: client.status(search_id)["state"] == "ended")
    run = Home(folder / "searches" / search_id).run
    shutil.rmtree(run.path, ignore_errors=True)
    run.path.mkdir()
    rng = np.random.default_rng(0)
    params = (10 ** rng.uniform(2.5, 5.5, TRIALS)).astype(int).tolist()
    accuracy = [round(0.99 - 20 / size**0.7 - float(rng.exponential(0.05)), 4) for size in params]
    rows = [
        {
            "number": n, "state": "completed", "backbone": "resnet8", "widths": "4-8-16", "placement": "all",
            "activation": ("relu", "leni", "gelu")[n % 3], "accuracy": accuracy[n], "accuracy_std": 0.01, "seeds": 2,
            "params": params[n], "macs": 90 * params[n], "wall_s": 9.0, "error": "", "epochs": 8,
            "started_at": f"2026-01-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z",
        }
        for n in range(TRIALS)
    ]  # fmt: skip
    curves = [
        {"number": n, "seed": seed, "epoch": epoch, "accuracy": accuracy[n] * (1 - 0.5**epoch), "loss": 1 / epoch}
        for n in range(TRIALS) for seed in (0, 1) for epoch in range(1, 9)
    ]  # fmt: skip
    results.write(results.to_frame(rows), run.trials)
    results.write(results.to_curves(curves), run.curves)
    facts = {"objectives": {"accuracy": "maximize", "params": "minimize"}, "trials": TRIALS, "ended": "complete"}
    run.environment.write_text(json.dumps(facts))
    return search_id


def bench(url: str, token: str, *words: str) -> dict[str, float]:
    """What `ab` says: p50, p95, p100 in ms, answers a second, answers that were not 2xx or none at all."""
    command = ["ab", "-q", "-l", "-H", f"Authorization: Bearer {token}", *words, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {f"p{share}": float(ms) for share, ms in re.findall(r"^\s+(50|95|100)%\s+(\d+)", said, re.MULTILINE)}
    found["a_second"] = float(re.search(r"Requests per second:\s+([\d.]+)", said)[1])
    found["wrong"] = sum(map(int, re.findall(r"(?:Non-2xx responses|Failed requests):\s+(\d+)", said)))
    return found


def submissions(server: str, client: Client, fresh: Callable[[], str]) -> None:
    """200 at once, and 200 at once under one key: what was answered, and what is there."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(json.dumps({"spec": {"trials": 3}, "name": "many"}))
        body.flush()
        words = ("-n", str(SUBMISSIONS), "-c", str(SUBMISSIONS), "-p", body.name, "-T", "application/json")
        for what, more in (("each its own", ()), ("under one key", ("-H", "Idempotency-Key: one"))):
            before = sum(row["name"] == "many" for row in client.searches())
            said = bench(f"{server}/api/v1/searches", fresh(), *words, *more)
            new = sum(row["name"] == "many" for row in client.searches()) - before
            print(f"{SUBMISSIONS} submissions at once, {what}: {new} searches, {said['wrong']:.0f} refused, "
                  f"p95 {said['p95']:.0f} ms, longest {said['p100']:.0f} ms")  # fmt: skip


def reads(server: str, pid: int, fresh: Callable[[], str], rounds: int, *, busy: str, big: str) -> None:
    """Each address 400 times by four readers, so many rounds; the memory after each."""
    rows: dict[str, list[dict[str, float]]] = {}
    sizes = []
    for _ in range(rounds):
        for path in READS:
            where = path if path.startswith("/") else f"{API}/{path}"
            url = server + where.replace("BUSY", busy).replace("BIG", big)
            rows.setdefault(path, []).append(bench(url, fresh(), "-n", "400", "-c", "4"))
        sizes.append(memory_mb(pid))
    print("| read | p50 ms | p95 ms | longest ms | not answered |\n|---|---|---|---|---|")
    for path, found in rows.items():
        p50, p95 = (sorted(each[name] for each in found)[len(found) // 2] for name in ("p50", "p95"))
        longest, wrong = max(each["p100"] for each in found), sum(each["wrong"] for each in found)
        print(f"| {path} | {p50:.0f} | {p95:.0f} | {longest:.0f} | {wrong:.0f} |", flush=True)
    print(f"\nmemory after each round of {400 * len(READS):,} reads, MB: {', '.join(f'{size:.0f}' for size in sizes)}")


@contextmanager
def listened(server: str, search_id: str, token: str) -> Iterator[list[int]]:
    """100 event streams meanwhile; at the end, how many events each has heard, -1 for one that broke off."""
    heard, stop = [0] * STREAMS, threading.Event()
    host, port = server.removeprefix("http://").split(":")
    ask = f"GET /api/v1/searches/{search_id}/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"

    async def listen(place: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(ask.encode())
        while not stop.is_set():
            try:
                line = await asyncio.wait_for(reader.readline(), 1.0)
            except TimeoutError:
                continue
            heard[place] += line.startswith(b"event: search")
            if not line:
                heard[place] = -1
                break
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(listen(place) for place in range(STREAMS)))

    thread = threading.Thread(target=asyncio.run, args=(all_of_them(),))
    thread.start()
    wait_for(lambda: all(heard))
    yield heard
    stop.set()
    thread.join()


def displayed(server: str, search_id: str, token: str) -> None:
    """Seconds until a browser shows the big run's table and its figure, and a sort of it."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("no browser here")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(base_url=server)
        page.set_default_timeout(120_000)
        page.goto(f"/enter?token={token}")
        page.wait_for_url("**/")
        start = time.monotonic()
        page.goto(f"/searches/{search_id}")
        page.locator("#shown", has_text=f"{TRIALS:,} trials").wait_for()
        table = time.monotonic() - start
        page.wait_for_selector("#front canvas")
        drawn = time.monotonic() - start
        took = page.evaluate(
            "() => { const from = performance.now(); "
            "document.querySelector('button[data-column=accuracy]').click(); return performance.now() - from; }"
        )
        print(f"in a browser: table after {table:.1f} s, figure after {drawn:.1f} s, sorted in {took:.0f} ms")
        browser.close()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
