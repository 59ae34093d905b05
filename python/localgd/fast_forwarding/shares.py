"""The clients' shares of the server's mean, as the core's ``begin_round`` has them."""

from __future__ import annotations

import numpy as np

from ..methods import Method
from ..problem import Problem

__all__ = ["geometric", "mean_shares"]


def mean_shares(problem: Problem, method: Method, lr: float) -> tuple[np.ndarray, np.ndarray]:
    """``τ_i = Σ_l (1 - ημ)^l`` and the shares ``u_i``, p_i or FedNova's ``p_i τ̄ / τ_i``."""
    rule = method.rule
    steps = rule.core_steps(problem.n_clients).astype(np.float64)
    tau = geometric(np.full(len(steps), lr * rule.prox), steps)
    shares = problem.weights
    if method.normalize and (steps != steps[0]).any():
        shares = shares * (shares @ tau) / tau
    return tau, shares


def geometric(decay: np.ndarray, steps: np.ndarray | float) -> np.ndarray:
    """``Σ_{l < L} (1 - decay)^l``, also where decay is near 0."""
    small = np.abs(decay) < 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        near = -np.expm1(steps * np.log1p(-np.where(small, decay, 0.0))) / decay
        far = (1 - (1 - np.where(small, 1.0, decay)) ** steps) / decay
    return np.where(decay == 0, steps, np.where(small, near, far))
