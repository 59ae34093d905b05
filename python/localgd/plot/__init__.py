"""Pictures of runs and problems; they need matplotlib, the extra ``plot``.

Each function returns the matplotlib Axes that it drew into, ``overview`` and ``compare`` the
Figure; ``style`` is for all of them.
"""

from __future__ import annotations

from ._style import style
from .clients import clients
from .comparison import compare
from .convergence import convergence, overview
from .evaluations import calibration, clients_compare
from .margins import margins
from .sweeps import sweep

__all__ = [
    "calibration",
    "clients",
    "clients_compare",
    "compare",
    "convergence",
    "margins",
    "overview",
    "style",
    "sweep",
]
