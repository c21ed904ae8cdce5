"""Faults during a user's function: with checkpoints a resumed run is the run that nobody disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

import results
import search
from search.driver.run_search import resume

EVALUATORS = Path(__file__).parent / "evaluators"
KEYS = {
    "space": {"name": "walk", "parameters": {"x": [3, 1, 2]}}, "objectives": ["score:max", "size:min"], "trials": 3,
    "workers": 1, "sampler": "random", "pruner": "none", "quiet": True,
}  # fmt: skip
SPEC = """
evaluator = "live_evaluators:{name}"
objectives = ["score:max", "size:min"]
trials = 3
workers = 1
sampler = "random"
pruner = "none"
[space]
name = "walk"
[space.parameters]
x = [3, 1, 2]
"""
pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, ray_session) -> results.Run:
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return search.run(evaluator="live_evaluators:keeping_state", **KEYS, out=folder / "run")


def driver(folder: Path, name: str) -> subprocess.Popen:
    """A run in a process of its own, with a Ray of its own."""
    (folder / "spec.toml").write_text(SPEC.format(name=name))
    path = os.pathsep.join([str(EVALUATORS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_gcs_rpc_server_reconnect_timeout_s": "3"}
    command = [sys.executable, "-m", "search.cli", "run", "spec.toml", "--out", "run", "--quiet"]
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)


def wait_for(condition, *, seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.02)


def starts(folder: Path) -> dict[str, list[str]]:
    """Where each trial's calls began, by the trial's file."""
    return {path.name: path.read_text().splitlines() for path in sorted(folder.glob("x*.txt"))}


def assert_same(run: results.Run, other: results.Run) -> None:
    measured = ["wall_s", "started_at"]
    for frame, expected in ((run.trials, other.trials), (run.curves, other.curves)):
        columns = [name for name in expected.columns if name not in measured]
        pd.testing.assert_frame_equal(frame[columns], expected[columns], check_exact=True)


def test_driver_killed_during_a_function_ends_as_if_it_was_not(undisturbed, tmp_path, monkeypatch, kill_seed):
    monkeypatch.chdir(tmp_path)
    chance = random.Random(kill_seed)
    process = driver(tmp_path, ["keeping_state", "keeping_folder"][kill_seed % 2])
    state = tmp_path / "run" / "checkpoints" / f"{kill_seed % 3:06d}.pt"
    wait_for(lambda: state.is_file() or process.poll() is not None)
    time.sleep(chance.uniform(0.0, 0.4))
    process.kill()
    process.wait()
    run = resume(tmp_path / "run", quiet=True)
    assert_same(run, undisturbed)
    (again,) = (lines for lines in starts(tmp_path).values() if len(lines) > 1)
    assert again[0] == "from 1"
    assert int(again[1].removeprefix("from ")) > 1
    assert "notes" not in run.environment


def kill_worker(process: subprocess.Popen, condition) -> None:
    wait_for(condition)
    children = psutil.Process(process.pid).children(recursive=True)
    for worker in (child for child in children if "Trainable" in " ".join(child.cmdline())):
        worker.send_signal(signal.SIGKILL)
    assert process.wait(300) == 0


def test_killed_worker_goes_on_from_the_functions_checkpoint(undisturbed, tmp_path):
    process = driver(tmp_path, "keeping_folder")
    kill_worker(process, (tmp_path / "run" / "checkpoints" / "000001.pt").is_file)
    assert_same(results.load(tmp_path / "run"), undisturbed)
    assert max(int(lines[-1].removeprefix("from ")) for lines in starts(tmp_path).values()) > 1


def test_function_without_checkpoints_starts_again_and_the_run_says_so(undisturbed, tmp_path):
    process = driver(tmp_path, "keeping_nothing")
    kill_worker(process, lambda: len(starts(tmp_path)) == 2)
    run = results.load(tmp_path / "run")
    assert_same(run, undisturbed)
    assert [len(lines) for lines in starts(tmp_path).values()].count(2) == 1
    (note,) = run.environment["notes"]
    assert note == "trial 1 was cut off and starts again from its beginning: it has kept no checkpoint"
