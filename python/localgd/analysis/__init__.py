"""Measures of a model, of a run and of a problem."""

from __future__ import annotations

from .asymptotics import Residual, residual
from .clients import Heterogeneity, heterogeneity
from .geometry import angle, margins

__all__ = ["Heterogeneity", "Residual", "angle", "heterogeneity", "margins", "residual"]
