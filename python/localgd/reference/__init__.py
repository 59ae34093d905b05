"""What the methods converge to, with certificates."""

from __future__ import annotations

from ._max_margin import MaxMargin, max_margin
from ._min_norm import MinNorm, min_norm
from ._separability import Separability, separability

__all__ = ["MaxMargin", "MinNorm", "Separability", "max_margin", "min_norm", "separability"]
