"""Known costs of candidates, exact or, where counting takes long, estimated.

A table's cost is looked up in a microsecond; a network's parameters and multiply-adds take tens of milliseconds, too
long for the thousands of candidates of an ask. Then a Gaussian process estimates the costs from those that were
counted, and only the few candidates that look best are counted before one of them is chosen. A candidate that is asked
for was always counted; the cost of a trial is taken from its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.history import Key, key_of
from search.decide.known_cost.pool import Pool, boxed
from search.decide.known_cost.surrogate import GaussianProcess

__all__ = ["CostCounter"]

Array = NDArray[np.float64]
Parameters = Mapping[str, Any]
Counted = tuple[float, ...] | None
REMEMBERED = 200  # counted candidates that an estimate is made from, the latest
FIRST = 16  # that are counted before anything is estimated
REFIT = 1.3  # the estimate's weights are fitted again when there are so many times as many
ROUNDS = 10  # of counting, at most, where the best candidates turn out to be impossible


class CostCounter:
    """Counts and estimates.

    Args:
        costs: functions of a trial's parameters; NaN for an impossible candidate.
        feasible: says which candidates are allowed; None for all.
        most: candidates that are counted at most in each of an ask's rounds; None for counting every one.
    """

    def __init__(
        self,
        costs: Sequence[Callable[[Parameters], float]],
        feasible: Callable[[Parameters], bool] | None,
        most: int | None,
    ) -> None:
        self.costs, self.feasible = costs, feasible
        self.most = most if costs else None
        self.encoder = Encoder({})
        self.book: dict[Key, tuple[Parameters, Counted]] = {}
        self.weights: dict[int, tuple[Any, int]] = {}

    def count(self, parameters: Parameters) -> Counted:
        """The exact costs; None where the candidate is impossible."""
        if self.most is None:
            return self._count(parameters)
        key = key_of(parameters)
        if key not in self.book:
            self._note(key, parameters, self._count(parameters))
        return self.book[key][1]

    def _count(self, parameters: Parameters) -> Counted:
        values = tuple(float(cost(parameters)) for cost in self.costs)
        return None if any(value != value for value in values) else values

    def _note(self, key: Key, parameters: Parameters, counted: Counted) -> None:
        """Remember, and forget the oldest."""
        self.book[key] = (parameters, counted)
        if len(self.book) > 2 * REMEMBERED:
            self.book = dict(list(self.book.items())[-REMEMBERED:])

    def see(self, parameters: Parameters, values: Iterable[float]) -> None:
        """Take the costs of an observed trial for counted."""
        if self.most is not None:
            self._note(key_of(parameters), parameters, tuple(map(float, values)))

    def pool(self, parameters: Sequence[Parameters], *, exact: bool = False, columns: Array | None = None) -> Pool:
        """A pool of those candidates that are possible, as far as is known, and allowed.

        Args:
            parameters: of the candidates.
            exact: whether all of them are counted.
            columns: as the encoder gives them, where they are known.
        """
        counting = exact or self.most is None
        found = [self._allowed(one, counting=counting) for one in parameters]
        rows = [row for row, counted in enumerate(found) if counted is not None]
        kept = [(parameters[row], found[row]) for row in rows]
        columns = self.encoder.encode([one for one, _ in kept]) if columns is None else columns[rows]
        told = np.array([counted != () or not self.costs for _, counted in kept], dtype=bool)
        values = np.zeros((len(kept), len(self.costs)))
        values[told] = [counted for _, counted in kept if counted or not self.costs] or np.zeros((0, len(self.costs)))
        return self.estimated(Pool(boxed([one for one, _ in kept]), columns, values, told))

    def _allowed(self, parameters: Parameters, *, counting: bool) -> Counted:
        """What is known of a candidate's costs, () for nothing; None where it is impossible or not allowed."""
        if self.feasible is not None and not self.feasible(parameters):
            return None
        return self.count(parameters) if counting else self.book.get(key_of(parameters), (parameters, ()))[1]

    def estimated(self, pool: Pool) -> Pool:
        """The pool with estimates where nothing was counted."""
        unknown = ~pool.exact
        if not unknown.any():
            return pool
        counted = [(one, values) for one, values in self.book.values() if values is not None]
        if len(counted) < 2:  # nothing to go by: all alike
            level = np.array(counted[0][1] if counted else [1.0] * len(self.costs))
            return Pool(pool.parameters, pool.columns, np.where(pool.exact[:, None], pool.costs, level), pool.exact)
        counted = counted[-REMEMBERED:]
        columns = self.encoder.encode([one for one, _ in counted])
        values = np.array([value for _, value in counted], dtype=np.float64)
        costs = pool.costs.copy()
        for cost in range(len(self.costs)):
            costs[unknown, cost] = self._estimate(cost, columns, values[:, cost], pool.columns[unknown])
        return Pool(pool.parameters, pool.columns, costs, pool.exact)

    def _estimate(self, cost: int, columns: Array, values: Array, asked: Array) -> Array:
        """One cost at new points, of its logarithm where all are positive, within what was counted."""
        logarithmic = bool((values > 0).all())
        scaled = np.log(values) if logarithmic else values
        centre, spread = scaled.mean(), scaled.std() or 1.0
        standard, none = (scaled - centre) / spread, np.zeros(len(values))
        process = GaussianProcess(self.encoder.components, parameters=len(self.encoder.columns))
        state, fitted = self.weights.get(cost, (process.state, 0))
        if len(state) == len(process.state):
            process.state = state
        if len(values) >= REFIT * fitted:
            process.fit(columns, standard, none)
            self.weights[cost] = (process.state, len(values))
        mean = process.condition(columns, standard, none, replicated=True).mean(asked)
        found = np.clip(mean, standard.min() - 1.0, standard.max() + 1.0) * spread + centre
        return np.asarray(np.exp(found) if logarithmic else found)

    def prepare(self, pool: Pool, generator: np.random.Generator) -> Pool:
        """Count some candidates where hardly any are, so that there is something to estimate from."""
        if self.most is None or not len(pool) or len(self.book) >= FIRST:
            return pool
        for row in generator.permutation(len(pool))[: FIRST - len(self.book)]:
            self.count(pool.parameters[row])
        return self.pool(list(pool.parameters), columns=pool.columns)

    def best(self, pool: Pool, values: Array, improvement: Callable[[Pool], Array]) -> Parameters | None:
        """The candidate of the largest value, by its exact costs; None where all that were counted are impossible.

        Args:
            pool: candidates.
            values: (n,), from the costs that the pool has.
            improvement: of a pool, its values.
        """
        if self.most is None or not len(pool):
            return pool.parameters[int(np.argmax(values))] if len(pool) else None
        order = np.argsort(-values, kind="stable")
        for turn in range(ROUNDS):
            top = [pool.parameters[row] for row in order[turn * self.most : (turn + 1) * self.most]]
            counted = self.pool(top, exact=True)
            if len(counted):
                return counted.parameters[int(np.argmax(improvement(counted)))]
        return None
