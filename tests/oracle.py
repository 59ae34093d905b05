"""Local-GD in plain NumPy, straight from mathematics.md: weights, float64, no Gram matrix.

Slow and literal on purpose. Nothing is imported from localgd: what the package computes is compared
with what is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Client = tuple[np.ndarray, np.ndarray]  # rows (n_i, d), labels (n_i,)


@dataclass(frozen=True)
class Loss:
    """``f_i(w) = (1/n_i) Σ_j ℓ``: its value and gradient for the rows of one client."""

    value: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _exponential(X, y, w):
    return np.exp(-y * (X @ w)).mean()


def _exponential_gradient(X, y, w):
    return -(X.T @ (y * np.exp(-y * (X @ w)))) / len(y)


def _logistic(X, y, w):
    return np.logaddexp(0.0, -y * (X @ w)).mean()


def _logistic_gradient(X, y, w):
    return -(X.T @ (y / (1.0 + np.exp(y * (X @ w))))) / len(y)


def _squared(X, y, w):
    return (0.5 * (X @ w - y) ** 2).mean()


def _squared_gradient(X, y, w):
    return (X.T @ (X @ w - y)) / len(y)


LOSSES = {
    "exponential": Loss(_exponential, _exponential_gradient),
    "logistic": Loss(_logistic, _logistic_gradient),
    "squared": Loss(_squared, _squared_gradient),
}


@dataclass
class Result:
    """w_R, and one list per measure with an entry for each recorded round."""

    weights: np.ndarray
    history: dict[str, np.ndarray]


def gd_round(clients, p, loss, w, k, *, lr):
    """``w_{k+1} = w_k - η ∇f(w_k)``; the clients' models are those of one step of their own."""
    gradients = [LOSSES[loss].gradient(X, y, w) for X, y in clients]
    models = [w - lr(k) * g for g in gradients]
    return w - lr(k) * sum(p_i * g for p_i, g in zip(p, gradients, strict=True)), models


def local_gd_round(clients, p, loss, w, k, *, lr, local_steps):
    """L steps w ← w - η ∇f_i(w) on every client from w_k, then ``w_{k+1} = Σ p_i w_{k,i}``."""
    models = []
    for X, y in clients:
        local = w
        for _ in range(local_steps):
            local = local - lr(k) * LOSSES[loss].gradient(X, y, local)
        models.append(local)
    return sum(p_i * model for p_i, model in zip(p, models, strict=True)), models


def simulate(
    clients: Sequence[Client],
    p: Sequence[float],
    *,
    loss: str,
    step: Callable,
    rounds: int,
    init: np.ndarray | None = None,
    record: Sequence[int] = (),
    reference: np.ndarray | None = None,
) -> Result:
    """Rounds of ``step(clients, p, loss, w, k) -> (w_{k+1}, client models)``, measured at some.

    A gradient that overflows raises FloatingPointError.
    """
    p = np.asarray(p, dtype=np.float64) / np.sum(p)
    w = np.zeros(clients[0][0].shape[1]) if init is None else np.array(init, dtype=np.float64)
    names = ("round", "loss", "margin", "norm", "angle", "drift")
    history: dict[str, list] = {name: [] for name in names}
    drift = np.nan
    wanted = {0, rounds, *record}
    # Underflow of exp(-m) far on the right side is what the formula says.
    with np.errstate(over="raise", invalid="raise", divide="raise", under="ignore"):
        for k in range(rounds + 1):
            if k in wanted:
                values = (k, *measures(clients, p, loss, w, reference), drift)
                for name, value in zip(names, values, strict=True):
                    history[name].append(value)
            if k < rounds:
                w, models = step(clients, p, loss, w, k)
                drift = client_drift(p, models, w) if k + 1 in wanted else np.nan
    return Result(w, {name: np.array(column) for name, column in history.items()})


def measures(clients, p, loss, w, reference):
    """Loss, normalised margin, norm and angle of a model."""
    value = sum(p_i * LOSSES[loss].value(X, y, w) for p_i, (X, y) in zip(p, clients, strict=True))
    norm = np.linalg.norm(w)
    if norm == 0:
        return value, np.nan, 0.0, np.nan
    margin = min((y * (X @ w)).min() for X, y in clients) / norm
    return value, margin, norm, np.nan if reference is None else angle(w, reference)


def client_drift(p, models, average):
    """``Σ p_i ‖w_{k,i} - w_{k+1}‖²``."""
    return sum(p_i * np.sum((model - average) ** 2) for p_i, model in zip(p, models, strict=True))


def angle(u, v):
    """``2·atan2(‖û - v̂‖, ‖û + v̂‖)``."""
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))


def affine_round(clients, p, *, lr, local_steps):
    """A and b of ``w_{k+1} = A w_k + b``: one round of Local-GD with the squared loss."""
    d = clients[0][0].shape[1]
    A, b = np.zeros((d, d)), np.zeros(d)
    for p_i, (X, y) in zip(p, clients, strict=True):
        step = np.eye(d) - lr * X.T @ X / len(y)
        powers = [np.linalg.matrix_power(step, k) for k in range(local_steps + 1)]
        A += p_i * powers[-1]
        b += p_i * sum(powers[:-1]) @ (lr * X.T @ y / len(y))
    return A, b


def section_5_rows(seed, M, n, d):
    """The fixed test data of mathematics.md section 5, as rows (M, n, d) and labels (M, n)."""
    r = np.random.default_rng(seed)
    v = r.standard_normal(d)
    X = r.standard_normal((M, n, d)) / np.sqrt(d)
    return X, np.sign(X @ v)
