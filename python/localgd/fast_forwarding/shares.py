"""The clients' shares of the server's mean, as those of a round of the core."""

from __future__ import annotations

import numpy as np

from .._backend import core
from ..methods import Method
from ..problem import Problem

__all__ = ["mean_shares"]


def mean_shares(problem: Problem, method: Method, lr: float) -> tuple[np.ndarray, np.ndarray]:
    """``τ_i = Σ_l (1 - ημ)^l`` and the shares ``u_i``, p_i or FedNova's ``p_i τ̄ / τ_i``."""
    rule = method.rule
    steps = rule.core_steps(problem.n_clients)
    tau: np.ndarray = core.sum_of_decays(lr * rule.prox, steps)
    shares = problem.weights
    if method.normalize and (steps != steps[0]).any():
        shares = shares * (shares @ tau) / tau
    return tau, shares
