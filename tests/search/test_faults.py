"""Faults from outside: a node that goes, a full disk, a database that is away, and the stock bridge beside ours."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import results
import search
from leni.errors import FolderError, StorageError
from search.driver.run_search import resume

FAST = {"epochs": 2, "quiet": True, "evaluator": "plugin_evaluators:slow", "sampler": "random", "patience_s": 2.0}


def assert_once(folder: Path, trials: int) -> None:
    """Every trial is in the study once, over, and in the records."""
    study = optuna.load_study(study_name="leni-search", storage=f"sqlite:///{folder / 'study.db'}")
    over = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert not [trial for trial in study.trials if trial.state == TrialState.RUNNING]
    assert len(over) == trials
    assert len({str(trial.user_attrs["candidate"]) for trial in over}) == trials
    assert (results.load(folder).trials["state"] == "completed").sum() == trials


NODE = """
    import sys, threading, time
    from pathlib import Path
    from ray.cluster_utils import Cluster
    import search
    folder = Path(sys.argv[1])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def lose():
        while not (folder / "checkpoints").is_dir() or not list((folder / "checkpoints").glob("*.pt")):
            time.sleep(0.1)
        cluster.remove_node(nodes[0], allow_graceful=False)

    threading.Thread(target=lose, daemon=True).start()
    search.run(trials=5, epochs=12, workers=2, pruner="none", checkpoint_s=0.0, quiet=True, out=folder,
               address=cluster.address, fix={"width": [0.1875, 0.25]})
    print(sum(node["Alive"] for node in __import__("ray").nodes()) if __import__("ray").is_initialized() else "left")
    cluster.shutdown()
"""


def test_trials_of_a_lost_node_go_on_elsewhere(tmp_path):
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NODE), str(folder)], capture_output=True, text=True, timeout=400,
        env={**os.environ, "RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "1000"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert_once(folder, 5)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.usefixtures("ray_session")
def test_full_disk_ends_the_run_with_a_sentence_and_a_resumed_run_is_whole(small_disk):
    folder = small_disk / "run"

    def fill() -> None:
        while not (folder / "study.db").is_file() or time.monotonic() < begun + 4:
            time.sleep(0.1)
        handle = os.open(small_disk / "filling", os.O_CREAT | os.O_WRONLY)
        with contextlib.suppress(OSError):
            while True:
                os.write(handle, b"0" * 4096)
        os.close(handle)

    begun = time.monotonic()
    threading.Thread(target=fill, daemon=True).start()
    with pytest.raises((FolderError, StorageError), match="leni-search resume"):
        search.run(**FAST, trials=24, workers=2, out=folder)
    (small_disk / "filling").unlink()
    resume(folder, quiet=True)
    assert_once(folder, 24)


@pytest.mark.usefixtures("ray_session")
def test_database_that_is_locked_for_a_while_is_waited_for(tmp_path):
    folder = tmp_path / "run"

    def lock() -> None:
        while not (folder / "ray").is_dir():
            time.sleep(0.05)
        with sqlite3.connect(folder / "study.db", timeout=30) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(3)
            connection.rollback()

    thread = threading.Thread(target=lock, daemon=True)
    thread.start()
    search.run(**FAST, trials=6, workers=2, out=folder)
    thread.join()
    assert_once(folder, 6)
