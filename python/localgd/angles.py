"""Angles between models, whatever their lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _validation as check
from .norms import norm

__all__ = ["angle", "scaled_model"]


def angle(u: Any, v: Any) -> float:
    """The angle between two models, in radians.

    ``angle(u, v) = 2·atan2(‖û - v̂‖, ‖û + v̂‖) = atan2(‖u - (u·v̂) v̂‖, u·v̂)``

    The second form is the one computed, with u - (u·v̂) v̂ to full precision: an angle of 1e-15 or
    1e-30 keeps its digits, which arccos and the difference of two rounded unit vectors lose. The
    length of u and v does not matter, from 1e-300 to 1e300.

    Parameters
    ----------
    u, v : array of shape (d,) or (d, C)
        Two models of the same shape; matrices are compared in the Frobenius inner product.

    Returns
    -------
    float
        Radians, from 0 to π.

    Raises
    ------
    ValueError
        For NaN or Inf entries, a model that is all zeros, or shapes that differ.
    TypeError
        For entries that are not real numbers.

    References
    ----------
    Kahan, "How futile are mindless assessments of roundoff in floating-point computation?",
    2006, section 12. Two-product: Dekker, Numerische Mathematik 18, 1971,
    doi:10.1007/BF01397083.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.angle([1.0, 0.0], [0.0, 2.0])
    1.5707963267948966
    >>> lg.angle([1.0, 0.0], [1.0, 1e-15])
    1e-15
    """
    u, v = scaled_model("u", u), scaled_model("v", v)
    if u.shape != v.shape:
        raise ValueError(f"u, v: got shapes {u.shape} and {v.shape}; want the same shape")
    u, v = u.ravel(), v.ravel()
    vv = float(v @ v)
    along = float(u @ v)
    across = _subtract_multiple(u, along / vv, v)
    # The rounding of along / vv left a component of `across` along v: as large as the answer when
    # the angle is near 1e-16.
    across -= (float(across @ v) / vv) * v
    return math.atan2(norm(across), along / math.sqrt(vv))


def scaled_model(name: str, value: Any) -> np.ndarray:
    """The model times a power of two (exact) that brings its largest entry into [1/2, 1)."""
    array = check.real_array(name, value, 2 if np.ndim(value) == 2 else 1)
    largest = np.abs(array).max(initial=0.0)
    if largest == 0:
        raise ValueError(
            f"{name}: no entry differs from 0; want a model with a direction (w_0 = 0 has none)"
        )
    return np.ldexp(array, -np.frexp(largest)[1])


def _subtract_multiple(u: np.ndarray, t: float, v: np.ndarray) -> np.ndarray:
    """u - t·v with one rounding: the product in two doubles, p + e = t·v exactly (Dekker)."""
    p = t * v
    t_high, t_low = _split(np.float64(t))
    v_high, v_low = _split(v)
    e = ((t_high * v_high - p) + t_high * v_low + t_low * v_high) + t_low * v_low
    return (u - p) - e


def _split(a: Any) -> tuple[Any, Any]:
    """Two halves of 26 bits with a = high + low."""
    c = 134217729.0 * a  # 2^27 + 1
    high = c - (c - a)
    return high, a - high
