"""Many runs: every combination of a grid, for some methods and problems."""

from __future__ import annotations

from .grid import Case, cases
from .runs import sweep
from .stores import load_sweep
from .table import Sweep

__all__ = ["Case", "Sweep", "cases", "load_sweep", "sweep"]
