"""A run's folder: the names of its files, and writing them so that none is ever half there."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leni.errors import FolderError
from results.files import put_in_place, replace_file
from search.store.checkpoints import below
from search.store.locks import LocksMissing, try_lock
from search.store.secrets import masked_command
from search.store.user_path import user_path

__all__ = ["RunFolder", "environment", "next_free", "take_next", "write_environment", "write_text"]

PACKAGES = ("leni-search", "torch", "torchvision", "ray", "optuna", "numpy", "pandas")


@dataclass(frozen=True)
class RunFacts:
    """What a run is continued by.

    Attributes:
        trials: that were asked for; 0 where that is not said.
        study: its name in the database; None for the usual one.
        notes: what its readers should know.
    """

    trials: int
    study: str | None
    notes: tuple[str, ...]


class RunFolder:
    """The files of one run.

    spec.toml         what was asked for
    environment.json  versions, git revision, hardware, seed, objectives
    study.db          Optuna's storage, the one truth about trials
    trials.parquet    records, written from study.db
    curves.parquet    learning curves, likewise
    front.csv         the front
    front.html, .png  its figure
    checkpoints/      states of unfinished trainings, one file per trial
    sampler.json      where the sampler's random numbers stand
    run.log           what a reader of the results should know: what could not be read, what was begun anew
    driver.lock       held by the one process that drives the run
    ray/              Ray Tune's own files
    logs/             what a user's function printed, one file per trial
    weights/          trained networks, one file per trial, where the spec asks for them
    confirm/          the front trained again, a run of its own; confirmed.csv has what came of it
    ablation/         an ablation study: a run for each recipe, and ablation.csv, .md, .tex, .html, .png
    exports/          networks that were exported
    report.html       the report
    """

    def __init__(self, path: str | Path) -> None:
        self.path = user_path(path)
        self.spec = self.path / "spec.toml"
        self.environment = self.path / "environment.json"
        self.study = self.path / "study.db"
        self.trials = self.path / "trials.parquet"
        self.curves = self.path / "curves.parquet"
        self.front = self.path / "front.csv"
        self.figures = (self.path / "front.html", self.path / "front.png")
        self.checkpoints = self.path / "checkpoints"
        self.sampler = self.path / "sampler.json"
        self.log = self.path / "run.log"
        self.lock = self.path / "driver.lock"
        self.ray = self.path / "ray"
        self.weights = self.path / "weights"
        self.logs = self.path / "logs"
        self.confirm = self.path / "confirm"
        self.confirmed = self.path / "confirmed.csv"
        self.ablation = self.path / "ablation"
        self.exports = self.path / "exports"
        self.report = self.path / "report.html"

    def weights_address(self, checkpoints: str | None) -> str:
        """Where trained networks are kept: beside the states of trainings, where those have an address of their own."""
        return below(checkpoints, "weights") if checkpoints else str(self.weights)

    def output(self, number: int) -> Path:
        """The file with what a trial's function printed."""
        return self.logs / f"{number:06d}.log"

    def check_free(self) -> None:
        """Refuse a folder that a new run would mix with what is there.

        Raises:
            FolderError: it holds a run or other files, or is a file, or cannot be written.
        """
        try:
            parent = self._nearest()
        except OSError as error:  # a name that is too long, or a folder above that may not be entered
            raise FolderError(f"{self.path} cannot be looked at: {error.strerror}", code="LS-FOLDER-WRITE") from None
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise FolderError(
                f"{self.path} cannot be made: {parent} is not a folder that can be written", code="LS-FOLDER-WRITE"
            )

    def _nearest(self) -> Path:
        """The folder itself where it is there and empty, else the nearest above it that is there."""
        if self.path.is_dir():
            if self.study.exists() or self.spec.exists():
                raise FolderError(
                    f"{self.path} already holds a run; give another folder with --out", code="LS-FOLDER-TAKEN"
                )
            if any(self.path.iterdir()):
                raise FolderError(f"{self.path} is not empty; give a new folder with --out", code="LS-FOLDER-TAKEN")
        elif self.path.exists():
            raise FolderError(f"{self.path} is a file; give a folder with --out", code="LS-FOLDER-TAKEN")
        return next(part for part in (self.path, *self.path.parents) if part.exists())

    def check_run(self) -> None:
        """Refuse a folder that holds no run to continue.

        Raises:
            FolderError: it is missing, holds no spec, or cannot be written.
        """
        if not self.path.is_dir():
            raise FolderError(f"{self.path} is not a folder: give the folder of a run", code="LS-FOLDER-NO-RUN")
        if not self.spec.is_file() or not self.environment.is_file():
            raise FolderError(
                f"{self.path} holds no run: it has no spec.toml with an environment.json beside it",
                code="LS-FOLDER-NO-RUN",
            )
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise FolderError(f"{self.path} cannot be written", code="LS-FOLDER-WRITE")
        self.check_links()

    def check_links(self) -> None:
        """Refuse a folder in which one of our names leads elsewhere: what is written would change other files.

        Raises:
            FolderError: there is such a link, or a pipe or device, at which reading would wait forever.
        """
        for path in vars(self).values():
            if not isinstance(path, Path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(self.path):
                raise FolderError(
                    f"{path} is a link out of the folder: put what it leads to in its place", code="LS-FOLDER-LINK"
                )
            if path.exists() and not path.is_file() and not path.is_dir():
                raise FolderError(f"{path} is neither a file nor a folder", code="LS-FOLDER-DAMAGED")

    def facts(self) -> RunFacts:
        """What environment.json says of how the run is continued.

        Raises:
            FolderError: it cannot be read, or says what no run writes.
        """
        try:
            found = json.loads(self.environment.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise FolderError(f"{self.environment} cannot be read: {error}", code="LS-FOLDER-DAMAGED") from None
        found = found if isinstance(found, dict) else {"trials": None}
        trials, study, notes = found.get("trials", 0), found.get("study"), found.get("notes") or []
        if type(trials) is not int or trials < 0 or not isinstance(study, str | None) or not isinstance(notes, list):
            raise FolderError(
                f"{self.environment} is not what a run writes: trials is a count, study a text",
                code="LS-FOLDER-DAMAGED",
            )
        return RunFacts(trials, study, tuple(map(str, notes)))

    @contextmanager
    def driven(self, *, lock: bool = True) -> Iterator[None]:
        """Be the one process that drives this run, for the length of a block; a process that dies lets go.

        Args:
            lock: whether the folder is locked; without, nothing keeps another process out.

        Raises:
            FolderError: another one drives it, or the file system has no locks.
        """
        with self.lock.open("a+", encoding="utf-8") as stream:
            try:
                free = not lock or try_lock(stream)
            except LocksMissing as error:
                with contextlib.suppress(OSError):  # a new run's folder, which holds nothing else
                    self.lock.unlink()
                    self.path.rmdir()
                raise LocksMissing(
                    f"{error}, so nothing would keep a second process from driving this run: "
                    "add --no-lock (lock = false in a spec) where there is none, or give another folder"
                ) from None
            if not free:
                stream.seek(0)
                who = stream.read().strip() or "another process"
                raise FolderError(
                    f"{self.path} is being driven by {who}; wait for its end, or stop it", code="LS-FOLDER-BUSY"
                )
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            stream.flush()
            yield

    def keep_sampler(self, state: bytes) -> None:
        """Keep the sampler's state; after every answer, so without waiting for the disk."""
        draft = self.sampler.with_suffix(".part")
        with contextlib.suppress(OSError):  # on a full disk a resumed run draws other random numbers, no more
            draft.write_bytes(state)
            put_in_place(draft, self.sampler)

    def sampler_state(self) -> bytes | None:
        """What `keep_sampler` kept last; None where there is nothing that can be read."""
        try:
            return self.sampler.read_bytes()
        except OSError:
            return None

    def write_log(self, text: str) -> None:
        """Add a line to the run's log, with the time."""
        line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n"
        # On a full disk the line is still on the screen.
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(line)

    def create(self) -> bool:
        """Make the folder; whether it is new, and not an empty one that was there.

        Raises:
            FolderError: as `check_free`, or the file system refuses.
        """
        self.check_free()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir()
        except FileExistsError:
            return False
        except OSError as error:
            raise FolderError(f"{self.path} cannot be made: {error.strerror}", code="LS-FOLDER-WRITE") from None
        return True

    @contextmanager
    def begun(self, *, new: bool) -> Iterator[None]:
        """Begin a run in the folder, which this process has created and drives; nothing stays where that fails.

        Args:
            new: whether the folder itself goes too.

        Raises:
            FolderError: another process has begun a run here since `create`.
        """
        if self.study.exists() or self.spec.exists():
            raise FolderError(
                f"{self.path} already holds a run; give another folder with --out", code="LS-FOLDER-TAKEN"
            )
        try:
            yield
        except BaseException:
            for path in list(self.path.iterdir()):
                with contextlib.suppress(OSError):
                    path.unlink()
            if new:
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            raise


def next_free(parent: Path, stem: str) -> Path:
    """The first of `parent/stem-001`, `-002`, ... that does not exist; another process may take it."""
    return next(path for path in _numbered(parent, stem) if not os.path.lexists(path))


def take_next(parent: Path, stem: str) -> Path:
    """Make the first folder of `parent/stem-001`, `-002`, ... that nobody else has, and be its owner.

    Raises:
        FolderError: the file system refuses.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for path in _numbered(parent, stem):
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise FolderError(
            f"{parent.absolute()} cannot hold a new folder: {error.strerror}", code="LS-FOLDER-WRITE"
        ) from None
    raise AssertionError("numbers do not end")


def _numbered(parent: Path, stem: str) -> Iterator[Path]:
    return (parent / f"{stem}-{number:03d}" for number in itertools.count(1))


def environment(**facts: Any) -> Mapping[str, Any]:
    """What a run's numbers depend on, for environment.json.

    Args:
        facts: what the run adds: seed, objectives, data, usable CPUs.
    """
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "versions": versions,
        "git_revision": _git_revision(),
        "command": masked_command(sys.argv),
        **facts,
    }


def _git_revision() -> str | None:
    """The revision of this package's checkout, None outside one."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    replace_file(path, text.encode())


def write_environment(path: Path, facts: Mapping[str, Any]) -> None:
    """Write environment.json."""
    write_text(path, json.dumps(facts, indent=2, default=str) + "\n")
