"""Ray Tune's Searcher around ask, study and tell: it translates, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from search.decide.asker import Asked, Asker
from search.study import Outcome, StudyStore
from spaces import Candidate, Cost

__all__ = ["Observer", "StudySearcher", "TrialErrors"]


class Observer(Protocol):
    """Who watches a run: progress on a terminal, records on disk."""

    def begun(self, number: int, candidate: Candidate) -> None:
        """A trial begins."""

    def reported(self, number: int, epoch: Mapping[str, Any]) -> None:
        """A trial has come one epoch further."""

    def ended(self, number: int, candidate: Candidate, cost: Cost, outcome: Outcome) -> None:
        """A trial is over."""


@dataclass
class Live:
    """A trial that is running."""

    number: int
    asked: Asked
    cost: Cost
    curve: list[Mapping[str, Any]] = field(default_factory=list)


class StudySearcher(Searcher):
    """Gives Tune the candidates that `asker` asks for, and writes each trial to `store` as it begins and as it ends.

    Args:
        asker: decides.
        store: remembers.
        cost: of a candidate.
        trials: how many to begin.
        slots: how many run at once; no candidate is asked for before there is a slot to train it.
        observers: who is told.
    """

    def __init__(
        self,
        asker: Asker,
        store: StudyStore,
        *,
        cost: Callable[[Candidate], Cost],
        trials: int,
        slots: int,
        observers: list[Observer],
    ) -> None:
        super().__init__(metric="accuracy", mode="max")
        self.asker, self.store, self.cost = asker, store, cost
        self.left, self.slots, self.observers = trials, slots, observers
        self.live: dict[str, Live] = {}
        self.exhausted = False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config; None while every slot is taken; FINISHED at the end."""
        if self.left == 0 or self.exhausted:
            return Searcher.FINISHED
        if len(self.live) >= self.slots:
            return None
        asked = self.asker.ask()
        if asked is None:
            self.exhausted = True
            return Searcher.FINISHED
        cost = self.cost(asked.candidate)
        number = self.store.begin(asked.candidate, vars(cost), asked.parameters, asked.distributions)
        self.live[trial_id] = Live(number, asked, cost)
        self.left -= 1
        for observer in self.observers:
            observer.begun(number, asked.candidate)
        return {"number": number, "candidate": asked.candidate.to_dict()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the new part of the learning curve."""
        self._learn(self.live.get(trial_id), result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial is over. One that crashed waits for `crashed`, which knows why."""
        live = self.live.get(trial_id)
        if live is None or error:
            return
        result = result or {}
        self._learn(live, result)
        if "metrics" in result:
            self._end(trial_id, Outcome("completed", dict(result["metrics"]), live.curve))
        elif result.get("error"):
            self._end(trial_id, Outcome("failed", {"epochs": len(live.curve)}, live.curve, result["error"]))
        else:
            self._end(trial_id, Outcome("stopped", {"epochs": len(live.curve)}, live.curve))

    def crashed(self, trial_id: str, reason: str) -> None:
        """A trial's process has died, for this reason."""
        if trial_id in self.live:
            curve = self.live[trial_id].curve
            self._end(trial_id, Outcome("failed", {"epochs": len(curve)}, curve, reason))

    def _learn(self, live: Live | None, result: Mapping[str, Any]) -> None:
        if live is None:
            return
        for point in result.get("curve", ()):
            if len(live.curve) < point["epoch"]:  # a last result reaches us twice
                live.curve.append(point)
                for observer in self.observers:
                    observer.reported(live.number, point)

    def _end(self, trial_id: str, outcome: Outcome) -> None:
        live = self.live.pop(trial_id)
        values = None
        if outcome.state == "completed":
            known = {**vars(live.cost), **outcome.metrics}
            values = [float(known[name]) for name in self.store.objectives]
        self.store.end(live.number, outcome)
        self.asker.tell(live.asked, values)
        for observer in self.observers:
            observer.ended(live.number, live.asked.candidate, live.cost, outcome)

    def save(self, checkpoint_path: str) -> None:
        """Tune keeps no state of ours: the study is the one truth."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """See `save`: Tune pickles its parts before it starts."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """See `save`."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `save`."""


class TrialErrors(Callback):
    """Tells the searcher why a trial's process died; Tune itself only tells it that one did."""

    def __init__(self, searcher: StudySearcher) -> None:
        self.searcher = searcher

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Called by Tune after the searcher's `on_trial_complete`."""
        error = trial.get_pickled_error()
        lines = str(error).strip().splitlines() or ["no message"]
        self.searcher.crashed(trial.trial_id, f"the trial's process ended: {lines[0]}"[:500])
