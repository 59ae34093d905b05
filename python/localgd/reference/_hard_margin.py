"""Hard-margin separation of signed rows of any scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..norms import norm
from ..rows import Rows
from ._equality import EXTENDED, both_products
from ._least_distance import Unreachable, least_distance
from ._rows import absolute, filled
from ._scaling import SPREAD, common_scale, row_norms, scaled_rows, too_far_apart

__all__ = ["INEXACT", "TOLERANCE", "Certificate", "certify", "hard_margin", "solves", "unknown"]

# Rows whose margin is below this share of their norm count as not separable: rounding of the
# rows themselves is only a few thousand times smaller.
TOLERANCE = 1e-12
INEXACT = 1e-6  # KKT residual of what is no solution


@dataclass(frozen=True)
class Certificate:
    """What the returned w and α promise, evaluated on the rows as given."""

    kkt_residual: float
    duality_gap: float
    on_margin: np.ndarray


def hard_margin(Z: Rows) -> tuple[np.ndarray, np.ndarray] | None:
    """ŵ = argmin ½‖w‖² s.t. Z w ≥ 1 and its multipliers α.

    None where no w has Z w > 0, or none that double precision could tell from that. Rows should
    come from :func:`common_scale` where w and α may leave the range of doubles.
    """
    if not filled(Z).all():
        return None
    A, exponents = scaled_rows(Z)
    least = exponents.min()
    if exponents.max() - least > SPREAD + 64:  # more than norms and largest entries can differ
        return None
    b = np.ldexp(1.0, least - exponents)
    solution = least_distance(A, b, tolerance=TOLERANCE)
    if isinstance(solution, Unreachable):
        return None
    w = solution.w.astype(float)
    if np.min(A @ w / b) < 0.5:
        return None
    w = np.ldexp(w, -least)
    alpha = np.zeros(Z.shape[0])
    alpha[solution.rows] = np.ldexp(solution.multipliers, -least - exponents[solution.rows])
    return w, alpha


def certify(Z: Rows, w: np.ndarray, alpha: np.ndarray) -> Certificate:
    """Measure the optimality conditions, in extended precision where the machine has it."""
    pull, reach = both_products(Z, w, alpha)
    norm = np.linalg.norm(w.astype(EXTENDED))
    pulled = np.linalg.norm(pull)
    slack = reach - 1
    residual = max(
        np.linalg.norm(pull - w) / norm,
        max(0, -(slack - unknown(absolute(Z) @ np.abs(w), len(w))).min()),
        max(0, -alpha.min()) / norm**2,
        np.sum(np.abs(alpha * slack)) / norm**2,
    )
    # Any w bounds the margin from below by min z·w/‖w‖, any α ≥ 0 from above by ‖Zᵀα‖/Σα.
    ratio = (reach.min() / norm) * (alpha.astype(EXTENDED).sum() / pulled)
    near = 1e-9 + 16 * np.finfo(float).eps * row_norms(Z) * float(norm)
    on_margin = np.flatnonzero((slack <= near) | (alpha > 0))
    return Certificate(float(residual), float(max(0, 1 - ratio * abs(ratio))), on_margin)


def unknown(terms: np.ndarray, n_terms: int) -> np.ndarray:
    """Rounding of sums of so many terms, from the sums of their sizes, where it is no trifle.

    It is one where the rows have similar size; beside it a row 1e10 times larger may be violated.
    """
    doubt = n_terms * float(np.finfo(EXTENDED).eps) * terms
    return np.where(doubt > 1e-9, doubt, 0.0)


def solves(Z: Rows, w: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether w and α are the hard margin of these rows and its multipliers, to 1e-6."""
    if w.shape != Z.shape[1:] or alpha.shape != Z.shape[:1]:
        return False
    if not filled(Z).all() or too_far_apart(Z):
        return False
    Z, exponent = common_scale(Z)
    w, alpha = np.ldexp(w, exponent), np.ldexp(alpha, 2 * exponent)
    if not (np.isfinite(w).all() and np.isfinite(alpha).all() and w.any()):
        return False
    slack = Z @ w - 1 + 16 * np.finfo(float).eps * row_norms(Z) * norm(w)
    return bool(norm(w - alpha @ Z) < INEXACT * norm(w) and slack.min() > -INEXACT)
