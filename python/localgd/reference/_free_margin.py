"""The hard margin whose intercept counts for nothing: the nearest points of two convex hulls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotSeparableError
from ..norms import norm
from ..rows import Rows
from ._equality import EXTENDED, both_products
from ._hard_margin import TOLERANCE, Certificate
from ._rows import lengths, part
from ._scaling import row_norms
from ._simplices import shortest_average

__all__ = ["FreeMargin", "free_margin"]


@dataclass(frozen=True)
class FreeMargin:
    """``min ½‖u‖²  s.t.  z_j·u + b y_j ≥ 1``; α ≥ 0 with ``u = Zᵀα`` and ``Σ_j α_j y_j = 0``."""

    u: np.ndarray
    intercept: float
    alpha: np.ndarray
    certificate: Certificate


def free_margin(Z: Rows, y: np.ndarray) -> FreeMargin:
    """Of signed rows without the intercept's column, scaled by :func:`common_scale`.

    u is along the shortest vector between the convex hulls of the two labels' rows, and as much
    shorter as it is longer.
    """
    sides = (y > 0).astype(np.int64)
    order = np.argsort(sides, kind="stable")
    if len(np.unique(sides)) < 2:
        raise ValueError(
            "problem: all rows have one label, which a free intercept meets by itself; want both"
        )
    near = part(Z, order)
    found = shortest_average(near, sides[order], np.full(2, 0.5))
    alpha = np.zeros(len(y))
    alpha[order[found.rows]] = 0.5 * found.a
    length = norm(found.x)
    if length <= TOLERANCE * float(lengths(near).max()):
        alpha.setflags(write=False)
        raise NotSeparableError(
            "problem: the rows are not separable: no u and b have z·u + y b > 0 on all of them; "
            "want separable rows: see reference.separability, or add features",
            certificate=alpha,
        )
    u = found.x / length**2
    alpha /= length**2
    pull, reach = both_products(Z, u, alpha)
    b = float(reach[sides == 0].min() - reach[sides == 1].min()) / 2
    return FreeMargin(u, b, alpha, _certified(Z, y, u, b, alpha, pull, reach))


def _certified(
    Z: Rows,
    y: np.ndarray,
    u: np.ndarray,
    b: float,
    alpha: np.ndarray,
    pull: np.ndarray,
    reach: np.ndarray,
) -> Certificate:
    size = np.linalg.norm(u.astype(EXTENDED))
    margins = reach + EXTENDED(b) * y
    slack, of_signs = margins - 1, float(abs(alpha.astype(EXTENDED) @ y))
    residual = max(
        np.linalg.norm(pull - u) / size,
        of_signs / size**2,
        max(0, -slack.min()),
        max(0, -alpha.min()) / size**2,
        np.sum(np.abs(alpha * slack)) / size**2,
    )
    # Any u and b bound the margin from below, any α whose signs cancel from above.
    ratio = (margins.min() / size) * (alpha.astype(EXTENDED).sum() / np.linalg.norm(pull))
    near = 1e-9 + 16 * np.finfo(float).eps * row_norms(Z) * float(size)
    on_margin = np.flatnonzero((slack <= near) | (alpha > 0))
    return Certificate(float(residual), float(max(0, 1 - ratio * abs(ratio))), on_margin)
