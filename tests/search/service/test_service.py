"""The real service: a real server, real processes, a real Ray, killed and started again."""

import contextlib
import json
import threading

import psutil

import results
from search.service.client import Client, ServiceError
from search.service.home import Home

TINY = {"trials": 2, "epochs": 1, "workers": 1}


def test_service_killed_during_a_run_finds_it_again_and_starts_what_is_queued(server, wait_for, tmp_path):
    server.start()
    first, second = [server.client.submit(TINY, name=name)["id"] for name in ("first", "second")]
    home = Home(server.folder / "searches" / first)
    wait_for(home.run.study.exists)
    server.kill()
    assert home.alive()
    wait_for(home.end.exists)
    server.start()
    events = list(server.client.watch(second))
    states = [server.client.status(search_id) for search_id in (first, second)]
    assert [(row["outcome"], row["attempt"]) for row in states] == [("complete", 1)] * 2
    assert events[-1]["counts"]["completed"] == 2
    for search_id in (first, second):
        run = results.load(server.folder / "searches" / search_id / "run")
        assert len(run.trials) == 2
        assert server.client.front(search_id) == json.loads(results.to_json(run.front()))
    fetched = results.load(server.client.fetch(second, tmp_path / "fetched"))
    assert fetched.trials.equals(run.trials)


def test_cancelled_run_ends_as_ctrl_c_does_and_goes_on_when_resumed_and_when_its_ray_is_killed(
    server, wait_for, monkeypatch
):
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "3")  # else Ray hopes for a minute
    server.start()
    search_id = server.client.submit({"trials": 500, "epochs": 1, "workers": 1})["id"]
    home = Home(server.folder / "searches" / search_id)
    wait_for(lambda: server.client.status(search_id)["counts"]["completed"])
    server.client.cancel(search_id)
    server.kill()  # the wish has been answered, and must not be lost
    server.start()
    wait_for(lambda: server.client.status(search_id)["state"] == "ended")
    ended = server.client.status(search_id)
    assert ended["outcome"] == "cancelled"
    assert home.read(home.run.environment)["ended"] == "interrupted"
    server.client.resume(search_id)
    before = wait_for(lambda: grown(server, search_id, ended["counts"]["completed"]))
    kill_ray(home)
    wait_for(lambda: server.client.status(search_id)["attempt"] == 3)  # by itself
    wait_for(lambda: grown(server, search_id, before))
    server.client.cancel(search_id)
    assert list(server.client.watch(search_id))[-1]["outcome"] == "cancelled"
    trials = results.load(home.run.path).trials
    done = trials[trials["state"] == "completed"]
    assert len(done) > before
    assert not done.duplicated(["widths", "activation", "placement", "lr_factor", "init_std", "decay"]).any()


def grown(server, search_id, before):
    """How many trials are completed, once they are more than before."""
    completed = server.client.status(search_id)["counts"]["completed"]
    return completed if completed > before else 0


def kill_ray(home):
    """Kill the Ray that a search runs on, under its process."""
    driver = psutil.Process(home.read(home.process)["pid"])
    ray = [child for child in driver.children(recursive=True) if child.name() in ("gcs_server", "raylet")]
    assert len(ray) == 2
    for process in ray:
        process.kill()


def test_two_hundred_submissions_while_the_service_is_killed_are_two_hundred_searches(puppet_server, wait_for):
    puppet_server.start()
    found: dict[int, str] = {}

    def submit(number: int) -> None:
        with Client(f"http://127.0.0.1:{puppet_server.port}", timeout_s=60.0) as client:
            while number not in found:
                with contextlib.suppress(ServiceError):
                    found[number] = client.submit({"trials": 3}, name=str(number), key=f"key-{number}")["id"]

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(found) >= 20)
    puppet_server.kill()
    assert len(found) < 200, "it was too late to be killed"
    puppet_server.start()
    for thread in threads:
        thread.join()
    rows = list(puppet_server.client.searches())
    assert sorted(int(row["name"]) for row in rows) == list(range(200))
    assert {int(row["name"]): row["id"] for row in rows} == found
