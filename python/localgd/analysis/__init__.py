"""Measures of a model, of a run and of a problem."""

from __future__ import annotations

from ..smoothness import smoothness
from .asymptotics import Residual, residual
from .clients import Heterogeneity, heterogeneity
from .geometry import angle, margins
from .gradients import GradientAlignment, gradient_alignment

__all__ = [
    "GradientAlignment",
    "Heterogeneity",
    "Residual",
    "angle",
    "gradient_alignment",
    "heterogeneity",
    "margins",
    "residual",
    "smoothness",
]
