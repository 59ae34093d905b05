"""Where the iterates run beside their limiting direction, and how soon they come near it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, qr, solve_triangular

from .. import _validation as check
from ..blas import with_one_blas_thread
from ..errors import UnsupportedError
from ..norms import norm
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows, stored
from ._arguments import signed_rows
from ._equality import EXTENDED, both_products
from ._facial_reduction import facial_reduction
from ._hard_margin import solves
from ._max_margin import MaxMargin, max_margin
from ._rows import dense
from ._scaling import common_scale, rescaled, scaled_rows
from ._span import row_space

__all__ = ["Asymptote", "asymptote"]

EPS = np.finfo(float).eps
STEPS = 200
SWEEPS = 8
TOLERANCE = 1e-6
LARGEST = 1 << 27  # numbers of the support rows as an array


@dataclass(frozen=True, eq=False, repr=False)
class Asymptote(ReadOnlyArrays):
    """The line that gradient descent and Local-GD approach on the span of the support rows.

    ``w_k = ŵ log τ + ρ_k``,  ``P_S ρ_k → ρ_S``,  ``τ = η L k``

    Attributes
    ----------
    rho : ndarray of shape (d,), float64, read-only
        ρ_S, in the span of the support rows.
    support : ndarray of int64, read-only
        S, ascending: the rows on the margin that some choice of multipliers makes positive. Among
        duplicated rows it names all, where ``MaxMargin.support`` names one.
    dual : ndarray of shape (N,), float64, read-only
        α_j = c_j exp(-z_j·ρ_S) on S, 0 elsewhere: of the multipliers of ŵ those that the iterates
        choose. The multipliers of :class:`MaxMargin` if the rows of S are linearly independent.
    offsets : ndarray of shape (support rows,), float64, read-only
        r_j = z_j·ρ_S = log(c_j/α_j) of the rows of S, in their order.
    residual : float
        ‖ŵ - Σ_S c_j exp(-z_j·ρ_S) z_j‖/‖ŵ‖: how well z_j·ρ_S = log(c_j/α_j) holds. A ρ_S that
        is rounding of 0 is set to 0.
    degenerate : ndarray of int64, read-only
        Rows with z_j·ŵ = 1 that carry a multiplier in no choice of α. Where there are any, ρ_k does
        not converge: the part that these rows drive grows at most like log log k.
    basis : ndarray of shape (r, d), float64, read-only
        Orthonormal basis of the span of the support rows: ``P_S = basisᵀ basis``.
    weights : ndarray of shape (d,), float64, read-only
        ŵ.
    """

    rho: np.ndarray
    support: np.ndarray
    dual: np.ndarray
    offsets: np.ndarray
    residual: float
    degenerate: np.ndarray
    basis: np.ndarray
    weights: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Asymptote({len(self.support)} support rows, norm={np.linalg.norm(self.rho):.9g}, "
            f"residual={self.residual:.1e}, {len(self.degenerate)} degenerate rows)"
        )

    def angle(self, rounds: Any, *, lr: float, local_steps: int = 1, outside: float = 0.0) -> Any:
        """The angle between w_k and ŵ to leading order, in radians.

        ``√(‖ρ_S - (ρ_S·ŵ) ŵ/‖ŵ‖²‖² + outside²) / (‖ŵ‖ log τ)``,  ``τ = η L k``

        What is left out is of the order 1/log² τ. The part of ρ_k outside the span of S is
        set by the early rounds and is not known from the problem: without it the angle is too
        small. A run gives it: the norm of ``outside_part`` of :func:`localgd.analysis.residual`.

        Parameters
        ----------
        rounds : float or array of floats > 0
            k, communication rounds, to 1e300 and beyond.
        lr : float > 0
            η.
        local_steps : int >= 1, default 1
            L.
        outside : float >= 0, default 0
            Norm of the part of ρ_k outside the span of S.

        Returns
        -------
        float, or ndarray of the shape of ``rounds``
            Radians.

        Raises
        ------
        ValueError, TypeError
            For numbers out of range or of another kind, or η L k ≤ 1.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0, 0.0], [0.0, 2.0]], [1, 1])])
        >>> line = lg.reference.asymptote(problem)
        >>> line.angle([1e2, 1e4, 1e300], lr=0.1).round(6).tolist()
        [0.240824, 0.080275, 0.000805]
        """
        log_tau = _log_tau(rounds, lr, local_steps)
        outside = check.number("outside", outside, minimum=0)
        length = norm(self.weights)
        unit = self.weights / length
        across = self.rho - (self.rho @ unit) * unit
        angle = math.hypot(norm(across), outside) / length / log_tau
        return angle if angle.ndim else float(angle)

    def margin_gap(self, rounds: Any, *, lr: float, local_steps: int = 1) -> Any:
        """How far the normalised margin of w_k is below γ, to leading order.

        ``γ - min_j z_j·w_k/‖w_k‖ = γ (r̄ - min_S r_j)/log τ + O(1/log² τ)``,
        ``r_j = z_j·ρ_S``, ``r̄ = Σ_S α_j r_j / Σ_S α_j``

        Derived from w_k = ŵ log τ + ρ: on S z_j·w_k = log τ + r_j, and to this order
        ‖w_k‖ = ‖ŵ‖ log τ + ρ·ŵ/‖ŵ‖, where ρ·ŵ = Σ α_j r_j and ‖ŵ‖² = Σ α_j = 1/γ². Rows off
        the margin are farther away by a share of log τ. The part of ρ_k outside the span of S
        changes neither z_j·w_k nor, to this order, the norm, so the gap does not depend on it.

        Parameters
        ----------
        rounds, lr, local_steps
            As for :meth:`angle`.

        Returns
        -------
        float, or ndarray of the shape of ``rounds``
            In the units of the rows, ≥ 0.

        Raises
        ------
        ValueError, TypeError
            As for :meth:`angle`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0, 0.0], [0.0, 2.0]], [1, 1])])
        >>> line = lg.reference.asymptote(problem)
        >>> round(line.margin_gap(1e10, lr=1.0), 6)
        0.01077
        """
        log_tau = _log_tau(rounds, lr, local_steps)
        alpha = self.dual[self.support]
        alpha = alpha / alpha.max()
        mean = alpha @ self.offsets / alpha.sum()
        gap = max(0.0, mean - self.offsets.min()) / norm(self.weights) / log_tau
        return gap if gap.ndim else float(gap)

    def distance(self, rho: Any) -> float:
        """How far a residual ρ_k is from its limit on the span of the support rows, relatively.

        ``‖P_S ρ_k - ρ_S‖/‖ρ_S‖``; ``‖P_S ρ_k‖`` if ρ_S = 0

        Parameters
        ----------
        rho : array of shape (d,)
            ρ_k = w_k - ŵ log τ, as by :func:`localgd.analysis.residual`.

        Returns
        -------
        float
            At least 0.

        Raises
        ------
        ValueError, TypeError
            If rho is not d finite numbers.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0, 0.0], [0.0, 2.0]], [1, 1])])
        >>> line = lg.reference.asymptote(problem)
        >>> round(line.distance(1.5 * line.rho), 12)
        0.5
        """
        rho = check.real_array("rho", rho, 1, advice="")
        if len(rho) != len(self.rho):
            raise ValueError(f"rho: got {len(rho)} numbers; want {len(self.rho)}, one per feature")
        inside = self.basis.T @ (self.basis @ rho)
        return norm(inside - self.rho) / (norm(self.rho) or 1.0)

    def fits(self, problem: Problem) -> bool:
        """Whether this is the asymptote of a problem, by the equations that define it.

        ``z_j·ŵ ≥ 1`` on all rows, ``c_j exp(-z_j·ρ_S) = α_j`` on S, ``Σ_S α_j z_j = ŵ``, to 1e-6

        Rows off the margin play no part in them.

        Parameters
        ----------
        problem : Problem
            The rows of the clients, and their weights.

        Returns
        -------
        bool
            False also for another task or number of rows or features.

        Raises
        ------
        TypeError
            If ``problem`` is not a :class:`localgd.Problem`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [2.0]], [1, 1]), ([[3.0]], [1])])
        >>> line = lg.reference.asymptote(problem)
        >>> line.fits(problem), line.fits(problem.with_weights("equal"))
        (True, False)
        """
        if check_problem(problem).task != "binary":
            return False
        if not solves(problem.signed_rows, self.weights, self.dual):
            return False
        rows, c = problem.signed_rows[self.support], problem.row_weights[self.support]
        if (c == 0).any() or np.abs(rows @ self.rho - self.offsets).max() > 1e-6:
            return False
        return bool(np.abs(np.log(c / self.dual[self.support]) - self.offsets).max() <= 1e-6)


@with_one_blas_thread
def asymptote(problem: Problem, ref: MaxMargin | None = None) -> Asymptote:
    """What separates the iterates from a multiple of ŵ on the span of the support rows, at last.

    ``z_j·ρ_S = log(c_j/α_j)``, j ∈ S, ρ_S in span(Z_S), that is
    ``ρ_S = argmin Σ_S c_j exp(-z_j·ρ) + ŵ·ρ``

    With this ρ the gradient of the loss at ŵ log τ + ρ is ŵ/τ, the speed of ŵ log τ. It is the same
    for the exponential and the logistic loss, whose tails agree, for GD and for Local-GD with any
    number of local steps; c_j = p_i/n_i are the row weights. The second form holds where support
    rows are linearly dependent (duplicates, say), so that many α give the same ŵ.

    Parameters
    ----------
    problem : Problem
        A binary task with separable rows.
    ref : result of :func:`max_margin`, optional
        That of this problem; computed if not given.

    Returns
    -------
    Asymptote
        ρ_S and how well it solves its equations; it predicts angle and margin at any round.

    Raises
    ------
    NotSeparableError
        If the rows are not separable.
    UnsupportedError
        If the support rows, as a dense array, took more than a gigabyte.
    ValueError
        If the task is not binary, ``ref`` belongs to another problem, a row on the margin belongs
        to a client of weight 0, or rounding keeps ``residual`` above 1e-6.
    TypeError
        If ``problem`` or ``ref`` is something else.

    Warns
    -----
    RuntimeWarning
        If a row on the margin carries a multiplier in no choice of α (``degenerate``).

    References
    ----------
    Soudry, Hoffer, Nacson, Gunasekar, Srebro, JMLR 2018, arXiv:1710.10345, theorem 4.

    Examples
    --------
    Two orthogonal rows: ŵ = (1, ½), α = (1, ¼), c = (½, ½), so ρ_S = (log ½, ½ log 2).

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0], [0.0, 2.0]], [1, 1])])
    >>> lg.reference.asymptote(problem).rho.round(6)
    array([-0.693147,  0.346574])
    """
    Z = signed_rows(problem, "asymptote")
    if ref is None:
        ref = max_margin(problem)
    _check_reference(ref, Z)
    c = problem.row_weights
    absent = ref.on_margin[c[ref.on_margin] == 0]
    if len(absent):
        raise ValueError(
            f"problem: row {absent[0]} is on the margin but belongs to a client of weight 0, which "
            "the iterates do not see; leave that client out"
        )
    support, start, degenerate = _carriers(Z, ref)
    if len(degenerate):
        warnings.warn(
            f"{len(degenerate)} of {len(ref.on_margin)} rows on the margin (the first: row "
            f"{degenerate[0]}) have multiplier 0 in every choice; the residual of a run drifts in "
            "their directions, and rho is its limit on the span of the other rows only",
            RuntimeWarning,
            stacklevel=2,
        )
    if len(support) * Z.shape[1] > LARGEST:
        raise UnsupportedError(
            f"problem: {len(support)} support rows of {Z.shape[1]} features, too many for the "
            f"basis of their span, {LARGEST} numbers at most; want fewer rows or features"
        )
    rho, offsets, basis, residual = _line(dense(Z[support]), ref.weights, c[support], start)
    if not residual <= TOLERANCE:
        raise ValueError(
            f"problem: rounding hides the asymptote: its equations hold to {residual:.1g} only; "
            "rescale the rows and features to similar size"
        )
    dual = np.zeros(Z.shape[0])
    dual[support] = c[support] * np.exp(-offsets)
    for array in (rho, support, dual, offsets, degenerate, basis):
        array.setflags(write=False)
    return Asymptote(
        rho=rho,
        support=support,
        dual=dual,
        offsets=offsets,
        residual=residual,
        degenerate=degenerate,
        basis=basis,
        weights=ref.weights,
    )


def _check_reference(ref: object, Z: Rows) -> None:
    if not isinstance(ref, MaxMargin):
        raise TypeError(
            f"ref: got {type(ref).__name__}; want the result of lg.reference.max_margin(problem)"
        )
    if not solves(Z, ref.weights, ref.dual):
        raise ValueError(
            "ref: it is not the max-margin solution of these rows; want "
            "lg.reference.max_margin(problem) of this problem"
        )


def _carriers(Z: Rows, ref: MaxMargin) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with positive multipliers in some choice, one such choice, and the degenerate rows."""
    S, alpha = ref.support, ref.dual[ref.support]
    others = np.setdiff1d(ref.on_margin, S)
    if not len(others):
        return S.copy(), alpha, others
    # v > 0 on another row iff Σ_others v_j z_j = Σ_S b_j z_j for some v ≥ 0 that has it, with b
    # of any sign. ŵ itself, which is rounded, plays no part.
    faces = facial_reduction(stored([Z[S], -Z[S], Z[others]]))
    carry = np.setdiff1d(np.arange(len(others)), faces.subset - 2 * len(S))
    degenerate = np.setdiff1d(others, others[carry])
    if not len(carry):
        return S.copy(), alpha, degenerate
    assert faces.weights is not None  # opposite rows
    up, down = faces.weights[: len(S)], faces.weights[len(S) : 2 * len(S)]
    v, b = faces.weights[2 * len(S) :][carry], down - up
    share = 0.5 * np.min(alpha / np.maximum(np.abs(b), 1e-3 * np.abs(b).max()))
    rows = np.concatenate([S, others[carry]])
    order = np.argsort(rows)
    return rows[order], np.concatenate([alpha - share * b, share * v])[order], degenerate


def _line(
    rows: np.ndarray, w: np.ndarray, c: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """ρ_S, z_j·ρ_S, the basis of the span of S, and the residual."""
    Z, exponent = common_scale(rows)
    w, c, alpha = (
        np.ldexp(array, times * exponent) for array, times in ((w, 1), (c, 2), (alpha, 2))
    )
    basis = row_space(scaled_rows(Z)[0], 16 * max(Z.shape) * EPS)
    if len(Z) == len(basis):
        rho, offsets = _independent(Z, basis, c, alpha)
    else:
        rho, offsets = _dependent(Z, basis, w, c, alpha)
    residual = norm((w - _pull(Z, c, _heights(Z, rho))).astype(float)) / norm(w)
    if np.abs(offsets).max() <= 8 * residual + 256 * EPS * max(1.0, np.abs(np.log(c)).max()):
        # Rounding of 0 is no length that others could be measured by.
        rho, offsets = np.zeros_like(rho), np.zeros_like(offsets)
        residual = norm(w - c @ Z) / norm(w)
    return rescaled("rho", rho, -exponent), offsets, basis, residual


def _independent(
    Z: np.ndarray, basis: np.ndarray, c: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """ρ and z_j·ρ for independent rows: linear equations."""
    wanted = np.log(c.astype(EXTENDED)) - np.log(alpha.astype(EXTENDED))
    A, exponents = scaled_rows(Z)
    Q, R = qr(A @ basis.T, check_finite=False)

    def lack(offsets: np.ndarray) -> np.ndarray:
        return (wanted - offsets).astype(float)

    def step(lacking: np.ndarray, _: np.ndarray) -> np.ndarray:
        lacking = Q.T @ np.ldexp(lacking, -exponents)
        return np.asarray(solve_triangular(R, lacking, check_finite=False))

    return _refined(Z, basis, np.zeros(len(basis)), lack, step)


def _dependent(
    Z: np.ndarray, basis: np.ndarray, w: np.ndarray, c: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """ρ and z_j·ρ for other rows: the minimum."""
    A = Z @ basis.T

    def lack(offsets: np.ndarray) -> np.ndarray:
        return basis @ (_pull(Z, c, offsets) - w).astype(float)

    def step(lacking: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
        return _newton_step(A, c * np.exp(-offsets.astype(float)), lacking)

    return _refined(Z, basis, _offset(A, basis @ w, c, alpha), lack, step)


def _refined(
    Z: np.ndarray,
    basis: np.ndarray,
    start: np.ndarray,
    lack: Callable[[np.ndarray], np.ndarray],
    step: Callable[[np.ndarray, np.ndarray], np.ndarray | None],
) -> tuple[np.ndarray, np.ndarray]:
    """ρ and z_j·ρ by Newton steps for what they lack, in extended precision.

    The multipliers of the rows may be far larger than ŵ, and rounding of ρ counts by them.
    """
    rho = start.astype(EXTENDED) @ basis
    best = (np.inf, rho, _heights(Z, rho))
    for _ in range(SWEEPS):
        offsets = _heights(Z, rho)
        lacking = lack(offsets)
        error = norm(lacking)
        if error < best[0]:
            best = (error, rho, offsets)
        elif not error <= 0.5 * best[0]:
            break
        move = step(lacking, offsets)
        if move is None:
            break  # the residual says so
        rho = rho + move @ basis
    return best[1].astype(float), best[2].astype(float)


def _heights(Z: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """``Z ρ`` in extended precision."""
    return both_products(Z, rho, np.zeros(len(Z)))[1]


def _pull(Z: np.ndarray, c: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """``Σ_j c_j exp(-r_j) z_j`` in extended precision."""
    return both_products(Z, np.zeros(Z.shape[1]), c * np.exp(-offsets))[0]


def _newton_step(A: np.ndarray, alpha: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    """What to add to ρ, None where the Hessian is singular."""
    try:
        lower = cholesky((A * alpha[:, None]).T @ A, lower=True, check_finite=False)
    except LinAlgError:
        return None
    return np.asarray(cho_solve((lower, True), gradient, check_finite=False))


def _offset(A: np.ndarray, w: np.ndarray, c: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``argmin Σ_j c_j exp(-a_j·ρ) + w·ρ`` for rows that span the space, from Σ α_j a_j = w."""
    rho: np.ndarray = np.linalg.lstsq(A, np.log(c) - np.log(alpha), rcond=None)[0]
    for _ in range(STEPS):
        alpha = c * np.exp(-(A @ rho))
        step = _newton_step(A, alpha, alpha @ A - w)
        if step is None:
            break  # the residual says so
        spread = float(np.abs(A @ step).max())
        if spread <= 4 * EPS * max(1.0, float(np.abs(A @ rho).max())):
            break
        rho = rho + np.log1p(spread) / spread * step
    return rho


def _log_tau(rounds: Any, lr: Any, local_steps: Any) -> np.ndarray:
    """log(η L k), a sum of logarithms because the product may overflow."""
    shape = np.shape(rounds)
    try:
        k = check.real_array("rounds", rounds if shape else [rounds], len(shape) or 1, advice="")
    except OverflowError:
        raise ValueError("rounds: got a number above 1e308; want at most 1e308") from None
    if k.size and k.min() <= 0:
        raise ValueError(f"rounds: got {k.min():g}; want numbers above 0")
    lr = check.number("lr", lr, above=0)
    steps = check.integer("local_steps", local_steps, 1)
    log_tau: np.ndarray = math.log(lr) + math.log(steps) + np.log(k).reshape(shape)
    if log_tau.size and log_tau.min() <= 0:
        raise ValueError(
            f"rounds: η L k is {math.exp(log_tau.min()):g} at least once; want above 1: more rounds"
        )
    return log_tau
