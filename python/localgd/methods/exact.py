"""The exact local solve: local training to the end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .base import Method
from .rule import LocalRule

__all__ = ["LocalSolve"]


@dataclass(frozen=True, repr=False)
class LocalSolve(Method):
    """The exact local solve on every client (L → ∞), then the server's average.

    ``w_{k,i} = argmin ½‖w - w_k‖²  s.t.  z_ij·w ≥ 1 for all j``, ``w_{k+1} = Σ_i p_i w_{k,i}``

    A parallel projection method. It reaches some point that all clients accept, in general not the
    max-margin one; :class:`localgd.ModifiedLocalGD` with ``local_steps=None`` does. For regression
    the local solution is ``w_k + X_i⁺(y_i - X_i w_k)``. Every client's own rows must be separable.
    The multipliers of a round are the ``local_changes`` in the span; KKT residual at most 1e-10.

    Parameters
    ----------
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        As for :class:`localgd.methods.Method`.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971. Parallel projections: Combettes, IEEE Trans. Image
    Process. 6 (1997), doi:10.1109/83.563316.

    Examples
    --------
    Two clients with one row each: the average of the two projections, again and again.

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])])
    >>> lg.run(problem, lg.LocalSolve(), rounds=3).weights.tolist()
    [0.875, 0.875]
    """

    @cached_property
    def rule(self) -> LocalRule:
        """The exact local solve."""
        return LocalRule(solve=True)
