"""Two-layer networks: the model of a run, and what is measured of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .two_layer import TwoLayer

if TYPE_CHECKING:
    from .kkt import kkt_residual
    from .trained import TrainedNetwork

__all__ = ["TrainedNetwork", "TwoLayer", "kkt_residual"]

# Loaded at first use: `import localgd` wants the options of a network alone.
_LAZY_NAMES = {"TrainedNetwork": "trained", "kkt_residual": "kkt"}


def __getattr__(name: str) -> Any:
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
