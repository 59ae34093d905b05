"""The clients' shares of the server's mean, as those of a round of the core."""

from __future__ import annotations

import numpy as np

from ._backend import core
from .methods import Method
from .problem import Problem

__all__ = ["mean_shares"]


def mean_shares(
    problem: Problem, method: Method, lr: float, l2: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """``τ_i = Σ_l (1 - η(λ+μ))^l`` and the shares ``u_i``, p_i or FedNova's ``p_i τ̄ / τ_i``."""
    rule = method.rule
    steps = rule.core_steps(problem.n_clients)
    tau: np.ndarray = core.sum_of_decays(lr * (l2 + rule.prox), steps)
    shares = problem.weights
    if method.fednova and (steps != steps[0]).any():
        shares = shares * (shares @ tau) / tau
    return tau, shares
