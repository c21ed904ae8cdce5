"""A search's folder in the service: the run's folder, and around it what its process is told and says."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results.files import replace_file
from results.text import readable
from search.store.folder import RunFolder
from search.store.locks import try_lock

__all__ = ["Home"]


class Home:
    """The files of one search.

    job.json      what its process is to do: the spec, how many trials in all, which attempt this is
    alive.lock    locked as long as the process lives, from before its first instruction
    process.json  its number and its machine
    cancel        is there when it is to end
    end.json      how it ended, written last
    log.txt       what all its processes said
    run/          the run's folder, as `leni-search run` makes it
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.job = self.path / "job.json"
        self.lock = self.path / "alive.lock"
        self.process = self.path / "process.json"
        self.cancel = self.path / "cancel"
        self.end = self.path / "end.json"
        self.log = self.path / "log.txt"
        self.run = RunFolder(self.path / "run")

    def alive(self) -> bool:
        """Whether a process holds the lock. The kernel lets go of it when the last one dies, however it dies."""
        try:
            with self.lock.open("rb") as stream:
                return not try_lock(stream, shared=True)
        except FileNotFoundError:
            return False

    def read(self, path: Path) -> dict[str, Any]:
        """One of the JSON files; {} where it is missing or not whole."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def write(self, path: Path, values: Mapping[str, Any]) -> None:
        """One of the JSON files, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        replace_file(path, (json.dumps(values, indent=1) + "\n").encode())

    def last_line(self) -> str:
        """The last line of the log that says something; "" where there is none."""
        with contextlib.suppress(OSError), self.log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 4096))
            lines = [line.strip() for line in readable(stream.read().decode(errors="replace")).splitlines()]
            return next((line for line in reversed(lines) if line), "")
        return ""
