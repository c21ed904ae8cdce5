"""Faults: whatever is killed, and whenever, a resumed run is the run that nobody disturbed.

In the suite three moments are tried; `pytest tests/search/test_kill.py --kills 20` tries as many as are asked for.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pandas as pd
import psutil
import pytest

import results
import search
from leni.errors import FolderError
from search.driver.run_search import resume

KEYS = {
    "trials": 6, "epochs": 8, "workers": 1, "quiet": True, "checkpoint_s": 0.0, "pruner": "halving",
    "fix": {"width": [0.1875, 0.25]},
}  # fmt: skip
SPEC = """
trials = 6
epochs = 8
workers = 1
checkpoint_s = 0.0
pruner = "halving"
[fix]
width = [0.1875, 0.25]
"""
MEASURED = ["wall_s", "started_at"]
pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, ray_session) -> results.Run:
    return search.run(**KEYS, out=tmp_path_factory.mktemp("undisturbed") / "run")


def driver(folder: Path) -> subprocess.Popen:
    """A run in a process of its own, with a Ray of its own."""
    spec = folder.with_suffix(".toml")
    spec.write_text(SPEC)
    command = [sys.executable, "-m", "search.cli", "run", str(spec), "--out", str(folder), "--quiet"]
    environment = {**os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s": "3"}  # or Ray's agents hope for a minute
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def states(folder: Path) -> list[str]:
    """States of the study's trials, [] before there is a study."""
    try:
        study = optuna.load_study(study_name="leni-search", storage=f"sqlite:///{folder / 'study.db'}")
    except Exception:  # noqa: BLE001 - the file is being made
        return []
    return [trial.state.name for trial in study.trials]


def wait_for(condition, *, seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.05)


def family(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def kill(process: subprocess.Popen) -> list[psutil.Process]:
    """Kill the driver alone, as an out-of-memory killer does; what its children were."""
    children = family(process)
    process.kill()
    process.wait()
    process.stderr.close()
    return children


def left(processes: list[psutil.Process], *, seconds: float = 120.0) -> list[str]:
    """Of these processes, the command lines of those that live on; they are given time to notice."""

    def alive() -> list[psutil.Process]:
        return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    end = time.monotonic() + seconds
    while alive() and time.monotonic() < end:
        time.sleep(0.1)
    return [" ".join(one.cmdline()) for one in alive()]


def assert_same_run(run: results.Run, other: results.Run) -> None:
    """Every number of both, and every curve, but for the times."""
    for frame, expected, order in (
        (run.trials, other.trials, ["number"]),
        (run.curves, other.curves, ["number", "seed", "epoch"]),
    ):
        columns = [name for name in expected.columns if name not in MEASURED]
        one, two = (each.sort_values(order, ignore_index=True)[columns] for each in (frame, expected))
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_driver_killed_at_a_random_moment_ends_as_if_it_was_not(undisturbed, tmp_path, kill_seed):
    folder, chance = tmp_path / "run", random.Random(kill_seed)
    process = driver(folder)
    target = chance.randrange(6)
    wait_for(lambda: len(states(folder)) > target or process.poll() is not None)
    time.sleep(chance.uniform(0.0, 0.8))
    children = kill(process)
    finished = states(folder).count("COMPLETE")
    run = resume(folder, quiet=True)
    assert run.environment["ended"] == "complete"
    assert states(folder).count("RUNNING") == 0
    assert len(states(folder)) == 6
    assert finished <= states(folder).count("COMPLETE")
    assert_same_run(run, undisturbed)
    assert children
    assert left(children) == []


def kill_workers() -> list[psutil.Process]:
    """Kill the processes of trials of the session's Ray; which they were."""
    killed = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "Trainable" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGKILL)
                killed.append(child)
    return killed


def test_killed_worker_costs_no_trial(undisturbed, tmp_path):
    folder, killed = tmp_path / "run", []

    def work() -> None:
        wait_for(lambda: len(states(folder)) > 2)
        killed.extend(kill_workers())

    thread = threading.Thread(target=work)
    thread.start()
    run = search.run(**KEYS, out=folder)
    thread.join()
    assert killed
    assert_same_run(run, undisturbed)


def test_second_driver_is_refused_while_the_first_lives_and_takes_over_where_that_is_interrupted(undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = driver(folder)
    wait_for(lambda: len(states(folder)) > 2)
    process.send_signal(signal.SIGSTOP)  # it lives, and does not come to its end meanwhile
    try:
        with pytest.raises(FolderError, match=rf"is being driven by process {process.pid} on"):
            resume(folder, quiet=True)
    finally:
        process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    assert process.wait(400) == 130
    process.stderr.close()
    cut_off = [state for state in states(folder) if state == "FAIL"]
    assert states(folder).count("RUNNING") == 0
    run = resume(folder, quiet=True)
    assert len(run.trials) == 6 + len(cut_off)
    columns = ["widths", "activation", "placement", "lr_factor", "accuracy", "epochs", "state"]
    over = run.trials[run.trials["error"].fillna("") == ""].sort_values(columns, ignore_index=True)
    expected = undisturbed.trials.sort_values(columns, ignore_index=True)
    assert over[columns].equals(expected[columns])


def test_finished_run_is_extended(undisturbed, tmp_path):
    folder = tmp_path / "run"
    search.run(**{**KEYS, "trials": 4}, out=folder)
    run = resume(folder, add_trials=2, quiet=True)
    assert_same_run(run, undisturbed)
    assert run.environment["trials"] == 6


def test_run_that_is_over_stays_as_it_is(undisturbed):
    before = undisturbed.trials
    again = resume(undisturbed.folder, quiet=True)
    assert again.trials.equals(before)
    assert again.environment["ended"] == "complete"
