"""Pictures of runs and problems; they need matplotlib, the extra ``plot``.

Each function returns the matplotlib Axes (``overview``: the Figure) that it drew into.
"""

from __future__ import annotations

from .clients import clients
from .convergence import convergence, overview
from .evaluations import calibration, clients_compare
from .margins import margins
from .sweeps import sweep

__all__ = [
    "calibration",
    "clients",
    "clients_compare",
    "convergence",
    "margins",
    "overview",
    "sweep",
]
