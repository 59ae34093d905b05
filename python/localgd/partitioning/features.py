"""Schemes of feature skew: clients see the same kind of rows differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from ..errors import UnsupportedError
from ..rows import Rows, as_floats, is_sparse
from .even import Iid
from .scheme import Scheme

__all__ = ["FeatureShift"]


@dataclass(frozen=True)
class FeatureShift(Scheme):
    """Feature skew: rows are dealt as by :class:`Iid`, then each client's rows are displaced.

    ``x_ij <- x_ij + scale · r · u_i,  r = sqrt(Σ_ij ‖x_ij‖² / N),  u_i uniform on the unit sphere``

    Labels stay as they were, so separability may be lost (``scale=0`` changes nothing). A unit
    vector v that separates the rows with margin γ still does if ``scale · r · |v·u_i| < γ`` for
    every i; ``|v·u_i|`` is about ``1/sqrt(d)``. As ``scale`` grows, a client with both labels
    admits only directions nearly orthogonal to its u_i: rows that are separable in the complement
    of all u_i (independent rows are if ``d - M >= N``) stay so, others do not.
    ``lg.reference.separability`` says whether. For shifted rows that are separable by construction
    see ``lg.datasets.make_separable(heterogeneity=...)``.

    Parameters
    ----------
    scale : float >= 0
        Length of the displacement, in units of the root mean square row norm r.

    Raises
    ------
    ValueError, TypeError
        If ``scale`` is not a finite number of at least 0.
    UnsupportedError
        On dealing sparse rows, of which the displaced ones would be dense.

    References
    ----------
    Kairouz et al., arXiv:1912.04977 (section 3.1, "feature distribution skew").

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> X, y = np.eye(4), [1, -1, 1, -1]
    >>> problem = lg.partition(X, y, n_clients=2, scheme=lg.FeatureShift(0.5), seed=0)
    >>> shift = problem.X - X[problem.row_order]
    >>> np.linalg.norm(shift, axis=1).round(12).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    scale: float

    def __post_init__(self) -> None:
        check.number("scale", self.scale, minimum=0)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """As :class:`Iid`, shape (N,)."""
        return Iid().assign(y, n_clients, rng)

    def transform(
        self, X: Rows, clients: np.ndarray, n_clients: int, rng: np.random.Generator
    ) -> Rows:
        """The displaced rows, shape (N, d)."""
        if self.scale == 0:
            return X
        if is_sparse(X):
            raise UnsupportedError(
                f"scheme: {self} moves every feature of a row, so that sparse rows would become "
                "dense; want X.toarray(), if it fits in memory"
            )
        X = as_floats(X)
        directions = rng.standard_normal((n_clients, X.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        largest = np.abs(X).max()
        # Squares of rows near the ends of the floating-point range would leave it.
        rms = largest * np.linalg.norm(X / largest) / np.sqrt(len(X)) if largest > 0 else 0.0
        return X + (self.scale * rms * directions).astype(X.dtype)[clients]
