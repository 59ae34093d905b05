"""The smoothness constant, from which the preset learning rates are made."""

from __future__ import annotations

import numpy as np

from .losses import LOSSES, check_loss
from .problem import Problem, check_problem
from .rows import Rows, as_double, is_sparse, scaled_rows

__all__ = ["smoothness"]

MOST_FILLED = 1000  # rows or features of sparse rows whose Gram matrix is made


def smoothness(problem: Problem, loss: str) -> float:
    """The largest smoothness constant of the clients' objectives.

    ``H = max_i ℓ''_max λ_max(X_iᵀ diag(v_i) X_i) / V_i``

    ℓ''_max is 1 for the squared loss, the squared hinge and Huber's, 1/4 for the logistic, 1/2 for
    softmax. The exponential loss is not smooth; for it the curvature at margin 0 is taken, which
    bounds that of all later iterates of a run from w_0 = 0 that never lets a margin fall below 0.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    loss : str
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
    check_loss(loss, problem)
    exponent = int(np.frexp(np.abs(problem.X).max())[1])  # so that squares stay in range
    largest, omega = 0.0, problem.relative_weights
    for i in range(problem.n_clients):
        rows = problem.rows(i)
        X = _times_power(problem.X[rows], -exponent)
        if omega is not None:
            X = scaled_rows(as_double(X), np.sqrt(omega[rows]))
        largest = max(largest, _largest_eigenvalue(X) / X.shape[0])
    if largest <= 0:
        raise ValueError("problem: all rows are 0; want rows that differ from 0")
    with np.errstate(over="ignore"):
        H = LOSSES[loss].curvature * float(np.ldexp(largest, 2 * exponent))
    if not 0 < H < np.inf:
        raise ValueError(
            f"problem: rows of size 2^{exponent}, whose squares leave the range of double "
            "precision; rescale the rows to size 1"
        )
    return H


def _times_power(X: Rows, exponent: int) -> Rows:
    """``2^exponent X``, also where that power is out of range."""
    if not is_sparse(X):
        return np.ldexp(X, exponent)
    from scipy.sparse import csr_array

    return csr_array((np.ldexp(X.data, exponent), X.indices, X.indptr), shape=X.shape)


def _largest_eigenvalue(X: Rows) -> float:
    """Of ``Xᵀ X``, by the smaller of both Gram matrices."""
    narrow = min(X.shape)
    if is_sparse(X) and narrow > MOST_FILLED:
        from scipy.sparse.linalg import svds

        start = np.random.default_rng(0).standard_normal(narrow)
        return float(svds(X, k=1, v0=start, return_singular_vectors=False)[0]) ** 2
    gram = X @ X.T if X.shape[0] <= X.shape[1] else X.T @ X
    return float(np.linalg.eigvalsh(gram.toarray() if is_sparse(gram) else gram)[-1])
