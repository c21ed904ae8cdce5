"""The queue: what is wished of a search, and what is done about it.

    queued -> starting -> running -> ended -> queued (resumed, extended)     queued | ended -> deleting -> gone

A wish is written and answered at once; `tick` does the work, again and again, from what the database and the folders
say and nothing else. So the service may be killed between any two lines of this file.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from leni.errors import SpecError
from results.text import readable
from search.service.home import Home
from search.service.launch import Launcher
from search.service.settings import Settings
from search.service.specs import accept
from search.service.store import ACTIVE, Search, Store

__all__ = ["Conflict", "Queue"]

log = logging.getLogger("leni_search.service.queue")
ATTEMPTS = 20  # at a change that others make too


class Conflict(Exception):
    """A wish that does not fit the state that a search is in."""


class Queue:
    """Searches in their order, at most `settings.at_once` of them running.

    Args:
        store: what is known.
        settings: limits.
        launcher: where processes are started.

    Attributes:
        folder: of all searches, a folder each.
    """

    def __init__(self, store: Store, settings: Settings, launcher: Launcher) -> None:
        self.store, self.settings, self.launcher = store, settings, launcher
        self.folder = settings.folder / "searches"
        self.ticked_at = time.monotonic()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._cancelled: dict[str, float] = {}
        self._not_before = 0.0
        self._waits_for = ""

    def home(self, search_id: str) -> Home:
        """A search's folder; its name is the service's own, never a sender's."""
        return Home(self.folder / search_id)

    def make_folder(self) -> None:
        """Make the folder of all searches, but not in the place of one that is missing."""
        if not self.store.begun():
            self.folder.mkdir(parents=True, exist_ok=True)

    def submit(
        self, keys: Mapping[str, Any], *, name: str = "", owner: str = "", key: str | None = None, priority: int = 0
    ) -> tuple[Search, bool]:
        """Queue a search; a second time under the same key, nothing but find it.

        Returns:
            The search, and whether it is new.

        Raises:
            LeniSearchError: the spec is not possible, or not allowed.
            Conflict: the key has been used for another search.
        """
        spec = accept(keys, self.settings)
        given = {key: value for key, value in keys.items() if value is not None}
        if spec.data_folder is not None:
            given["data_folder"] = str(spec.data_folder)  # as it was checked, links followed
        search, new = self.store.add(spec=given, trials=spec.trials, name=name, owner=owner, key=key, priority=priority)
        if not new and (search.spec, search.name, search.priority) != (given, name, priority):
            raise Conflict(f"this key has been used for another search, {search.id}: give each search a key of its own")
        self._wake.set()
        return search, new

    def cancel(self, search_id: str) -> Search | None:
        """End a search: one that is queued at once, one that runs as Ctrl-C does. None where there is none."""

        def wish(search: Search) -> dict[str, Any]:
            if search.state == "queued":
                outcome = {"outcome": "cancelled", "note": "", "ended_at": time.time()}
                return {"state": "ended", **outcome}
            return {"cancel": True} if search.state in ACTIVE and not search.cancel else {}

        return self._wish(search_id, wish)

    def resume(self, search_id: str, *, add_trials: int = 0) -> Search | None:
        """Queue a search that has ended once more, to continue where it was, perhaps with more trials.

        Raises:
            Conflict: it has not ended, or ended complete and no trials are added.
            SpecError: more trials than this service runs.
        """

        def wish(search: Search) -> dict[str, Any]:
            if search.state != "ended":
                raise Conflict(f"search {search.id} is {search.state}: only one that has ended can continue")
            if not add_trials and search.outcome in ("complete", "exhausted"):
                raise Conflict(f"search {search.id} is complete: extend it by some trials")
            trials = search.trials + add_trials
            if trials > self.settings.trials:
                raise SpecError(
                    f"trials must be at most {self.settings.trials:,} on this service, got {trials:,}",
                    code="LS-SERVICE-NOT-ALLOWED",
                )
            return {
                "state": "queued", "outcome": "", "note": "", "trials": trials, "cancel": False, "losses": 0,
                "ended_at": None,
            }  # fmt: skip

        return self._wish(search_id, wish)

    def delete(self, search_id: str) -> Search | None:
        """Remove a search and its folder.

        Raises:
            Conflict: it is running.
        """

        def wish(search: Search) -> dict[str, Any]:
            if search.state in ACTIVE:
                raise Conflict(f"search {search.id} is {search.state}: cancel it first")
            return {"state": "deleting"} if search.state != "deleting" else {}

        return self._wish(search_id, wish)

    def _wish(self, search_id: str, wish: Callable[[Search], dict[str, Any]]) -> Search | None:
        """Change a search by what is wished of it as it is; read again where somebody else was faster."""
        for _ in range(ATTEMPTS):
            search = self.store.get(search_id)
            if search is None:
                return None
            values = wish(search)
            changed = self.store.change(search, **values) if values else search
            if changed is not None:
                self._wake.set()
                return changed
        raise Conflict(f"search {search_id} is being changed by many at once: try again")

    def work(self) -> None:
        """Tick until `stop`; whatever goes wrong once is tried again."""
        while not self._stop.is_set():
            try:
                self.tick()
                self.ticked_at, self._waits_for = time.monotonic(), ""
            except (SQLAlchemyError, OSError) as error:
                reason = " ".join(str(error).split())[:300]
                if reason != self._waits_for:
                    log.warning("the queue waits", extra={"error": reason})
                self._waits_for = reason
            self._wake.wait(self.settings.poll_s)
            self._wake.clear()

    def stop(self) -> None:
        """Stop looking; running searches continue."""
        self._stop.set()
        self._wake.set()

    def tick(self) -> None:
        """Look at everything that is not at rest, then start what there is room for.

        Raises:
            SQLAlchemyError: the database does not answer.
            OSError: the folder of the searches is not there, so that nothing can be said of any of them.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(f"the folder of the searches is not where it was: {self.folder}")
        for search in self.store.in_state("deleting"):
            shutil.rmtree(self.home(search.id).path, ignore_errors=True)
            if not self.home(search.id).path.exists():
                self.store.remove(search)
        active = [self._look(search) for search in self.store.in_state(*ACTIVE)]
        room = self.settings.at_once - sum(active)
        while room > 0 and time.monotonic() >= self._not_before:
            following = self.store.next_queued()
            if following is None:
                return
            chosen = self.store.change(following, state="starting", attempt=following.attempt + 1, note="")
            if chosen is not None:
                self._launch(chosen)
                room -= 1

    def _launch(self, search: Search) -> None:
        """Start the process of a search that is starting, which may have been done already."""
        home = self.home(search.id)
        try:
            home.path.mkdir(exist_ok=True)
            if not search.cancel:
                home.cancel.unlink(missing_ok=True)
            if home.read(home.job).get("attempt") != search.attempt:
                address = "auto" if self.settings.address else None
                job = {"attempt": search.attempt, "spec": search.spec, "trials": search.trials, "address": address}
                home.write(home.job, job)
            self.launcher.launch(search, home)
        except OSError as error:
            self._not_before = time.monotonic() + 10 * self.settings.poll_s
            reason = error.strerror or str(error)
            note = f"it cannot start yet: {reason}; it is tried again"
            if search.note != note:
                log.warning("cannot start", extra={"search": search.id, "error": reason})
                self.store.change(search, note=note)
            return
        started = search.started_at or time.time()
        self.store.change(search, state="running", started_at=started, note="")
        log.info("started", extra={"search": search.id, "attempt": search.attempt})

    def _look(self, search: Search) -> bool:
        """See how an active search is doing, and write down what has changed; whether it still takes a place."""
        home = self.home(search.id)
        alive = self.launcher.alive(search, home)
        if alive is None:
            note = "where it runs does not answer; it is asked again"
            if search.note != note:
                self.store.change(search, note=note)
            return True
        if alive:
            if search.state == "starting" or search.note:
                self.store.change(search, state="running", started_at=search.started_at or time.time(), note="")
            elif search.cancel:
                self._see_to_its_end(search, home)
            return True
        end = home.read(home.end)
        if end.get("attempt") == search.attempt:
            return self._ended(search, end)
        if search.state == "starting" and home.read(home.process).get("attempt") != search.attempt:
            if time.monotonic() >= self._not_before:
                self._launch(search)  # whoever wanted to start it was killed before, or could not
            return True
        return self._lost(search, home)

    def _see_to_its_end(self, search: Search, home: Home) -> None:
        """Tell a process to end; later, end it."""
        home.cancel.touch()
        since = self._cancelled.setdefault(search.id, time.monotonic())
        if time.monotonic() - since > self.settings.cancel_s:
            log.warning("killed", extra={"search": search.id})
            self.launcher.kill(search, home)

    def _ended(self, search: Search, end: Mapping[str, Any]) -> bool:
        """A process that has said how it ended."""
        outcome = str(end.get("ended", "failed"))
        if outcome == "interrupted" and not search.cancel:
            return self._lost(search, self.home(search.id))
        if outcome == "interrupted":
            outcome = "cancelled"
        said = readable(str(end.get("sentence", "")), 2000)  # a process may quote any text
        values = {"outcome": readable(outcome)[:20], "note": said, "losses": 0}
        self._rest(search, values)
        return False

    def _lost(self, search: Search, home: Home) -> bool:
        """A process that ended without a result: it or its machine was killed. The search is continued a few times."""
        said = home.last_line()
        if search.cancel:
            self._rest(search, {"outcome": "cancelled", "note": ""})
        elif search.losses >= self.settings.restarts:
            words = f"; the last thing it said was: {said[:300]}" if said else ""
            note = f"its process died {search.losses + 1} times without a result{words}"
            self._rest(search, {"outcome": "lost", "note": note})
        else:
            log.warning("lost", extra={"search": search.id, "attempt": search.attempt, "said": said[:300]})
            note = "its process died; it continues where it was"
            self.store.change(search, state="queued", losses=search.losses + 1, note=note)
        return False

    def _rest(self, search: Search, values: Mapping[str, Any]) -> None:
        self._cancelled.pop(search.id, None)
        changed = self.store.change(search, state="ended", ended_at=time.time(), cancel=False, **values)
        if changed is not None:
            log.info("ended", extra={"search": search.id, "outcome": values["outcome"]})
