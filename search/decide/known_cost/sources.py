"""Where the candidates of an ask come from: the listed space, or proposals where it cannot be listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from search.decide.known_cost.counting import CostCounter
from search.decide.known_cost.history import History, Key, key_of
from search.decide.known_cost.models import MODELLED, Models
from search.decide.known_cost.pool import Pool
from search.decide.known_cost.proposals import Conditions, closer, propose

__all__ = ["Candidates"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
WORK = 1.5e8  # candidates times modelled observations squared times uncertain objectives, at most, of one ask
FEWEST, MOST = 800, 16_000  # candidates of one ask where the space is listed, whatever WORK says
DRAWN = 600  # candidates of one ask where the space is not listed
ROUNDS = (0.1, 0.03, 0.01)  # steps of drawing closer to the best of them
CLOSER = 160  # candidates of each round
BEST = 8  # that are drawn closer to
LEARNED = 1.1  # conditions are learned again when there are so many times as many trials


class Candidates:
    """The candidates of one space.

    Args:
        space: distributions of the parameters.
        listed: parameters of every candidate there is; None where they are not listed.
        counter: of the known costs.
        generator: of the randomness.
        conditions: when parameters exist; None where that is learned from the trials.
    """

    def __init__(
        self,
        space: Mapping[str, BaseDistribution],
        listed: Sequence[Parameters] | None,
        counter: CostCounter,
        generator: np.random.Generator,
        *,
        conditions: Conditions | None = None,
    ) -> None:
        self.space, self.counter, self.generator = space, counter, generator
        self.given = conditions is not None
        self.conditions, self.learned = conditions or Conditions(), 0
        self.listed: Pool | None = None
        self.rows: dict[Key, int] = {}
        if listed is not None:
            self.listed = counter.pool(listed)
            self.rows = {key_of(one): row for row, one in enumerate(self.listed.parameters)}
            self.codes = _codes(list(self.listed.parameters), list(space))
            self.free, self.read = np.ones(len(self.listed), dtype=bool), 0

    def of(self, history: History, good: Sequence[Parameters]) -> Pool:
        """Candidates that no trial has begun; all of them where every one was tried.

        Args:
            history: what was tried.
            good: trials whose neighbours are to be among them.
        """
        if self.listed is None:
            return self.counter.pool(self._untried(self._proposed(history, good), history))
        uncertain = max(1, len(history.signs) - len(self.counter.costs))
        modelled = min(MODELLED, max(1, history.begun))
        limit = int(np.clip(WORK / modelled**2 / uncertain, FEWEST, MOST))
        rows = self._free_rows(history)
        if len(rows) > limit:
            near = self._near(good, rows)[: limit // 2]
            rows = np.union1d(near, self.generator.choice(rows, limit - len(near), replace=False))
        if self.listed.exact.all():
            return self.listed.take(rows)
        return self.counter.pool(list(self.listed.parameters[rows]), columns=self.listed.columns[rows])

    def _proposed(self, history: History, good: Sequence[Parameters]) -> list[dict[str, Any]]:
        """Random ones, and some near the good ones."""
        seen = [one.parameters for one in history.observations]
        if not self.given and self.learned * LEARNED <= len(seen):
            self.learned = max(1, len(seen))
            self.conditions = Conditions.learn(seen, self.space)
        known = seen[-DRAWN:]
        return propose(self.space, self.conditions, good, known, count=DRAWN, generator=self.generator)

    def _untried(self, made: Sequence[Parameters], history: History) -> list[Parameters]:
        begun = history.begun_keys()
        fresh = {key: one for one in made if (key := key_of(one)) not in begun}
        return list(fresh.values()) or list(made)

    def searched(self, pool: Pool, values: Array, history: History, models: Models) -> tuple[Pool, Array]:
        """The pool and its values after a local search around the best; a listed space needs none."""
        if self.listed is not None or not len(pool):
            return pool, values
        for step in ROUNDS:
            top = [pool.parameters[row] for row in np.argsort(-values, kind="stable")[:BEST]]
            made = closer(self.space, self.conditions, top, count=CLOSER, step=step, generator=self.generator)
            fresh = self.counter.pool(self._untried(made, history))
            if len(fresh):
                pool, values = pool.joined(fresh), np.concatenate([values, models.improvement(fresh)])
        return pool, values

    def _free_rows(self, history: History) -> NDArray[np.intp]:
        """Which of the listed candidates no trial has begun; all of them where every one was tried."""
        ended = islice(history.tried, self.read, None)
        self.free[[row for key in ended if (row := self.rows.get(key)) is not None]] = False
        self.read = len(history.tried)
        free = self.free.copy()
        free[[row for one in history.running if (row := self.rows.get(key_of(one))) is not None]] = False
        return np.flatnonzero(free) if free.any() else np.arange(len(free))

    def _near(self, good: Sequence[Parameters], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Which of the listed rows differ from a good trial in one parameter at most; in the order of the good ones."""
        found: list[NDArray[np.intp]] = []
        codes = self.codes[rows]
        for one in good:
            if (row := self.rows.get(key_of(one))) is not None:
                found.append(rows[np.count_nonzero(codes != self.codes[row], axis=1) <= 1])
        return np.array(list(dict.fromkeys(np.concatenate(found).tolist())), dtype=np.intp) if found else rows[:0]


def _codes(parameters: Sequence[Parameters], names: Sequence[str]) -> NDArray[np.int32]:
    """Parameters as whole numbers (n, names), equal where the values are."""
    codes = np.zeros((len(parameters), len(names)), dtype=np.int32)
    for column, name in enumerate(names):
        places: dict[Any, int] = {}
        codes[:, column] = [places.setdefault(one.get(name, _codes), len(places)) for one in parameters]
    return codes
