"""What the methods converge to, with certificates."""

from __future__ import annotations

from ._asymptote import Asymptote, asymptote
from ._average_margin import AverageMargin, average_margin
from ._limits import Limits, limits
from ._max_margin import MaxMargin, max_margin
from ._min_norm import MinNorm, min_norm
from ._minimizer import Minimizer, minimizer
from ._separability import Separability, separability

__all__ = [
    "Asymptote",
    "AverageMargin",
    "Limits",
    "MaxMargin",
    "MinNorm",
    "Minimizer",
    "Separability",
    "asymptote",
    "average_margin",
    "limits",
    "max_margin",
    "min_norm",
    "minimizer",
    "separability",
]
