"""A Gaussian process for one uncertain objective: Matérn 5/2 over weighted components.

One length scale is shared by all components, and each may deviate from it: a normal prior on the logarithm of its
weight keeps the deviations small until there is evidence. (A free length scale for each level of each choice overfits
at a hundred trials.) What the kernel does not explain is split: where replicas say how noisy the measurement is, all of
it belongs to the trial itself and stays once that is observed; where they do not, a quarter of it counts as noise.

Beside the kernel the objective may be linear in hints, with coefficients that have a normal prior. Whether a hint helps
is judged by the errors that the process makes on observations that are left out, in closed form.

Source: Rasmussen and Williams 2006, chapters 2 and 5; the prior on weights after Hvarfner, Hellsten and Nardi 2024, who
scale the length with the number of dimensions; Sundararajan and Keerthi 2001 for the leave-one-out errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.blas import dtrsm
from scipy.optimize import minimize

__all__ = ["HELPS", "GaussianProcess", "Posterior"]

Array = NDArray[np.float64]
JITTER = 1e-6
BLOCK = 256  # points predicted at once, so that the matrices stay in the cache
STEPS = 20  # of the optimiser at one fit; the next fit starts where this one ended
JOINT_DEVIATION = 1.0  # likewise of a component that several parameters have together
LINEAR = 0.7  # prior standard deviation of a hint's coefficient, values and hints standardised
HELPS = 0.97  # of the mean squared leave-one-out error: what does not lower it to this is left out
MEASURED = 0.25  # fraction of the unexplained variance that is noise, where no replicas say how much


@dataclass(frozen=True)
class _Weights:
    """What the parameter vector stands for."""

    signal: float  # variance of the kernel
    weights: Array  # (components,)
    rest: float  # variance that the kernel does not explain


class GaussianProcess:
    """Fitted to standardised values; a prior mean of 0 and a variance of about 1 are assumed.

    Args:
        components: (p,), of each column the component that it belongs to.
        parameters: how many of the components belong to one parameter alone; they come first.
        deviation: prior's standard deviation of a parameter's log weight around the shared one.

    Attributes:
        linear: hints that the objective is linear in: their columns, counted from the first behind the components'.
    """

    def __init__(self, components: NDArray[np.intp], *, parameters: int, deviation: float = 0.5) -> None:
        self.components = components
        self.linear: tuple[int, ...] = ()
        size = int(components.max(initial=-1)) + 1
        self.size = size
        self.centre = np.concatenate([[0.0, np.log(1.5 / max(1, parameters))], np.zeros(size), [np.log(0.1)]])
        joint = np.full(size - min(size, parameters), JOINT_DEVIATION)
        own = np.full(min(size, parameters), deviation)
        self.spread = np.concatenate([[0.7, 1.0], own, joint, [1.0]])
        self.state = self.centre.copy()

    def fit(self, columns: Array, values: Array, variance: Array) -> None:
        """Move to the most probable weights, from where the last fit ended.

        Args:
            columns: (n, p), and hints behind them.
            values: (n,), standardised.
            variance: (n,), what is known of the measurement's, in the values' unit squared.
        """
        distances = _distances(columns[:, : len(self.components)], self.components, self.size)
        hints = self._hints(columns)
        limits = [(-3.0, 3.0), (-7.0, 4.0), *[(-4.0, 4.0)] * self.size, (-6.0, 1.0)]
        found = minimize(
            self._loss, self.state, args=(distances, values, variance, hints @ hints.T), jac=True, method="L-BFGS-B",
            bounds=limits, options={"maxiter": STEPS},
        )  # fmt: skip
        if np.isfinite(found.fun):
            self.state = np.asarray(found.x)

    def _loss(
        self, state: Array, distances: Array, values: Array, noise: Array, linear: Array | float = 0.0
    ) -> tuple[float, Array]:
        """Negative log posterior of the weights, and its gradient; linear: (n, n), covariance by the hints."""
        parts, n = self._parts(state), len(values)
        shape, slope = _matern_and_slope((parts.weights @ distances).reshape(n, n))
        covariance = parts.signal * shape + linear
        covariance[np.diag_indices(n)] += parts.rest + noise + JITTER
        try:
            root = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(state)
        solved = cho_solve((root, True), values, check_finite=False)
        pull = np.outer(solved, solved) - cho_solve((root, True), np.eye(n), check_finite=False)
        by_weight = -0.5 * parts.signal * parts.weights * (distances @ (pull * slope).ravel())
        gradient = np.concatenate([
            [-parts.signal * np.sum(pull * shape), by_weight.sum()], by_weight, [-parts.rest * np.trace(pull)]
        ])  # fmt: skip
        score = (state - self.centre) / self.spread
        loss = 0.5 * values @ solved + np.log(np.diag(root)).sum() + 0.5 * score @ score
        return float(loss), gradient + score / self.spread

    def _parts(self, state: Array) -> _Weights:
        return _Weights(float(np.exp(2 * state[0])), np.exp(state[1] + state[2:-1]), float(np.exp(2 * state[-1])))

    def condition(self, columns: Array, values: Array, variance: Array, *, replicated: bool) -> Posterior:
        """What is believed after these observations, with the weights as they are.

        Args:
            columns: as for `fit`.
            values: as for `fit`.
            variance: as for `fit`.
            replicated: whether `variance` is all of the measurement's noise.
        """
        parts = self._parts(self.state)
        scaled, hints = self._scaled(columns, parts), self._hints(columns)
        share = 0.0 if replicated else MEASURED
        measured, own = variance + share * parts.rest, (1 - share) * parts.rest
        covariance = parts.signal * _matern(_between(scaled, scaled)) + hints @ hints.T
        covariance[np.diag_indices(len(values))] += own + measured + JITTER
        root = cholesky(covariance, lower=True, check_finite=False)
        return Posterior(self, parts, scaled, hints, root, cho_solve((root, True), values, check_finite=False), values,
                         measured, own)  # fmt: skip

    def _scaled(self, columns: Array, parts: _Weights) -> Array:
        """Columns (n, p) between which squared distances are those of the kernel."""
        return np.asarray(columns[:, : len(self.components)] * np.sqrt(parts.weights)[self.components])

    def _hints(self, columns: Array) -> Array:
        """Columns (n, hints) of those that the objective is linear in, on the scale of their prior."""
        return np.asarray(LINEAR * columns[:, [len(self.components) + place for place in self.linear]])


@dataclass(frozen=True)
class Posterior:
    """What is believed of the objective anywhere."""

    process: GaussianProcess
    parts: _Weights
    scaled: Array
    hints: Array
    root: Array
    solved: Array
    values: Array
    measured: Array
    own: float

    def observed(self) -> Array:
        """Mean (n,) at the observations: what they would have been without the measurement's noise."""
        return np.asarray(self.values - (self.measured + JITTER) * self.solved)

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, (m,) each, at new points; columns: (m, p)."""
        scaled, hints = self.process._scaled(columns, self.parts), self.process._hints(columns)
        mean, variance = np.empty(len(columns)), np.empty(len(columns))
        for start in range(0, len(columns), BLOCK):
            rows = slice(start, start + BLOCK)
            cross = _matern(_between(self.scaled, scaled[rows]))
            cross *= self.parts.signal
            cross += self.hints @ hints[rows].T
            mean[rows] = self.solved @ cross
            # the root's inverse times `cross`, transposed, in the memory of `cross`
            explained = dtrsm(1.0, self.root, cross.T, side=1, lower=1, trans_a=1, overwrite_b=1)
            variance[rows] = self.parts.signal + self.own - np.einsum("ij,ij->i", explained, explained)
        variance += np.einsum("ij,ij->i", hints, hints)
        return mean, np.sqrt(np.maximum(variance, 1e-10))

    def mean(self, columns: Array) -> Array:
        """Mean (m,) at new points."""
        scaled, hints = self.process._scaled(columns, self.parts), self.process._hints(columns)
        kernel = self.parts.signal * (self.solved @ _matern(_between(self.scaled, scaled)))
        return np.asarray(kernel + hints @ (self.hints.T @ self.solved))

    def left_out(self) -> float:
        """Mean squared error of predictions of the observations, each from all others."""
        inverse = np.diag(cho_solve((self.root, True), np.eye(len(self.values)), check_finite=False))
        return float(np.mean((self.solved / inverse) ** 2))


def _matern(squared: Array) -> Array:
    """Matérn 5/2 of squared distances, which are overwritten."""
    root = np.sqrt(np.multiply(squared, 5.0, out=squared), out=squared)
    result = root * (1.0 / 3.0)
    result += 1.0
    result *= root
    result += 1.0
    result *= np.exp(np.negative(root, out=root), out=root)
    return result


def _matern_and_slope(squared: Array) -> tuple[Array, Array]:
    """Matérn 5/2 of squared distances, and its derivative by them."""
    root = np.sqrt(5.0 * squared)
    fading = np.exp(-root)
    return (1.0 + root + root * root / 3.0) * fading, -(5.0 / 6.0) * (1.0 + root) * fading


def _between(left: Array, right: Array) -> Array:
    """Squared distances (n, m) between rows."""
    result = (-2.0 * left) @ right.T
    result += (left * left).sum(axis=1)[:, None]
    result += (right * right).sum(axis=1)[None, :]
    return np.maximum(result, 0.0, out=result)


def _distances(columns: Array, components: NDArray[Any], size: int) -> Array:
    """Squared distances of all pairs by component: (components, n * n)."""
    parts = [_between(columns[:, components == part], columns[:, components == part]) for part in range(size)]
    return np.array(parts).reshape(size, len(columns) ** 2)
