"""Of smooth_hinge.hpp: what minimisers and fast-forward want beside the core."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from localgd.losses import BaseLoss


class SmoothHinge(BaseLoss):
    """``log(1 + e^{4 (1 - m)}) / 4``."""

    concordance = 4.0

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, 4 * (1 - y * u)) / 4

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -y * expit(4 * (1 - y * u))

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 4 * expit(4 * (1 - y * u)) * expit(4 * (y * u - 1))
