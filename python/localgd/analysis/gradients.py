"""How far the gradients of the clients agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..losses import check_loss
from ..problem import Problem

__all__ = ["GradientAlignment", "gradient_alignment"]


@dataclass(frozen=True)
class GradientAlignment:
    """Agreement of the clients' gradients at a model, from :func:`gradient_alignment`.

    Attributes
    ----------
    variance : float
        Σ p_i‖∇f_i - ∇f‖².
    alignment : float
        Σ p_i cos(∇f_i, ∇f), from -1 to 1; NaN where ∇f = 0.
    dissimilarity : float
        Σ p_i‖∇f_i‖²/‖∇f‖², at least 1; NaN where ∇f = 0.
    gradient_norm : float
        ‖∇f‖.
    """

    variance: float
    alignment: float
    dissimilarity: float
    gradient_norm: float


def gradient_alignment(problem: Problem, w: Any, loss: str) -> GradientAlignment:
    """Variance, alignment and dissimilarity of the clients' gradients at a model.

    ``Σ p_i‖∇f_i - ∇f‖²``, ``Σ p_i cos(∇f_i, ∇f)``, ``Σ p_i‖∇f_i‖²/‖∇f‖²``

    The same as the columns ``grad_variance``, ``grad_alignment`` and ``grad_dissimilarity`` of a
    run's history.

    Parameters
    ----------
    problem : Problem
    w : array of shape (d,), or (d, C) for several classes
        A model.
    loss : "exponential", "logistic", "squared" or "softmax"

    Returns
    -------
    GradientAlignment

    Raises
    ------
    ValueError
        For a model of another shape, or a loss that does not fit the task.
    TypeError
        If problem is not a Problem.

    References
    ----------
    Dandi, Barba, Jaggi, AAAI 2022, arXiv:2106.13897; dissimilarity: Li et al., MLSys 2020,
    arXiv:1812.06127.

    Examples
    --------
    Two clients that pull at right angles:

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])])
    >>> g = lg.analysis.gradient_alignment(problem, [0.0, 0.0], "exponential")
    >>> g.variance, round(g.alignment, 6), round(g.dissimilarity, 6)
    (0.5, 0.707107, 2.0)
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {type(problem).__name__}; want a localgd.Problem")
    check_loss(loss, problem)
    w = check.real_array("w", w, len(problem.weights_shape))
    if w.shape != problem.weights_shape:
        raise ValueError(f"w: got shape {w.shape}; want {problem.weights_shape}")
    gradients = np.stack(
        [_gradient(loss, problem.X[rows], problem.y[rows], w) for rows in _clients(problem)]
    )
    p = problem.weights
    mean = np.tensordot(p, gradients, axes=1)
    norms = np.array([np.linalg.norm(g) for g in gradients])
    norm = float(np.linalg.norm(mean))
    cosines = [
        float(np.sum(g * mean)) / (length * norm) if length > 0 and norm > 0 else 0.0
        for g, length in zip(gradients, norms, strict=True)
    ]
    return GradientAlignment(
        variance=float(p @ [np.sum((g - mean) ** 2) for g in gradients]),
        alignment=float(p @ cosines) if norm > 0 else float("nan"),
        dissimilarity=float(p @ norms**2) / norm**2 if norm > 0 else float("nan"),
        gradient_norm=norm,
    )


def _clients(problem: Problem) -> list[slice]:
    return [problem.rows(i) for i in range(problem.n_clients)]


def _gradient(loss: str, X: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """∇f_i, of the shape of w."""
    u = X @ w
    if loss == "softmax":
        e = np.exp(u - u.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        e[np.arange(len(y)), y.astype(np.intp)] -= 1
        pull: np.ndarray = e
    elif loss == "squared":
        pull = u - y
    elif loss == "exponential":
        pull = -y * np.exp(-y * u)
    else:
        m = y * u
        small = np.exp(-np.abs(m))  # ≤ 1: no overflow in either tail
        pull = -y * np.where(m > 0, small, 1.0) / (1.0 + small)
    return X.T @ pull / len(y)
