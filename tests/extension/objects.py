"""What is added to the package and to the list that drives the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import oracle
import registry

import localgd as lg
from localgd import servers


@dataclass(frozen=True)
class ServerQHM(servers.Server):
    """Quasi-hyperbolic momentum on the pseudo-gradient.

    ``v ← m v + (1 - m) Δ``, ``w_{k+1} = w_k + lr ((1 - ν) Δ + ν v)``
    """

    kind: ClassVar[str] = "quasi_hyperbolic"

    lr: float = 1.0
    momentum: float = 0.9
    nu: float = 0.7


def value(X, y, w):
    return np.logaddexp(0.0, 4 * (1 - y * (X @ w))).mean() / 4


def gradient(X, y, w):
    return -(X.T @ (y / (1 + np.exp(4 * (y * (X @ w) - 1))))) / len(y)


def quasi_hyperbolic(lr, momentum, nu):
    memory = {"v": 0.0}

    def apply(w, change, k):
        v = memory["v"] = momentum * memory["v"] + (1 - momentum) * change
        return w + lr * ((1 - nu) * change + nu * v)

    return apply


# Each line as it would stand in the file beside it.


def add_loss() -> None:
    oracle.LOSSES["smooth_hinge"] = oracle.Loss(value, gradient)  # tests/oracle.py
    registry.LOSSES += ("smooth_hinge",)  # tests/registry.py


def add_server() -> None:
    servers.ServerQHM = ServerQHM  # python/localgd/servers.py
    lg.ServerQHM = ServerQHM  # python/localgd/__init__.py
    oracle.SERVERS["ServerQHM"] = quasi_hyperbolic  # tests/oracle.py
    numbers = {"lr": 0.7, "momentum": 0.6, "nu": 0.4}  # tests/registry.py
    registry.VARIATIONS["quasi-hyperbolic"] = {"server": ("ServerQHM", numbers)}
    registry.METHODS += (
        registry.MethodCase("LocalGD: quasi-hyperbolic"),
        registry.MethodCase("LocalSolve: quasi-hyperbolic"),
        registry.MethodCase("Scaffold: batch 2, quasi-hyperbolic, two clients"),
    )
