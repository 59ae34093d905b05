"""The smoothness constant, from which the preset learning rates are made."""

from __future__ import annotations

import numpy as np

from .errors import UnsupportedError
from .losses import LOSSES, LossLike, check_loss
from .problem import Problem, check_problem
from .rows import Rows, arrays_of, dense_double, is_sparse, scaled_rows, times_powers

__all__ = ["check_smoothness", "clients_smoothness", "smoothness"]

FEW = 500  # sparse rows or features of a client whose Gram matrix is made


def smoothness(problem: Problem, loss: LossLike) -> float:
    """The largest smoothness constant of the clients' objectives.

    ``H = max_i ℓ''_max λ_max(X_iᵀ diag(v_i) X_i) / V_i``

    ℓ''_max is 1 for the squared loss, the squared hinge and Huber's, 1/4 for the logistic, 1/2 for
    softmax. The exponential loss is not smooth; for it the curvature at margin 0 is taken, which
    bounds that of all later iterates of a run from w_0 = 0 that never lets a margin fall below 0.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    loss : str or Loss
        ℓ, as for :func:`localgd.run`.

    Returns
    -------
    float
        H. Gradient descent with η = 1/H is stable on every client; ``lr="1/H"`` and
        ``lr="1/(LH)"`` of a method are this number.

    Raises
    ------
    ValueError
        For a loss that does not fit the task.
    UnsupportedError
        For the Poisson loss, which has none.
    TypeError
        If problem is not a Problem.

    References
    ----------
    Crawshaw, Woodworth, Liu, arXiv:2501.13790.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[3.0, 0.0], [0.0, 1.0]], [1, 1]), ([[0.0, 2.0]], [-1])])
    >>> lg.analysis.smoothness(problem, "logistic")
    1.125
    """
    check_problem(problem)
    return check_smoothness(clients_smoothness(problem, loss))


def check_smoothness(H: float) -> float:
    """H; refused if there is none."""
    if not 0 < H < np.inf:
        raise ValueError(
            "problem: all rows are 0, or so small or large that their squares leave the range of "
            "double precision; rescale the rows to size 1"
        )
    return H


def clients_smoothness(problem: Problem, loss: LossLike) -> float:
    """H of some clients; 0 or inf if there is none."""
    check_loss(loss, problem)
    if not np.isfinite(LOSSES[loss].curvature):
        raise UnsupportedError(
            f"loss: got {loss!r}, whose second derivative has no bound; want a learning rate as a "
            "number, or a Loss() with its largest_curvature"
        )
    entries = arrays_of(problem.X)[-1]
    exponent = int(np.frexp(np.abs(entries).max(initial=0.0))[1])  # so that squares stay in range
    square, omega = 0.0, problem.relative_weights
    for i in range(1 if problem.shares_rows else problem.n_clients):
        X = times_powers(problem.X[problem.rows(i)], -exponent)
        if omega is not None:
            X = scaled_rows(X, np.sqrt(omega[problem.rows(i)]))
        square = max(square, _largest_square(X) / X.shape[0])
    with np.errstate(over="ignore"):
        return LOSSES[loss].curvature * float(np.ldexp(square, 2 * exponent))


def _largest_square(X: Rows) -> float:
    """``λ_max(XᵀX)``; of large sparse X by Lanczos' method, as θ + ‖XᵀX v - θ v‖, θ = ‖X v‖².

    The eigenvalue of which v is the vector lies between θ less this residual and θ plus it.
    """
    A = X if X.shape[0] > X.shape[1] else X.T
    if not is_sparse(X) or min(X.shape) <= FEW:
        return float(np.linalg.eigvalsh(dense_double(A.T @ A))[-1])
    from scipy.sparse.linalg import LinearOperator, eigsh

    start = np.ones(A.shape[1])
    product = LinearOperator(2 * start.shape, lambda v: A.T @ (A @ v.ravel()))
    (value,), vectors = eigsh(product, k=1, v0=start)
    v = vectors[:, 0]
    return float(value + np.linalg.norm(product @ v - value * v))
