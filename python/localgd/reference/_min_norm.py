"""The interpolant nearest to the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

from .. import _validation as check
from ..blas import with_one_blas_thread
from ..norms import norm
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows, as_double, is_sparse
from ._deadline import check_time, time_limited
from ._equality import EXTENDED
from ._factors import Factors, factors
from ._outputs import columns, of_outputs
from ._rows import absolute, compact, filled
from ._scaling import row_norms, scaled_rows

__all__ = ["MinNorm", "min_norm"]

# Relative residual above which rows count as not interpolable.
TOLERANCE = 1e-8
# A target below this share of the terms x_jk w_k is fitted to the rounding of those.
ROUNDING = 1e-5
FAINTEST = 1e5  # but never worse than to 1e-3
ACCURACY = 1e-14  # of a pass of iterations
REFINEMENTS = 3  # after the first pass they take out rounding


@dataclass(frozen=True, eq=False, repr=False)
class MinNorm(ReadOnlyArrays):
    """The interpolant of a problem's rows nearest to w_0.

    ``w = argmin ‖w - w_0‖  s.t.  X w = y``, that is ``w_0 + X⁺(y - X w_0)``

    Attributes
    ----------
    weights : ndarray of shape (d,) or (d, C), float64, read-only
    residual : float
        The largest over the rows, and their targets, of ``|x_j·w - y_j|/|y_j|``, so that no row
        hides behind larger ones; where ``|y_j|`` is below 1e-5 of ``Σ_k |x_jk w_k|``, over that
        (``1e5 |y_j|`` at most); where y_j = 0 over ‖x_j‖‖w‖, with features of similar size.
    row_space_residual : float
        The part of w - w_0 outside the span of the rows, relative to ‖w - w_0‖; 0 if w = w_0.
    rank : int or None
        Singular values above max(N, d) ε times the largest, once rows and features are brought to
        similar size by powers of two. None of large sparse rows, which are not factored.
    """

    weights: np.ndarray
    residual: float
    row_space_residual: float
    rank: int | None

    def __repr__(self) -> str:
        return (
            f"MinNorm(norm={np.linalg.norm(self.weights):.9g}, rank={self.rank}, "
            f"residual={self.residual:.1e})"
        )


@with_one_blas_thread
@time_limited
def min_norm(problem: Problem, *, init: Any = None, time_limit: float | None = None) -> MinNorm:
    """The point that gradient descent and Local-GD reach under the squared loss when d > N.

    ``w_0 + X⁺(y - X w_0)``

    X⁺ comes from a singular value decomposition of the rows and features brought to similar size;
    values below max(N, d) ε times the largest count as 0. Sparse rows of more than 10⁶ numbers, had
    they been dense, are left as they are: X⁺y is approached by LSMR then. Labels -1 and +1 of a
    binary problem serve as targets.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    init : array of shape (d,) or (d, C), optional
        w_0; zeros if not given.
    time_limit : float > 0, optional
        Seconds after which it is given up. It is asked between the steps of the solvers, so that a
        factorisation that has begun is finished first.

    Returns
    -------
    MinNorm
        The interpolant, and how exact it is.

    Raises
    ------
    ValueError
        If no w interpolates the rows (relative residual above 1e-8 for one of them), rows differ
        in size by more than 1e270, rounding hides the weights, or ``init`` has another shape or
        entries that are not finite.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`, or ``init`` is not of real numbers.
    TimeLimitError
        If it was not done within ``time_limit``.

    References
    ----------
    Gunasekar, Lee, Soudry, Srebro, ICML 2018, arXiv:1802.08246. LSMR: Fong and Saunders, SIAM
    Journal on Scientific Computing 33, 2011, doi:10.1137/10079687X.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 1.0]], [0.5])])
    >>> lg.reference.min_norm(problem, init=[1.0, 0.0]).weights.round(12)
    array([ 0.75, -0.25])
    """
    X, y = check_problem(problem).X, problem.y
    X = compact(X) if problem.sparse else as_double(X)
    shape = (X.shape[1], *y.shape[1:])
    start = np.zeros(shape) if init is None else check.real_array("init", init, len(shape))
    if start.shape != shape:
        raise ValueError(f"init: got shape {start.shape}; want {shape}, one number per feature")
    found: Factors | Iterated | None = None
    if filled(X).any():
        found = Iterated.of(X) if is_sparse(X) else factors(X)
    w = of_outputs(lambda y, start: _interpolant(X, y, start, found), y, start)
    residual = max(
        _residual(X, own, target, found) for own, target in zip(columns(w), columns(y), strict=True)
    )
    rank = found.rank if found else 0
    if not residual <= TOLERANCE:
        of_rank = "" if rank is None else f"rank {rank}, "
        raise ValueError(
            f"problem: no w interpolates the {len(y)} rows ({of_rank}{X.shape[1]} features; "
            f"least relative residual {residual:.2g}); want consistent targets: more features "
            "than rows, or fewer rows"
        )
    moved = w - start
    outside = norm(np.array([found.outside(own) for own in columns(moved)])) if found else 0.0
    length = norm(moved)
    if isinstance(found, Factors):
        found.check(X, moved)
    w.setflags(write=False)
    return MinNorm(w, residual, outside / length if length > 0 else 0.0, rank)


def _interpolant(
    X: Rows, y: np.ndarray, w: np.ndarray, found: Factors | Iterated | None
) -> np.ndarray:
    """Of one target, from w_0."""
    for _ in range(REFINEMENTS):
        check_time(w)
        if found:
            w = w + found.least_squares(_short(X, w, y))
    return w


@dataclass(frozen=True)
class Iterated:
    """What is asked of :class:`Factors` of the rows, by iterations on ``2^-rows X``."""

    A: Rows
    rows: np.ndarray
    lengths: np.ndarray

    columns = 0
    rank = None

    @classmethod
    def of(cls, X: Rows) -> Iterated:
        A, exponents = scaled_rows(X)
        return cls(A, exponents, row_norms(X))

    def least_squares(self, y: np.ndarray) -> np.ndarray:
        return _lsmr(self.A, np.ldexp(y, -self.rows))

    def outside(self, w: np.ndarray) -> np.ndarray:
        return np.asarray(w - self.A.T @ _lsmr(self.A.T, w))


def _lsmr(A: Rows, y: np.ndarray) -> np.ndarray:
    across = A.T

    def product(v: np.ndarray) -> np.ndarray:
        check_time()
        return np.asarray(A @ v)

    timed = LinearOperator(A.shape, product, lambda u: across @ u, dtype=A.dtype)
    found = lsmr(timed, y, atol=ACCURACY, btol=ACCURACY, conlim=0.0, maxiter=10 * max(A.shape))
    return np.asarray(found[0])


def _short(X: Rows, w: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``y - X w``."""
    short: np.ndarray = (y - X.astype(EXTENDED) @ w.astype(EXTENDED)).astype(float)
    return short


def _residual(X: Rows, w: np.ndarray, y: np.ndarray, found: Factors | Iterated | None) -> float:
    """The largest over the rows, see :class:`MinNorm`."""
    off = np.abs(_short(X, w, y))
    terms = np.minimum(ROUNDING * (absolute(X) @ np.abs(w)), FAINTEST * np.abs(y))
    scale = np.maximum(np.abs(y), terms)
    if found:
        most = found.lengths * norm(np.ldexp(w, found.columns))
        scale = np.where(y == 0, most, scale)
    return float(np.max(np.divide(off, scale, out=np.zeros_like(off), where=off > 0)))
