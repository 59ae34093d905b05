"""Where constant steps leave a run: how far local steps stop from the minimiser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..blas import with_one_blas_thread
from ..errors import UnsupportedError
from ..losses import LOSSES, BaseLoss, LossLike, Softmax, labels_of_margins, margin_rows
from ..methods import Method
from ..methods.base import check_method
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows, is_sparse, scaled_rows
from ..schedules import sees_state
from ..shares import mean_shares
from ..theory import learning_rate

__all__ = ["LocalOffset", "local_offset"]

DENSE = 2000  # features of those whose equations are solved as a matrix


@dataclass(frozen=True, eq=False)
class LocalOffset(ReadOnlyArrays):
    """The fixed point of local steps, from :func:`local_offset`.

    Attributes
    ----------
    weights : ndarray of shape (d,)
        w̃, the predicted limit of the models.
    distance : float
        ‖w̃ - w*‖.
    suboptimality : float
        f(w̃) - f(w*).
    grad_norm : float
        ‖∇f(w̃)‖.
    """

    weights: np.ndarray
    distance: float
    suboptimality: float
    grad_norm: float


@with_one_blas_thread
def local_offset(problem: Problem, method: Method, minimum: Any) -> LocalOffset:
    """Predict where Local-GD with a constant learning rate comes to rest.

    ``Σ_i u_i B_i (g_i + H_i x) = 0``, ``B_i = Σ_{l < L_i} (1 - η(H_i + μ))^l``, ``w̃ = w* + x``

    With g_i and H_i gradient and Hessian of f_i at the minimiser w*, λ included, and u_i the shares
    of the clients (FedNova's where the L_i differ). L_i steps of η change client i by
    ``-η B_i (g_i + H_i x)`` where f_i is quadratic; at a fixed point the mean change is 0.
    So the prediction is exact for the squared loss, and for others as good as their quadratic at w*
    is over a round and over x. For L = 1, or where all g_i are 0, w̃ is w*; to first order in η the
    gradient at w̃ is ``η(L-1)/2 Σ p_i H_i g_i``.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    method : Method
        ``GD``, ``LocalGD`` or ``FedProx`` with a constant lr and all clients in every round; with
        any server, as all of them rest where the mean change is 0.
    minimum : result of ``reference.minimizer(problem, loss=…, l2=…)``
        w*, which says the loss and λ, too.

    Returns
    -------
    LocalOffset
        w̃ and how far it is from w*.

    Raises
    ------
    UnsupportedError
        For methods that draw rows or clients, correct their steps or solve exactly, for several
        classes, for steps too long to come to rest, and for a free intercept beside more than
        2,000 features.
    TypeError
        For a ``minimum`` of another kind.

    References
    ----------
    Charles, Konečný, AISTATS 2021, arXiv:2103.05032; Malinovsky et al., arXiv:2004.01442.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=4, n_samples=20, n_features=10, seed=0)
    >>> best = lg.reference.minimizer(problem, loss="logistic", l2=0.1)
    >>> method = lg.LocalGD(local_steps=20, lr=0.1)
    >>> run = lg.run(problem, method, rounds=500, loss="logistic", l2=0.1, reference=best)
    >>> found = lg.analysis.local_offset(problem, method, best)
    >>> print(f"{found.distance:.3f} predicted, {run.history['distance'][-1]:.3f} measured")
    0.009 predicted, 0.009 measured
    """
    check_problem(problem, own_rows=True)
    method = check_method(method).on(problem.sizes)
    loss, l2 = _objective_of(minimum)
    lr, steps = _steps_of(problem, method, loss, l2)
    prox = method.rule.prox
    curves = list(_quadratics(problem, loss, l2, minimum.weights))
    longest = max(float(curve.curvatures.max()) for curve in curves) + prox
    if lr * longest >= 2:
        raise UnsupportedError(
            f"lr: got {lr:g}, with which steps along curvature {longest:.3g} do not come to rest; "
            f"want less than {2 / longest:.3g}"
        )
    _, shares = mean_shares(problem, method, lr, l2)
    right, parts = np.zeros(problem.n_features), []
    for curve, share, count in zip(curves, shares, steps, strict=True):
        times = share * _sum_of_powers(lr * (curve.curvatures + prox), int(count))
        right -= curve.function(times, curve.gradient)
        parts.append((curve, times * curve.curvatures))
    return _at(problem, loss, l2, minimum, _solve(parts, right))


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """A client's objective near w*: gradient, and Hessian H of these curvatures."""

    gradient: np.ndarray
    basis: Any  # (d, r), orthonormal columns: an array, or an operator where that is large
    curvatures: np.ndarray  # of each, then of all that is orthogonal to them

    def function(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f(H) x, from the values of f at the curvatures."""
        inside = self.basis @ ((values[:-1] - values[-1]) * (self.basis.T @ x))
        found: np.ndarray = values[-1] * x + inside
        return found

    def matrix(self, values: np.ndarray) -> np.ndarray:
        """f(H)."""
        found: np.ndarray = (self.basis * (values[:-1] - values[-1])) @ self.basis.T
        found[np.diag_indices_from(found)] += values[-1]
        return found


def _objective_of(minimum: Any) -> tuple[LossLike, float]:
    loss, l2 = getattr(minimum, "loss", None), getattr(minimum, "l2", None)
    if loss is None or l2 is None:
        raise TypeError(
            f"minimum: got {type(minimum).__name__}; want the result of reference.minimizer()"
        )
    if isinstance(LOSSES[loss], Softmax) or np.ndim(minimum.weights) > 1:
        raise UnsupportedError(
            "minimum: that of several classes or targets; want a model of one output"
        )
    return loss, float(l2)


def _steps_of(
    problem: Problem, method: Method, loss: LossLike, l2: float
) -> tuple[float, np.ndarray]:
    """η and L_i of methods that have a fixed point of their own."""
    rule = method.rule
    everyone = method.clients_per_round(problem.n_clients) == problem.n_clients
    if rule.stochastic or rule.solve or rule.correction != "none" or not everyone:
        raise UnsupportedError(
            f"method: got {method!r}; want GD, LocalGD or FedProx with all clients in every round"
        )
    lr = learning_rate(problem, method, loss, l2)
    if callable(lr) or sees_state(lr):
        raise UnsupportedError(f"lr: got {lr!r}; want a constant rate")
    return check.number("lr", lr), rule.core_steps(problem.n_clients)


def _sum_of_powers(rates: np.ndarray, count: int) -> np.ndarray:
    """``Σ_{l < count} (1 - rate)^l``."""
    low = np.where(rates < 0.5, rates, 0.0)
    powers = np.where(
        rates < 0.5, -np.expm1(count * np.log1p(-low)), 1 - (1 - np.maximum(rates, 0.5)) ** count
    )
    sums: np.ndarray = np.full(rates.shape, float(count))
    np.divide(powers, rates, out=sums, where=rates > 0)
    return sums


def _quadratics(problem: Problem, loss: LossLike, l2: float, w: np.ndarray) -> Iterator[_Quadratic]:
    rows, y = margin_rows(problem, loss), labels_of_margins(problem, loss)
    omega = problem.relative_weights
    for i in range(problem.n_clients):
        own = problem.rows(i)
        A, c = rows[own], np.full(problem.sizes[i], 1 / problem.sizes[i])
        if omega is not None:
            c *= omega[own]
        m = A @ w
        gradient = (c * LOSSES[loss].slopes(m, y[own])) @ A + l2 * problem.penalized(w)
        half = scaled_rows(A, np.sqrt(c * LOSSES[loss].curvatures(m, y[own])))
        if problem.free_intercept and l2 > 0:
            basis, curvatures = _whole_spectrum(half, l2 * problem.penalized(np.ones_like(w)))
            yield _Quadratic(gradient, basis, np.append(curvatures, 0.0))
        else:
            basis, curvatures = _spectrum(half)
            yield _Quadratic(gradient, basis, np.append(curvatures, 0.0) + l2)


def _whole_spectrum(A: Rows, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``AᵀA + diag(penalties) = V diag(s) Vᵀ``."""
    if len(penalties) > DENSE:
        raise UnsupportedError(
            f"problem: {len(penalties):,} features, and an intercept that is free; want at most "
            f"{DENSE:,} features, or intercept='column'"
        )
    H = A.T @ A
    H = H.toarray() if is_sparse(H) else H
    curvatures, basis = np.linalg.eigh(H + np.diag(penalties))
    return basis, np.maximum(curvatures, 0.0)


def _spectrum(A: Rows) -> tuple[Any, np.ndarray]:
    """Orthonormal columns V and numbers s above 0 with ``AᵀA = V diag(s) Vᵀ``."""
    n, d = A.shape
    K = A.T @ A if d <= n else A @ A.T
    s, U = np.linalg.eigh(K.toarray() if is_sparse(K) else K)
    kept = s > s[-1] * len(s) * np.finfo(float).eps
    s, U = s[kept], U[:, kept]
    if d <= n:
        return U, s
    if d <= DENSE:
        return A.T @ (U / np.sqrt(s)), s
    from scipy.sparse.linalg import aslinearoperator

    return aslinearoperator(A.T) @ aslinearoperator(U / np.sqrt(s)), s


def _solve(parts: list[tuple[_Quadratic, np.ndarray]], right: np.ndarray) -> np.ndarray:
    """x of least norm with ``Σ_i f_i(H_i) x = right``."""
    if len(right) <= DENSE:
        matrix = sum(curve.matrix(values) for curve, values in parts)
        found: np.ndarray = np.linalg.lstsq(matrix, right, rcond=None)[0]
        return found
    from scipy.sparse.linalg import LinearOperator, cg

    def product(x: np.ndarray) -> np.ndarray:
        total: np.ndarray = sum(curve.function(values, x) for curve, values in parts)  # type: ignore[assignment]
        return total

    operator = LinearOperator((len(right), len(right)), matvec=product, dtype=np.float64)
    solution: np.ndarray = cg(operator, right, rtol=1e-12)[0]
    return solution


def _at(problem: Problem, loss: LossLike, l2: float, minimum: Any, x: np.ndarray) -> LocalOffset:
    """What f is at w* + x."""
    rows, y = margin_rows(problem, loss), labels_of_margins(problem, loss)
    of: BaseLoss = LOSSES[loss]
    w, c = minimum.weights + x, problem.row_weights
    m = rows @ w
    pull = l2 * problem.penalized(w)
    gradient = (c * of.slopes(m, y)) @ rows + pull
    value = float(c @ of.values(m, y)) + float(w @ pull) / 2
    return LocalOffset(
        weights=w,
        distance=float(np.linalg.norm(x)),
        suboptimality=max(value - minimum.value, 0.0),
        grad_norm=float(np.linalg.norm(gradient)),
    )
