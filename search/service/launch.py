"""Where a search's process runs: on this machine, or as a Ray job on a cluster.

Either way it is started at most once an attempt, lives on when the service dies, and is found again by the next one:
on this machine by the lock that it holds, on a cluster by its submission id.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from leni.errors import SpecError
from search.service.home import Home
from search.service.job import LOCK_VARIABLE
from search.service.store import Search
from search.store.locks import try_lock
from search.store.secrets import masked, with_secrets

__all__ = ["Launcher", "ProcessLauncher", "RayLauncher", "launcher"]

OWN = Path(__file__).resolve().parents[2]  # the folder of leni, spaces, search and results


class Launcher(Protocol):
    """Starts the process of an attempt, and says whether it lives."""

    def launch(self, search: Search, home: Home) -> None:
        """Start it; nothing happens where this attempt has been started already.

        Raises:
            OSError: it cannot be started now: the disk is full, there is no memory, the cluster does not answer.
        """

    def alive(self, search: Search, home: Home) -> bool | None:
        """Whether it lives; None where that cannot be said now."""

    def kill(self, search: Search, home: Home) -> None:
        """End it without its help."""


class ProcessLauncher:
    """A process on this machine, in a session of its own, which the service's end does not touch."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def launch(self, search: Search, home: Home) -> None:
        """As the protocol says; the lock is taken before the process is there, and handed to it."""
        with home.lock.open("a") as lock, home.log.open("ab") as log:
            if not try_lock(lock):
                return
            self._children.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "search.service.job", str(home.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock.fileno(),),
                    env=_environment(lock.fileno()),
                )
            )

    def alive(self, search: Search, home: Home) -> bool | None:
        """As the protocol says."""
        self._children = [child for child in self._children if child.poll() is None]
        return home.alive()

    def kill(self, search: Search, home: Home) -> None:
        """As the protocol says: it holds the lock, so the number that it wrote is still its own."""
        known = home.read(home.process)
        if home.alive() and known.get("attempt") == search.attempt and known.get("host") == socket.gethostname():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(known["pid"]), signal.SIGKILL)


class RayLauncher:
    """A Ray job on a cluster that sees the same folder.

    Args:
        client: as `ray.job_submission.JobSubmissionClient`.
        python: the interpreter there.
    """

    def __init__(self, client: Any, *, python: str = "python") -> None:
        self.client, self.python = client, python

    def launch(self, search: Search, home: Home) -> None:
        """As the protocol says; Ray itself refuses a submission id twice."""
        if self._status(search) is not None:
            return
        try:
            self.client.submit_job(
                entrypoint=f"{shlex.quote(self.python)} -m search.service.job {shlex.quote(str(home.path))}",
                submission_id=_submission(search),
                metadata={"search": search.id},
            )
        except (RuntimeError, ConnectionError) as error:
            if self._status(search) is None:
                raise OSError(f"the Ray cluster has not taken the job: {_first_line(error)}") from None

    def alive(self, search: Search, home: Home) -> bool | None:
        """As the protocol says."""
        try:
            status = self._status(search)
        except OSError:
            return None
        return status in ("PENDING", "RUNNING") or home.alive()  # Ray may forget a job that it has not ended

    def kill(self, search: Search, home: Home) -> None:
        """As the protocol says."""
        with contextlib.suppress(RuntimeError, ConnectionError):
            self.client.stop_job(_submission(search))

    def _status(self, search: Search) -> str | None:
        """What Ray says of the job; None where it has none of this id.

        Raises:
            OSError: Ray does not answer.
        """
        try:
            status = self.client.get_job_status(_submission(search))
        except ConnectionError as error:
            raise OSError(f"the Ray cluster does not answer: {_first_line(error)}") from None
        except RuntimeError as error:
            if "does not exist" in str(error) or "404" in str(error):
                return None
            raise OSError(f"the Ray cluster does not answer: {_first_line(error)}") from None
        return str(getattr(status, "value", status))


def launcher(address: str | None) -> Launcher:
    """The launcher for an address of a Ray dashboard; for none, processes on this machine.

    Raises:
        SpecError: there is no Ray at this address, or no `ray[default]` here.
    """
    if address is None:
        return ProcessLauncher()
    try:
        from ray.job_submission import JobSubmissionClient

        return RayLauncher(JobSubmissionClient(with_secrets(address)))
    except (ImportError, RuntimeError, ConnectionError, ValueError) as error:
        reason = _first_line(error)
        raise SpecError(
            f"jobs cannot be submitted to the Ray dashboard at {masked(address)}: {masked(reason)}", code="LS-RAY-JOIN"
        ) from None


def _environment(lock: int) -> dict[str, str]:
    """The environment of a job that inherits a lock.

    Its current folder is not on its module path (`python -P`), where a file such as results.py would hide a module of
    this package, so a checkout of this package that is not installed has to be.
    """
    entries = [str(OWN), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    installed = "site-packages" in OWN.parts or "dist-packages" in OWN.parts
    path = {} if installed else {"PYTHONPATH": os.pathsep.join(dict.fromkeys(entries))}
    return {**os.environ, **path, LOCK_VARIABLE: str(lock), "PYTHONUNBUFFERED": "1"}


def _submission(search: Search) -> str:
    return f"leni-{search.id}-{search.attempt}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
