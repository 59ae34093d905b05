"""Measures of a model, of a run and of a problem."""

from __future__ import annotations

from ..smoothness import smoothness
from .asymptotics import Residual, residual
from .clients import Heterogeneity, heterogeneity
from .geometry import angle, margins
from .gradients import GradientAlignment, gradient_alignment
from .offset import LocalOffset, local_offset
from .scores import ClientScores, PredictionScores, client_scores, prediction_scores
from .tangent import tangent_kernel

__all__ = [
    "ClientScores",
    "GradientAlignment",
    "Heterogeneity",
    "LocalOffset",
    "PredictionScores",
    "Residual",
    "angle",
    "client_scores",
    "gradient_alignment",
    "heterogeneity",
    "local_offset",
    "margins",
    "prediction_scores",
    "residual",
    "smoothness",
    "tangent_kernel",
]
