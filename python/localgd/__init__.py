"""localgd: local-update training (Local-GD, FedAvg) of linear models at long horizons.

Each client takes many gradient steps on its own rows, a server averages the models now and then.
See ``localgd.run`` for the engine, ``localgd.reference`` for what the iterates converge to.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import DivergedError, MissingExtraError, NotSeparableError, UnsupportedError
from .problem import Problem

if TYPE_CHECKING:
    from . import analysis, datasets, plot, reference
    from .analysis import angle
    from .partitioning import ByClass, Dirichlet, FeatureShift, Iid, Quantity, partition

__all__ = [
    "ByClass",
    "Dirichlet",
    "DivergedError",
    "FeatureShift",
    "Iid",
    "MissingExtraError",
    "NotSeparableError",
    "Problem",
    "Quantity",
    "UnsupportedError",
    "analysis",
    "angle",
    "datasets",
    "partition",
    "plot",
    "reference",
]

# Loaded at first use, so that `import localgd` brings in neither scipy nor matplotlib.
_LAZY_MODULES = {"analysis", "datasets", "plot", "reference"}
_LAZY_NAMES = {
    "angle": "analysis",
    **dict.fromkeys(
        ["ByClass", "Dirichlet", "FeatureShift", "Iid", "Quantity", "partition"], "partitioning"
    ),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY_NAMES:
        value = getattr(importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
