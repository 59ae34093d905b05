"""Methods: what the clients do between two communication rounds, and what the server does then."""

from __future__ import annotations

from .base import Method, check_method
from .control_variates import Scaffold
from .exact import LocalSolve
from .fedavg import FedAvg
from .gradient_alignment import FedGA, GradAlign
from .gradient_descent import GD, LocalGD, ModifiedLocalGD
from .proximal import FedProx
from .rule import LocalRule
from .stochastic import LocalSGD, MinibatchSGD

__all__ = [
    "GD",
    "METHODS",
    "FedAvg",
    "FedGA",
    "FedProx",
    "GradAlign",
    "LocalGD",
    "LocalRule",
    "LocalSGD",
    "LocalSolve",
    "Method",
    "MinibatchSGD",
    "ModifiedLocalGD",
    "Scaffold",
    "check_method",
]

# By which names stand for them; FedAvg is LocalSGD in the words of its paper.
METHODS: tuple[type[Method], ...] = (
    GD,
    LocalGD,
    LocalSGD,
    MinibatchSGD,
    ModifiedLocalGD,
    LocalSolve,
    FedProx,
    Scaffold,
    GradAlign,
    FedGA,
)
