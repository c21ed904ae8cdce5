import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from leni.errors import SpecError
from search.service.home import Home
from search.service.launch import ProcessLauncher, RayLauncher, launcher


def search(attempt=1):
    return SimpleNamespace(id="abc", attempt=attempt)


class Cluster:
    """A Ray that answers as `ray.job_submission.JobSubmissionClient` does."""

    def __init__(self):
        self.jobs, self.down, self.stopped, self.lost_answer = {}, False, [], False

    def submit_job(self, *, entrypoint, submission_id, metadata):
        if self.down:
            raise ConnectionError("no route")
        if submission_id in self.jobs:
            raise RuntimeError(f"Job with submission_id {submission_id} already exists.")
        self.jobs[submission_id] = SimpleNamespace(value="PENDING", entrypoint=entrypoint)
        if self.lost_answer:
            raise ConnectionError("the answer was lost")

    def get_job_status(self, submission_id):
        if self.down:
            raise ConnectionError("no route")
        if submission_id not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {submission_id} does not exist")
        return self.jobs[submission_id]

    def stop_job(self, submission_id):
        self.stopped.append(submission_id)


def test_ray_job_is_submitted_once_an_attempt(tmp_path):
    cluster, home = Cluster(), Home(tmp_path / "a b")
    for _ in range(2):
        RayLauncher(cluster).launch(search(), home)
    RayLauncher(cluster).launch(search(2), home)
    assert list(cluster.jobs) == ["leni-abc-1", "leni-abc-2"]
    assert cluster.jobs["leni-abc-1"].entrypoint == f"python -m search.service.job '{home.path}'"


def test_ray_job_lives_as_long_as_ray_says_and_is_unknown_while_ray_is_silent(tmp_path):
    cluster, home = Cluster(), Home(tmp_path)
    ray = RayLauncher(cluster)
    assert ray.alive(search(), home) is False
    ray.launch(search(), home)
    seen = []
    for status in ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"):
        cluster.jobs["leni-abc-1"].value = status
        seen.append(ray.alive(search(), home))
    assert seen == [True, True, False, False, False]
    cluster.down = True
    assert ray.alive(search(), home) is None
    with pytest.raises(OSError, match="does not answer"):
        ray.launch(search(3), home)


def test_ray_job_whose_submission_was_taken_but_not_answered_is_taken(tmp_path):
    cluster = Cluster()
    cluster.lost_answer = True
    RayLauncher(cluster).launch(search(), Home(tmp_path))
    assert list(cluster.jobs) == ["leni-abc-1"]


def test_ray_that_is_not_there_is_one_sentence():
    with pytest.raises(SpecError, match=r"http://127\.0\.0\.1:9"):
        launcher("http://127.0.0.1:9")


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """A process launcher whose processes sleep, and end when they are killed."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import time; time.sleep(60)'\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    home = Home(tmp_path / "home")
    home.path.mkdir()
    made = ProcessLauncher()
    yield made, home
    for child in made._children:
        child.kill()
        child.wait()


def test_process_is_alive_for_whoever_looks_until_it_is_killed(sleeper):
    made, home = sleeper
    made.launch(search(), home)
    made.launch(search(), home)
    assert len(made._children) == 1
    assert ProcessLauncher().alive(search(), home) is True
    (child,) = made._children
    assert os.getsid(child.pid) == child.pid  # nothing that is sent to the service's terminal reaches it
    home.write(home.process, {"pid": child.pid, "host": os.uname().nodename, "attempt": 1})
    made.kill(search(2), home)
    assert child.poll() is None  # another attempt's number
    made.kill(search(), home)
    assert child.wait(120) == -signal.SIGKILL
    assert made.alive(search(), home) is False


def test_number_of_a_process_that_is_gone_is_not_used(sleeper):
    made, home = sleeper
    innocent = subprocess.Popen(["sleep", "60"], start_new_session=True)
    home.write(home.process, {"pid": innocent.pid, "host": os.uname().nodename, "attempt": 1})
    made.kill(search(), home)
    time.sleep(0.1)
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_job_is_not_hidden_by_modules_of_the_folder_where_the_service_was_started(tmp_path, monkeypatch):
    for name in ("results", "search", "leni", "logging"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} of the user')")
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "searches" / "abc")
    home.path.mkdir(parents=True)
    home.write(home.job, {"spec": {"trails": 1}, "trials": 1, "address": None, "attempt": 1})
    started = ProcessLauncher()
    started.launch(search(), home)
    assert started._children[0].wait(120) == 2
    assert "there is no key 'trails'; did you mean 'trials'? [LS-SPEC-KEY]" in home.log.read_text()
