"""Norms of numbers of any size."""

from __future__ import annotations

import numpy as np

__all__ = ["norm"]


def norm(a: np.ndarray) -> float:
    """‖a‖, Frobenius of a matrix, where squares of the entries would over- or underflow."""
    exponent = np.frexp(np.abs(a).max(initial=0.0))[1]
    return float(np.ldexp(np.linalg.norm(np.ldexp(a, -exponent)), exponent))
