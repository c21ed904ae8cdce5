"""Ridge regression that judges itself by its leave-one-out error, and chooses by it what it looks at.

The error that a regression makes on a training which it has not seen follows in closed form from its residuals and
leverages. The mean square of these errors (PRESS) says how much a column tells: it falls where the column helps on
further trainings, and rises where it fits noise. So nothing is assumed of how informative a reading or a part of the
recipe is.

Source: Allen 1974 (PRESS); Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., 7.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Group", "Ridge", "forward"]

Array = NDArray[np.float64]
LEAST = 0.05  # of 1 - leverage, so that one row that stands alone does not make the error infinite
GAIN = 0.97  # of PRESS: a group of columns that does not lower it to this is left out


@dataclass(frozen=True)
class Group:
    """Columns that are taken or left together.

    Attributes:
        columns: (n, k).
        penalty: on the square of each coefficient; 1 is the prior that a column moves the target by its noise.
    """

    columns: Array
    penalty: float


@dataclass(frozen=True)
class Ridge:
    """A fitted regression.

    Attributes:
        centre: (k,), means of the columns.
        scale: (k,), roots of their penalties.
        inverse: (k, k), of the penalised Gram matrix.
        weights: (k,), coefficients of scaled columns.
        mean: of the target.
        press: mean squared leave-one-out error.
        leverage: mean over the rows.
        count: rows.
    """

    centre: Array
    scale: Array
    inverse: Array
    weights: Array
    mean: float
    press: float
    leverage: float
    count: int

    @classmethod
    def fit(cls, groups: Sequence[Group], target: Array) -> Ridge:
        """Fitted to rows.

        Args:
            groups: of n rows each, together k columns, which may be more than n.
            target: (n,), finite, n at least 2.
        """
        count = len(target)
        columns = np.column_stack([np.empty((count, 0)), *(group.columns for group in groups)])
        scale = np.sqrt(np.repeat([group.penalty for group in groups], [group.columns.shape[1] for group in groups]))
        centre = columns.mean(axis=0)
        scaled = (columns - centre) / scale
        inverse = np.linalg.inv(scaled.T @ scaled + np.eye(len(scale)))
        projected = scaled @ inverse
        mean = float(target.mean())
        weights = projected.T @ (target - mean)
        leverage = (projected * scaled).sum(axis=1) + 1 / count
        errors = (target - mean - scaled @ weights) / np.maximum(1 - leverage, LEAST)
        press = float((errors**2).mean())
        return cls(centre, scale, inverse, weights, mean, press, float(leverage.mean()), count)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Means and standard deviations of the target.

        The deviation is that of the leave-one-out errors, wider for rows that lie outside of those seen, and wider
        where the errors were few.

        Args:
            rows: (m, k).

        Returns:
            (m,) each.
        """
        scaled = (rows - self.centre) / self.scale
        leverage = ((scaled @ self.inverse) * scaled).sum(axis=1) + 1 / self.count
        few = (self.count + 1) / max(self.count - 2, 1)
        variance = self.press * few * (1 + leverage) / (1 + self.leverage)
        return self.mean + scaled @ self.weights, np.sqrt(variance)


def forward(always: Sequence[Group], choices: Sequence[Group], target: Array) -> list[int]:
    """Which groups to take: the one that lowers PRESS most, again and again, as long as one lowers it enough.

    Args:
        always: groups that are taken anyway.
        choices: groups to choose from.
        target: as `Ridge.fit`.

    Returns:
        Positions in `choices`, in the order in which they were taken.
    """
    chosen: list[int] = []
    current = Ridge.fit(always, target).press
    while len(chosen) < len(choices):
        taken = [*always, *(choices[place] for place in chosen)]
        left = [place for place in range(len(choices)) if place not in chosen]
        found = [Ridge.fit([*taken, choices[place]], target).press for place in left]
        best = int(np.argmin(found))
        if not found[best] < GAIN * current:
            break
        chosen.append(left[best])
        current = found[best]
    return chosen
