"""Any number of rounds with the squared loss: powers of the round map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._backend import core
from ..methods import Method
from ..problem import Problem
from ..rows import as_double, dense_double
from ..servers import Anchored, ServerSGD
from ..shares import mean_shares

__all__ = ["AffineRounds"]


_Change = tuple[np.ndarray, np.ndarray]  # P, q: a client changes the model by P s + q in state s


@dataclass(frozen=True)
class _Power:
    """2^j rounds at once: B = T^n - I, A_n = Σ_{i<n} T^i t and C_n = Σ_{i<n} i T^i t, n = 2^j."""

    n: float
    B: np.ndarray
    A: np.ndarray
    C: np.ndarray


class AffineRounds:
    """``y_{k+1} = T y_k + t`` in an orthonormal basis V of the rows' span, ``w = w_0 + V y``.

    Several targets have one T, and a column of y and t each.

    The state y of a method with memory (momentum, control variates) has more entries than V has
    columns; the model stands first. T - I is kept in block of T, for modes that hardly move in a
    round: ``T^2n - I = 2B + B²``. With the anchored server ``(k + 1) y_k = k A_k - C_k``, since
    ``(k + 2) y_{k+1} = T (k + 1) y_k + (k + 1) t``. ``noise`` is added to T - I, relative to its
    largest entry: what comes of it shows how well the answer is conditioned.
    """

    def __init__(
        self, problem: Problem, method: Method, lr: float, w0: np.ndarray, *, noise: float = 0.0
    ):
        X = dense_double(problem.X)
        _, s, Vt = np.linalg.svd(X, full_matrices=False)
        self.basis = Vt[s > s[0] * max(X.shape) * np.finfo(np.float64).eps].T
        self._w0 = w0
        self._anchored = isinstance(method.server, Anchored)
        self._shares = problem.weights
        self._changes: list[_Change]  # of the clients
        if method.rule.correction == "control":
            self._changes, B, self._t = _with_controls(problem, method, lr, self.basis, w0)
        else:
            begun, moved = _client_changes(problem, method, lr, self.basis, w0)
            self._changes = [(D + P, d + q) for (D, d), (P, q) in zip(begun, moved, strict=True)]
            _, shares = mean_shares(problem, method, lr)
            B, self._t = _with_server(*_mean(shares, moved), method)
        if noise > 0:
            signs = np.random.default_rng(0).choice([-1.0, 1.0], B.shape)
            B = B + noise * np.abs(B).max() * signs
        self._powers = [_Power(1.0, B, self._t, np.zeros_like(self._t))]

    def weights(self, rounds: float) -> np.ndarray:
        """w after so many rounds, shape (d,) or (d, C)."""
        return self._w0 + self.basis @ self._state(int(rounds))[: self.basis.shape[1]]

    def drift(self, rounds: float) -> float:
        """``Σ p_i ‖w_{k,i} - w_{k+1}‖²`` of the last of so many rounds; NaN if there is none."""
        k, r = int(rounds) - 1, self.basis.shape[1]
        if k < 0:
            return float("nan")
        state = self._state(k)
        step = (self._powers[0].B @ state + self._t)[:r]
        if self._anchored:
            step = ((k + 1) * step - state[:r]) / (k + 2)
        total = 0.0
        for u, (P, q) in zip(self._shares, self._changes, strict=True):
            apart = P @ state[: P.shape[1]] + q - step
            total += float(u * np.vdot(apart, apart))
        return total

    def _state(self, rounds: int) -> np.ndarray:
        A, C = self._sums(rounds)
        if not self._anchored:
            return A
        return (rounds / (rounds + 1)) * A - C / (rounds + 1)

    def _sums(self, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        """A_k and C_k by the binary digits of k; A_k is the state after k rounds from 0."""
        A, C = np.zeros_like(self._t), np.zeros_like(self._t)
        for j in reversed(range(rounds.bit_length())):
            if rounds >> j & 1:
                power = self._power(j)
                # k = n + m: the first n rounds are moved on by those that are counted already
                moved = C + power.n * A
                A, C = power.A + A + power.B @ A, power.C + moved + power.B @ moved
        return A, C

    def _power(self, j: int) -> _Power:
        while len(self._powers) <= j:
            last = self._powers[-1]
            B = 2 * last.B + last.B @ last.B
            A = 2 * last.A + last.B @ last.A
            moved = last.C + last.n * last.A
            self._powers.append(_Power(2 * last.n, B, A, last.C + moved + last.B @ moved))
        return self._powers[j]


def _client_changes(
    problem: Problem, method: Method, lr: float, basis: np.ndarray, w0: np.ndarray
) -> tuple[list[_Change], list[_Change]]:
    """Where every client begins, ``D_i``, and what its steps do, ``G_i (b_i - H_i (y + D_i))``.

    ``G_i = η Σ_{l<L_i} ((1 - ημ) I - η H_i)^l`` with H_i the Hessian of f_i, b_i - H_i y minus its
    gradient, and D_i = β (∇f_i - ∇f) the displacement.
    """
    hessians, slopes, filters = _clients(problem, method, lr, basis, w0)
    H = np.einsum("i,ijk->jk", problem.weights, hessians)
    b = np.tensordot(problem.weights, slopes, 1)
    beta = method.rule.parameters.get("beta", 0.0)
    begun, moved = [], []
    for H_i, b_i, G_i in zip(hessians, slopes, filters, strict=True):
        D, d = beta * (H_i - H), -beta * (b_i - b)  # D_i = D y + d
        begun.append((D, d))
        moved.append((-G_i @ (H_i + H_i @ D), G_i @ (b_i - H_i @ d)))
    return begun, moved


def _mean(shares: np.ndarray, changes: list[_Change]) -> _Change:
    pairs = list(zip(shares, changes, strict=True))
    B: np.ndarray = np.sum([u * P for u, (P, _) in pairs], axis=0)
    t: np.ndarray = np.sum([u * q for u, (_, q) in pairs], axis=0)
    return B, t


def _clients(
    problem: Problem, method: Method, lr: float, basis: np.ndarray, w0: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """H_i, b_i and G_i of every client."""
    steps = method.rule.core_steps(problem.n_clients)
    hessians, slopes, filters = [], [], []
    for i in range(problem.n_clients):
        rows = problem.rows(i)
        X = as_double(problem.X[rows])
        A = X @ basis
        hessians.append(A.T @ A / len(A))
        slopes.append(A.T @ (problem.y[rows] - X @ w0) / len(A))
        values, vectors = np.linalg.eigh(hessians[-1])
        decay = lr * (np.maximum(values, 0) + method.rule.prox)
        filters.append((vectors * (lr * core.sum_of_decays(decay, steps[i]))) @ vectors.T)
    return hessians, slopes, filters


def _with_controls(
    problem: Problem, method: Method, lr: float, basis: np.ndarray, w0: np.ndarray
) -> tuple[list[_Change], np.ndarray, np.ndarray]:
    """The clients' changes, and T - I and t for (y, c_1, …, c_M).

    ``Δ_i = G_i (b_i - H_i y + c_i - c)``,
    ``c_i ← c_i - c - Δ_i/(L_i η)``, ``y ← y + lr Σ u_i Δ_i``."""
    M, r = problem.n_clients, basis.shape[1]
    steps, shares = mean_shares(problem, method, lr)  # without a proximal term τ_i is L_i
    server_lr = method.server.lr if isinstance(method.server, ServerSGD) else 1.0
    B, t = np.zeros(((M + 1) * r, (M + 1) * r)), np.zeros(((M + 1) * r, *w0.shape[1:]))
    common = np.kron(problem.weights, np.eye(r))  # c
    own = np.eye(M * r) - np.tile(common, (M, 1))  # c_i - c
    changes = []
    for i, (H_i, b_i, G_i) in enumerate(
        zip(*_clients(problem, method, lr, basis, w0), strict=True)
    ):
        block = slice((i + 1) * r, (i + 2) * r)
        change = np.hstack([-G_i @ H_i, G_i @ own[i * r : (i + 1) * r]])
        changes.append((change, G_i @ b_i))
        B[:r] += server_lr * shares[i] * change
        t[:r] += server_lr * shares[i] * (G_i @ b_i)
        B[block] = -change / (steps[i] * lr)
        B[block, r:] -= common
        t[block] = -(G_i @ b_i) / (steps[i] * lr)
    return changes, B, t


def _with_server(B: np.ndarray, t: np.ndarray, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """The same with the server's step on the mean change ``D = B y + t``.

    ``v ← m v + D``, ``y ← y + lr v`` or ``y + lr (D + m v)``
    """
    server = method.server
    if not isinstance(server, ServerSGD):
        return B, t
    r, lr, m = len(t), server.lr, server.momentum
    if m == 0:
        return lr * B, lr * t
    own = lr * (1 + m) if server.nesterov else lr
    carried = lr * m * m if server.nesterov else lr * m
    top = np.hstack([own * B, carried * np.eye(r)])
    bottom = np.hstack([B, (m - 1) * np.eye(r)])
    return np.vstack([top, bottom]), np.concatenate([own * t, t])
