"""The rounds of a method as a smooth flow in the logarithm of the round number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DivergedError
from ..losses import LOSSES, LossLike, labels_of_margins
from ..methods import Method
from ..problem import Problem
from ..schedules import Polynomial, Schedule, TwoStage
from ..servers import Anchored, ServerSGD
from ..shares import mean_shares
from .series import SUMS, Series

__all__ = ["Flow"]

TINY = float(np.finfo(np.float64).tiny)
SMALL = 1e-6  # relative change of a sweep, below which it may be rounding
SWEEPS = 60  # of the state that follows the model: momentum, control variates


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
        loss: LossLike,
        lr: Schedule,
        first_margins: np.ndarray,
        gram: np.ndarray,
    ):
        self.session = session
        self.problem = problem
        self.method = method
        self._loss, self._labels = LOSSES[loss], labels_of_margins(problem, loss)
        self.lr = lr
        self.first_margins = first_margins  # A w_0, (N, C)
        self.gram = gram  # A A^T
        self.evaluations = 0  # of rounds
        self.loose = 0.0  # relative, the worst of what the memory was found to, in the last sweeps
        self._shares = problem.weights[None, :].copy()
        self._shape = (problem.n_samples, problem.n_outputs)
        self._none = np.zeros((0, 0))
        self._momentum = float(getattr(method.server, "momentum", 0.0))
        self._controls = method.rule.correction == "control"
        self._last: np.ndarray | None = None  # the controls or the velocity found last
        self._rates: tuple[float, np.ndarray] | None = None  # the row rates of a learning rate

    def derivative(self, series: Series) -> Callable[[float, np.ndarray], np.ndarray]:
        """The right-hand side, of log k and the coefficients, column by column."""

        def of(x: float, a: np.ndarray) -> np.ndarray:
            k = math.exp(x)
            terms = series.terms(k)
            increments = self.increments(k, a, terms, series)
            return k * (SUMS[terms] @ increments)

        return of

    def increments(self, k: float, a: np.ndarray, count: int, series: Series) -> np.ndarray:
        """The changes of the coefficients in rounds k, k + 1, …, shape (count, N C)."""
        velocity, controls = self.followers(k, a, series)
        return self.rounds_from(k, a, count, velocity, controls, series)[0]

    def unsettled(self, k: float, a: np.ndarray, count: int, series: Series, state: Any) -> float:
        """What the memory of a real run changes, against the one that follows the model.

        Largest difference of the coefficients, from then on for good; 0 for methods without memory.
        """
        if not self.has_memory:
            return 0.0
        own = state.get("velocity", self._none), state.get("controls", self._none)
        found = self.followers(k, a, series)
        one, other = (
            self.rounds_from(k, a, count, memory[0], memory[1], series)[0]
            for memory in (own, found)
        )
        return float(np.abs((one - other).sum(axis=0)).max()) / (1 - self._momentum)

    def within(self, k: float, a: np.ndarray, series: Series) -> float:
        """Relative change of an increment if margins stood still within its round."""
        memory = self.followers(k, a, series)
        state = a.reshape(self._shape, order="F"), *memory
        self.evaluations += 2
        real, still = (
            self.session.map(k, [self.rate(k)], self._shares, frozen, 0.0, *state)[0][0]
            for frozen in (False, True)
        )
        return float(np.abs(real - still).max() / max(np.abs(real).max(), TINY))

    def changing(self, k: float, a: np.ndarray, series: Series) -> float:
        """Relative error of an increment if margins stood still within a round and its memory."""
        first, second = self.increments(k, a, 2, series)
        change = float(np.abs(second - first).max()) / max(np.abs(first).max(), TINY)
        return max(0.5 * change * self.lag, self.within(k, a, series))

    @property
    def lag(self) -> float:
        """How many rounds the server's momentum goes back."""
        return 1 / (1 - self._momentum)

    @property
    def has_memory(self) -> bool:
        """Whether a round depends on more than the model: momentum or control variates."""
        return self._momentum > 0 or self._controls

    def followers(self, k: float, a: np.ndarray, series: Series) -> tuple[np.ndarray, np.ndarray]:
        """The velocity and the control variates that belong to the model at round k."""
        if self._momentum > 0:
            return self._settled_velocity(k, a, series), self._none
        if self._controls:
            return self._none, self._settled_controls(k, a, series)
        return self._none, self._none

    def rounds_from(
        self,
        k: float,
        a: np.ndarray,
        count: int,
        velocity: np.ndarray,
        controls: np.ndarray,
        series: Series,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Real rounds from a state: changes of the coefficients, velocity and controls after."""
        self.evaluations += count
        lrs = [self.rate(k + j) for j in range(count)]
        state = a.reshape(self._shape, order="F"), velocity, controls
        result = self.session.map(k, lrs, self._shares, series.frozen(k), series.tolerance, *state)
        if result is None:
            raise DivergedError(f"the round map overflows near round {k:.3g}", None)
        return result  # type: ignore[no-any-return]

    def _settled_velocity(self, k: float, a: np.ndarray, series: Series) -> np.ndarray:
        """``V_k = Σ_j (-Δ)^j D_k / (1 - m)^(j+1)`` with D the clients' mean changes."""
        m, count = self._momentum, series.terms(k, self.lag)
        velocity: np.ndarray = np.zeros(self._shape) if self._last is None else self._last
        server: Any = self.method.server
        gap = math.inf
        for _ in range(SWEEPS):
            means, v = [], velocity
            b = a
            for j in range(count):
                mean = self._mean_change(k + j, b, series)
                v = m * v + mean
                step = mean + m * v if server.nesterov else v
                means.append(mean.ravel(order="F"))
                b = b + server.lr * step.ravel(order="F")
            total = np.zeros_like(a)
            differences = np.array(means)
            for j in range(len(means)):
                total += (-1.0) ** j * differences[0] / (1 - m) ** (j + 1)
                differences = np.diff(differences, axis=0)
            found = total.reshape(self._shape, order="F")
            gap, before = float(np.abs(found - velocity).max()), gap
            velocity = found
            if _converged(gap, before, velocity, series):
                break
        self._note(gap, velocity)
        self._last = velocity
        return velocity

    def _mean_change(self, k: float, a: np.ndarray, series: Series) -> np.ndarray:
        """The clients' mean change in a round: its step from rest, whatever the velocity is."""
        server: Any = self.method.server
        step = self.rounds_from(k, a, 1, np.zeros(self._shape), self._none, series)[0][0]
        mean = step / (server.lr * (1 + server.momentum if server.nesterov else 1.0))
        return mean.reshape(self._shape, order="F")

    def _settled_controls(self, k: float, a: np.ndarray, series: Series) -> np.ndarray:
        """Control variates from which those of the next rounds are extrapolated backwards."""
        controls: np.ndarray = np.zeros(self._shape) if self._last is None else self._last
        order = 1 if series.frozen(k) else max(2, series.terms(k))
        gap = math.inf
        for _ in range(SWEEPS):
            following, b, c = [], a, controls
            for j in range(order):
                step, _, c = self.rounds_from(k + j, b, 1, self._none, c, series)
                following.append(c)
                b = b + step[0]
            found: Any = sum(
                (-1.0) ** j * math.comb(order, j + 1) * following[j] for j in range(order)
            )
            gap, before = float(np.abs(found - controls).max()), gap
            controls = found
            if _converged(gap, before, controls, series):
                break
        self._note(gap, controls)
        self._last = controls
        return controls

    def _note(self, gap: float, memory: np.ndarray) -> None:
        self.loose = max(self.loose, gap / max(float(np.abs(memory).max()), TINY))

    def jacobian(self) -> Callable[[float, np.ndarray], np.ndarray]:
        """Its derivative in the coefficients, for margins that stand still within a round."""
        first, gram = self.first_margins, self.gram

        def of(x: float, a: np.ndarray) -> np.ndarray:
            k = math.exp(x)
            m = first + gram @ a.reshape(first.shape, order="F")
            curvatures = self.curvatures(m) * (k * self.row_rates(k))[:, None, None]
            matrix = -times_rows(curvatures, gram).transpose(0, 2, 1, 3).reshape(2 * [a.size])
            if isinstance(self.method.server, Anchored):
                matrix *= (k + 1) / (k + 2)
                matrix[np.diag_indices(len(matrix))] -= k / (k + 2)
            return matrix

        return of

    def row_rates(self, k: float) -> np.ndarray:
        """What a round adds to the coefficients per -ℓ' of each row, shape (N,).

        For margins that stand still within it; the velocity of a server is in it. Control variates
        are the clients' gradients then, so that all move along c: what is left is c's weights.
        """
        lr = self.rate(k)
        if self._rates is None or self._rates[0] != lr:
            self._rates = lr, self._row_rates(lr)
        return self._rates[1]

    def _row_rates(self, lr: float) -> np.ndarray:
        problem = self.problem
        tau, shares = mean_shares(problem, self.method, lr)
        clients = lr * tau * shares
        if self._controls:
            clients = clients.sum() * problem.weights
        rates: np.ndarray = np.repeat(clients / problem.sizes, problem.sizes)
        if isinstance(self.method.server, ServerSGD):
            rates *= self.method.server.lr / (1 - self._momentum)
        return rates

    def slopes(self, m: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """-ℓ' of some rows at margins (n, C)."""
        return -self._loss.slopes(self._scores(m), self._labels[rows]).reshape(m.shape)

    def curvatures(self, m: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """ℓ'' of some rows between the classes, (n, C, C)."""
        n, C = m.shape
        return self._loss.curvatures(self._scores(m), self._labels[rows]).reshape(n, C, C)

    def roots(self, m: np.ndarray) -> np.ndarray:
        """R of all rows with ``R Rᵀ = ℓ''``, (N, C, C)."""
        n, C = m.shape
        return self._loss.roots(self._scores(m), self._labels).reshape(n, C, C)

    def _scores(self, m: np.ndarray) -> np.ndarray:
        """Margins as the loss takes them."""
        return m if self._loss.multiclass else m[:, 0]

    def displacements(self) -> np.ndarray | None:
        """S: ``S e`` is what ``β (∇f_i - ∇f)`` adds to the margins of each client's own rows."""
        if self.beta == 0:
            return None
        problem = self.problem
        weights = np.repeat(problem.weights, problem.sizes)
        client = np.repeat(np.arange(problem.n_clients), problem.sizes)
        own = client[:, None] == client
        shift: np.ndarray = self.beta * self.gram * ((weights - own) / problem.sizes[client])
        return shift

    @property
    def beta(self) -> float:
        """The size of the clients' displacements, 0 for methods without."""
        rule = self.method.rule
        return rule.parameters.get("beta", 0.0)

    def stride(self, k: float) -> np.ndarray:
        """Learning rate times local steps of each client."""
        lr = self.rate(k)
        tau, _ = mean_shares(self.problem, self.method, lr)
        return lr * tau

    def rate(self, k: float) -> float:
        """The learning rate at any real round."""
        return _rate(self.lr, k)

    def record(self, first: int, rounds: np.ndarray, found: np.ndarray) -> None:
        """Have the session measure the models at some rounds, under consecutive numbers."""
        finite = self.session.record_states(
            first,
            rounds,
            [self.rate(k) for k in rounds],
            self._shares,
            np.ones(len(rounds), dtype=bool),  # drift comes from the rounds before
            0.0,
            found,
            self._none,
            self._none,
        )
        if not finite:
            raise DivergedError(f"the round map overflows after round {rounds[0]:.3g}", None)

    def drift(self, k: float, a: np.ndarray, series: Series) -> float:
        """Of round k, that is of the record after it."""
        if self._controls:  # they cancel what clients have apart, except for what moves in a round
            series = replace(series, within=math.inf, tolerance=min(series.tolerance, 1e-9))
        self.increments(k, a, 1, series)
        return float(self.session.drift)


def _converged(gap: float, before: float, found: np.ndarray, series: Series) -> bool:
    """Whether sweeps have come to an end: to the tolerance, or to where rounding holds them."""
    size = float(np.abs(found).max())
    return gap <= max(1e-13, 1e-3 * series.tolerance) * size or before <= gap < SMALL * size


def _rate(lr: Schedule, k: float) -> float:
    """The learning rate at any real round: a schedule that jumps from round to round is no flow."""
    if isinstance(lr, Polynomial):
        # The power underflows where the quotient would overflow; a rate of 0 would be no rate.
        return max(float(lr.lr0 * (k + 1) ** -lr.power), TINY)
    if isinstance(lr, TwoStage):
        return lr.lr1 if k < lr.switch_round else lr.lr2
    return float(lr)  # type: ignore[arg-type]


def times_rows(curvatures: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """``W_jce K_jl`` in blocks of classes, (C, C, n, n)."""
    blocks: np.ndarray = curvatures.transpose(1, 2, 0)[:, :, :, None] * gram
    return blocks
