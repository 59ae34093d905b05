"""Weights of many rows at once that add up to 0."""

from __future__ import annotations

import numpy as np

from ..losses import LOSSES
from ..rows import Rows
from ._deadline import check_time
from ._losses import Margins
from ._regularised import descend
from ._rows import part, times
from ._span import Balance, row_space

__all__ = ["balanced_weights"]

# Of the mean logistic loss of rows of condition number 1.
L2 = (1e-7, 1e-9)
FALLING = 0.3  # a weight that falls by this between the two, in place of 100, does not go to 0
FAINT = 1e-10
SWEEPS = 10


def balanced_weights(C: Rows) -> np.ndarray | None:
    """v ≥ 0 with ``Cᵀv = 0`` that is positive on nearly all rows for which there is one, if any.

    ``v_j = σ(-c_j·u)`` at the minimum of the logistic loss with λ/2 ‖u‖² has ``Cᵀv = N λ u``. As λ
    goes to 0, v_j goes to 0 like λ on rows that can be separated, and to a limit above 0 on the
    others. What is left of Cᵀv is projected out on these.
    """
    N = C.shape[0]
    mean = Margins(np.full(N, 1 / N), np.ones(N), LOSSES["logistic"])
    u = descend(C, mean, L2[0])
    before, u = -mean.slopes(C @ u), descend(C, mean, L2[1], start=u)
    v = -mean.slopes(C @ u)
    chosen = np.flatnonzero(v > FALLING * before)
    for _ in range(SWEEPS):
        check_time()
        if not len(chosen):
            return None
        some = part(C, chosen)
        exact = Balance.of(times(some, row_space(some, FAINT).T)).balanced(v[chosen])
        strong = exact > FAINT * exact.max()
        if strong.all():
            weights = np.zeros(N)
            weights[chosen] = exact
            return weights
        chosen = chosen[strong]
    return None
