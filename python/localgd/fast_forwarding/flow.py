"""The rounds of a method as a smooth flow in the logarithm of the round number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DivergedError
from ..losses import SIGNED_LOSSES
from ..methods import Method
from ..problem import Problem
from ..schedules import Schedule, rates
from ..servers import Anchored, ServerSGD

__all__ = ["MOST_TERMS", "Flow", "Series", "series_terms"]

MOST_TERMS = 7  # of the series log(1 + Δ)
FROZEN = 1e-13  # relative change of the increments within a round that is rounding
SWEEPS = 12  # of the state that follows the model: momentum, control variates


@dataclass(frozen=True)
class Series:
    """How the forward differences fall: the p-th term is about ``scale·(p-1)!/(p k^(p-1))``-th."""

    scale: float  # k times the relative change of the increments from one round to the next
    tolerance: float  # relative, of what is left out
    most: int = MOST_TERMS

    def terms(self, k: float) -> int:
        """How many differences the derivative at round k needs."""
        ratio = self.scale / k
        for p in range(1, self.most):
            if math.factorial(p) * ratio**p < self.tolerance:
                return p
        return self.most

    def frozen(self, k: float) -> bool:
        """Whether margins stand still within a round, as far as float64 can tell."""
        return self.scale / k < FROZEN


class Flow:
    """``da/d(log k) = k (Δ_1 - ½ Δ_2 + ⅓ Δ_3 - …)``, forward differences along real rounds.

    The increments of the coefficients are those of the core's rounds from a given state, never
    differences of two large models. The server's momentum and the control variates follow the
    model: they are found as the values for which the differences along the rounds are smooth.
    """

    def __init__(
        self,
        session: Any,
        problem: Problem,
        method: Method,
        loss: str,
        lr: Schedule,
        first_margins: np.ndarray,
    ):
        self.session = session
        self.problem = problem
        self.method = method
        self.loss = loss
        self.lr = lr
        self.first_margins = first_margins  # A w_0, (N, C)
        self.evaluations = 0  # of rounds
        self._shares = problem.weights[None, :].copy()
        self._shape = (problem.n_samples, problem.n_classes)
        self._none = np.zeros((0, 0))
        self._momentum = float(getattr(method.server, "momentum", 0.0))
        self._controls = method.rule.correction == "control"
        self._last: np.ndarray | None = None  # the controls or the velocity found last

    def derivative(self, series: Series) -> Callable[[float, np.ndarray], np.ndarray]:
        """The right-hand side, of log k and the coefficients, column by column."""

        def of(x: float, a: np.ndarray) -> np.ndarray:
            k = math.exp(x)
            terms = series.terms(k)
            frozen = series.frozen(k)
            increments = self.increments(k, a, terms, frozen=frozen)
            return k * (increments[0] if terms == 1 else series_terms(increments).sum(axis=0))

        return of

    def increments(self, k: float, a: np.ndarray, count: int, *, frozen: bool) -> np.ndarray:
        """The changes of the coefficients in rounds k, k + 1, …, shape (count, N C)."""
        velocity, controls = self.followers(k, a, count, frozen=frozen)
        return self._rounds(k, a, count, velocity, controls, frozen=frozen)[0]

    def followers(
        self, k: float, a: np.ndarray, count: int, *, frozen: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The velocity and the control variates that belong to the model at round k."""
        if self._momentum > 0:
            return self._settled_velocity(k, a, count, frozen=frozen), self._none
        if self._controls:
            return self._none, self._settled_controls(k, a, count, frozen=frozen)
        return self._none, self._none

    def _rounds(
        self,
        k: float,
        a: np.ndarray,
        count: int,
        velocity: np.ndarray,
        controls: np.ndarray,
        *,
        frozen: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.evaluations += count
        lrs = [rates(self.lr, _round(k) + j, _round(k) + j + 1)[0] for j in range(count)]
        coefficients = a.reshape(self._shape, order="F")
        result = self.session.map(k, lrs, self._shares, frozen, coefficients, velocity, controls)
        if result is None:
            raise DivergedError(f"the round map overflows near round {k:.3g}", None)
        return result  # type: ignore[no-any-return]

    def _settled_velocity(self, k: float, a: np.ndarray, count: int, *, frozen: bool) -> np.ndarray:
        """``V_k = Σ_j (-Δ)^j D_k / (1 - m)^(j+1)`` with D the clients' mean changes."""
        m = self._momentum
        velocity: np.ndarray = np.zeros(self._shape) if self._last is None else self._last
        for _ in range(SWEEPS):
            means, v = [], velocity
            b = a
            for j in range(max(count, 1)):
                step, after, _ = self._rounds(k + j, b, 1, v, self._none, frozen=frozen)
                means.append((after - m * v).ravel(order="F"))
                b, v = b + step[0], after
            series = np.zeros_like(a)
            differences = np.array(means)
            for j in range(len(means)):
                series += (-1.0) ** j * differences[0] / (1 - m) ** (j + 1)
                differences = np.diff(differences, axis=0)
            found = series.reshape(self._shape, order="F")
            gap = np.abs(found - velocity).max()
            velocity = found
            if gap <= 1e-13 * np.abs(found).max():
                break
        self._last = velocity
        return velocity

    def _settled_controls(self, k: float, a: np.ndarray, count: int, *, frozen: bool) -> np.ndarray:
        """Control variates from which those of the next rounds are extrapolated backwards."""
        controls: np.ndarray = np.zeros(self._shape) if self._last is None else self._last
        order = 1 if frozen else max(2, count)
        for _ in range(SWEEPS):
            following, b, c = [], a, controls
            for j in range(order):
                step, _, c = self._rounds(k + j, b, 1, self._none, c, frozen=frozen)
                following.append(c)
                b = b + step[0]
            found: Any = sum(
                (-1.0) ** j * math.comb(order, j + 1) * following[j] for j in range(order)
            )
            gap = np.abs(found - controls).max()
            controls = found
            if gap <= 1e-13 * np.abs(controls).max():
                break
        self._last = controls
        return controls

    def jacobian(self, gram: np.ndarray) -> Callable[[float, np.ndarray], np.ndarray]:
        """Its derivative in the coefficients, for margins that stand still within a round."""
        problem, rule = self.problem, self.method.rule
        steps = rule.core_steps(problem.n_clients).astype(np.float64)
        first = self.first_margins

        def of(x: float, a: np.ndarray) -> np.ndarray:
            k = math.exp(x)
            lr = rates(self.lr, _round(k), _round(k) + 1)[0]
            pull = lr * rule.prox
            tau = (1 - (1 - pull) ** steps) / pull if pull > 0 else steps
            shares = problem.weights
            if self.method.normalize and (steps != steps[0]).any():
                shares = shares * (shares @ tau) / tau
            scale = np.repeat(lr * tau * shares / problem.sizes, problem.sizes)
            matrix = _curvature(self.loss, problem, gram, first, a, scale, k)
            if isinstance(self.method.server, Anchored):
                matrix *= (k + 1) / (k + 2)
                matrix[np.diag_indices(len(matrix))] -= k / (k + 2)
            if isinstance(self.method.server, ServerSGD):
                matrix *= self.method.server.lr / (1 - self._momentum)
            return matrix

        return of

    def record(self, series: Series, index: int, k: float, a: np.ndarray) -> None:
        """Have the session measure the model at round k, under a number."""
        frozen = series.frozen(k)
        velocity, controls = self.followers(k, a, series.terms(k), frozen=frozen)
        rate = rates(self.lr, _round(k), _round(k) + 1)[0]
        coefficients = a.reshape(self._shape, order="F")
        self.session.record_state(
            index, k, rate, self._shares, frozen, coefficients, velocity, controls
        )


def series_terms(increments: np.ndarray) -> np.ndarray:
    """The terms ``Δ_1, -½ Δ_2, ⅓ Δ_3, …`` from the increments of consecutive rounds."""
    terms = np.empty_like(increments)
    differences = increments
    for j in range(len(increments)):
        terms[j] = (-1.0) ** j / (j + 1) * differences[0]
        differences = differences[1:] - differences[:-1]
    return terms


def _round(k: float) -> Any:
    """A round for schedules: whole where that makes sense."""
    return round(k) if k < 2**53 else k


def _curvature(
    loss: str,
    problem: Problem,
    gram: np.ndarray,
    first: np.ndarray,
    a: np.ndarray,
    scale: np.ndarray,
    k: float,
) -> np.ndarray:
    """``-k scale_j ℓ''(m_j) K_jl``; for softmax ℓ'' is a matrix between the classes."""
    N, C = first.shape
    margins = first + gram @ a.reshape((N, C), order="F")
    if loss in SIGNED_LOSSES:
        m = margins[:, 0]
        slopes = np.exp(np.log(k) - m)  # k e^{-m} stays in range where its factors might not
        if loss == "logistic":
            slopes /= (1 + np.exp(-m)) ** 2
        return -(scale * slopes)[:, None] * gram
    p = np.exp(margins - margins.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    matrix = np.empty((C, N, C, N))
    for c in range(C):
        for e in range(C):
            slope = p[:, c] * ((c == e) - p[:, e])
            matrix[c, :, e, :] = -(k * scale * slope)[:, None] * gram
    return matrix.reshape(N * C, N * C)
