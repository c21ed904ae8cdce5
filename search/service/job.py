"""The process that drives one search: `python -m search.service.job FOLDER`, started by the service or as a Ray job.

It is told what to do by job.json, continues a run that is there or begins one, and says in end.json how it ended.
It needs the service neither to continue nor to end: the service may be killed, and a new one finds all of it here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from leni.errors import LeniSearchError
from results.errors import ResultsError
from search.service.home import Home
from search.store.locks import try_lock

__all__ = ["LOCK_VARIABLE", "main"]

LOCK_VARIABLE = "LENI_SEARCH_LOCK"
NICE = 5  # behind the service itself, whose pages are looked at meanwhile
LOOK_S, AGAIN_S = 0.3, 30.0


def main(folder: str) -> int:
    """Drive the search whose folder this is; the exit code is that of `leni-search run`."""
    home = Home(folder)
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.append(os.getcwd())  # noqa: PTH109 - where the service was started: evaluators are there
    with contextlib.ExitStack() as held:
        if not _locked(home, held):
            print("another process drives this search", file=sys.stderr)  # noqa: T201
            return 2
        job = home.read(home.job)
        home.write(home.process, {"pid": os.getpid(), "host": socket.gethostname(), "attempt": job.get("attempt")})
        end: dict[str, Any] = {"code": 130, "ended": "interrupted", "sentence": ""}
        try:
            os.nice(NICE)
            if not home.cancel.exists():
                threading.Thread(target=_watch, args=(home.cancel,), daemon=True).start()
                end = _drive(home, job)
        except KeyboardInterrupt:
            pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a wish to end that comes too late
        home.write(home.end, {**end, "attempt": job.get("attempt")})
        return int(end["code"])


def _locked(home: Home, held: contextlib.ExitStack) -> bool:
    """Hold the lock: the service hands it over already locked; under Ray it is taken here."""
    given = os.environ.pop(LOCK_VARIABLE, "")
    if given:
        os.set_inheritable(int(given), False)  # Ray's processes may outlive this one for a moment
        return True
    stream = held.enter_context(home.lock.open("a"))
    for _ in range(20):
        if try_lock(stream):
            return True
        time.sleep(0.1)  # perhaps only somebody who looks
    return False


def _watch(cancel: Path) -> None:
    """Do what Ctrl-C does when the search is to end, and once more where that was not heard."""
    while not cancel.exists():
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(AGAIN_S)
    os.kill(os.getpid(), signal.SIGINT)


def _drive(home: Home, job: dict[str, Any]) -> dict[str, Any]:
    """Run or resume, and what came of it."""
    try:
        return _ended(home, job)
    except (LeniSearchError, ResultsError) as error:
        print(f"leni-search: {error} [{error.code}]", file=sys.stderr)  # noqa: T201
        return {"code": 2, "ended": "failed", "sentence": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the log has it and the service must be told
        traceback.print_exc()
        return {"code": 1, "ended": "failed", "sentence": f"{type(error).__name__}: {error}"[:500]}


def _ended(home: Home, job: dict[str, Any]) -> dict[str, Any]:
    from search.driver.run_search import resume, run
    from search.spec import Spec

    facts = home.read(home.run.environment)
    if facts and home.run.spec.is_file():
        further = max(0, int(job["trials"]) - int(facts.get("trials", 0)))
        finished = resume(home.run.path, add_trials=further, address=job["address"])
    else:
        if home.run.path.exists():  # a process that was killed before the first trial
            shutil.rmtree(home.run.path)
        keys = {**job["spec"], "trials": job["trials"], "address": job["address"], "out": home.run.path}
        finished = run(Spec(**keys))
    ended = str(finished.environment["ended"])
    return {"code": 130 if ended == "interrupted" else 0, "ended": ended, "sentence": ""}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
